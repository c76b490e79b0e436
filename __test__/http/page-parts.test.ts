/** Parts of the page that can be tested without a browser. */
import test from 'ava';
import { curveOf, roundTop } from '../../page/chart.js';
import {
  formatAgo,
  formatBytes,
  formatDuration,
  formatMilliseconds,
  formatPercent,
  formatRate,
  formatRoughly,
  formatShare,
  formatThroughput,
} from '../../page/format.js';
import { History } from '../../page/history.js';
import type { TunnelReport } from '../../src/tunnel-host.ts';
import type { TunnelStats } from '../../src/stats.ts';
import { OPEN, STATS } from './reports.ts';

const dropped = ({ encap }: TunnelStats): number => encap.dropped;

const NO_RATES = {
  receivedBits: 0,
  sentBits: 0,
  receivedPackets: 0,
  sentPackets: 0,
  roundTrip: null,
  lost: null,
  waited: 0,
  slowed: 0,
};

/** A reading after so many seconds of uptime. */
function reading(seconds: number, bytes: number, lost = 0, openedAt = STATS.openedAt): TunnelReport {
  const stats: TunnelStats = {
    ...STATS,
    openedAt,
    uptimeMs: seconds * 1000,
    probe: { ...STATS.probe, address: null },
    encap: { ...STATS.encap, received: bytes / 100 + lost, packets: bytes / 100, bytes, dropped: lost },
    decap: { ...STATS.decap, received: 0, packets: 0, bytes: 0, dropped: 0 },
  };
  return { ...OPEN, stats };
}

test('quantities have three digits and a suitable unit', (t) => {
  t.deepEqual([0, 7, 999, 999.6, 1000, 12_345, 123_456, 999_499, 999_500, 2.5e9].map(formatThroughput), [
    '0 bit/s',
    '7 bit/s',
    '999 bit/s',
    '1.00 kbit/s',
    '1.00 kbit/s',
    '12.3 kbit/s',
    '123 kbit/s',
    '999 kbit/s',
    '1.00 Mbit/s',
    '2.50 Gbit/s',
  ]);
  t.deepEqual([0, 0.04, 0.1, 3.84, 9.96, 42.4, 1500].map(formatRate), [
    '0/s',
    '0/s',
    '0.1/s',
    '3.8/s',
    '10/s',
    '42/s',
    '1.50 k/s',
  ]);
  t.deepEqual([0, 1472, 8_388_608].map(formatBytes), ['0 B', '1.47 kB', '8.39 MB']);
  t.deepEqual([0, 9999, 1_204_551].map(formatRoughly), ['0', '9,999', '1.20 M']);
  t.deepEqual([0, 0.0123, 0.5, 1.75].map(formatPercent), ['0.0 %', '1.2 %', '50 %', '175 %']);
  t.deepEqual([0.0842, 4.31, 12.34, 99.96, 432, 999.6, 2500].map(formatMilliseconds), [
    '0.08 ms',
    '4.31 ms',
    '12.3 ms',
    '100 ms',
    '432 ms',
    '1.00 s',
    '2.50 s',
  ]);
  t.deepEqual([0, 0.016, 1, null].map(formatShare), ['0 %', '1.6 %', '100 %', '–']);
  t.is(formatMilliseconds(null), '–');
  t.is(formatThroughput(null), '–');
  t.is(formatRate(null), '–');
});

test('durations have their two largest units', (t) => {
  const [second, hour, day] = [1000, 3_600_000, 86_400_000];
  t.deepEqual(
    [0, 59 * second, 61 * second, hour, hour + 5 * second, 26 * hour, 400 * day].map(formatDuration),
    ['0 s', '59 s', '1 min 1 s', '1 h', '1 h', '1 d 2 h', '400 d'],
  );
  t.is(formatAgo(1999), 'just now');
  t.is(formatAgo(12_000), '12 s ago');
});

test('rates are computed from the uptime of the tunnel, not from the time of the browser', (t) => {
  const history = new History();
  history.add(0, reading(10, 0));
  t.is(history.now, null, 'one reading is no rate');
  history.add(5000, reading(12, 1000));
  t.like(history.now, { receivedBits: 0, sentBits: 4000, receivedPackets: 0, sentPackets: 5 });
  t.is(history.peak('sentBits'), 4000);
});

test('waits in the queue are means of the packets that left it; drops and marks are a part of those that came', (t) => {
  const history = new History();
  /** So far: packets that waited and were sent, the sum of their waits in ms, marks, drops; and how many wait now. */
  const queued = (
    second: number,
    [delayed, ms, marked, lost]: readonly [number, number, number, number],
    packets = 0,
  ): void => {
    const { stats } = reading(second, 0);
    if (stats === null) return;
    const queue = { ...stats.queue, delayed, delaySum: ms * 1000, marked, packets };
    const drops = { ...stats.encap.drops, queue: lost - 1, 'queue-full': 1 };
    history.add(second * 1000, {
      ...OPEN,
      stats: { ...stats, queue, encap: { ...stats.encap, drops } },
    });
  };
  queued(1, [10, 50, 0, 1]);
  queued(2, [10, 50, 0, 1]);
  queued(3, [100, 950, 9, 1], 12);
  queued(4, [100, 950, 9, 1], 40);
  queued(5, [190, 1400, 9, 11]);
  t.deepEqual(
    history.points.map(({ rates }) => [rates.waited, rates.slowed]),
    [
      [0, 0],
      [10, 0.1],
      [null, 0],
      [5, 0.1],
    ],
  );
});

test('round-trip times are means of the answers since the previous reading; losses interrupt them', (t) => {
  const history = new History();
  const { probe } = STATS;
  /** Answers, lost probes, and the sum of all round-trip times in ms, so far. */
  const probed = (second: number, received: number, lost: number, sum: number): void => {
    const { stats } = reading(second, 0);
    const now = { ...probe, received, lost, rttSum: sum * 1000, rttMs: { ...probe.rttMs, last: 7 } };
    history.add(second * 1000, { ...OPEN, stats: stats && { ...stats, probe: now } });
  };
  probed(1, 10, 0, 50);
  probed(2, 10, 0, 50);
  probed(3, 12, 0, 56);
  probed(4, 12, 0, 56);
  probed(5, 12, 1, 56);
  probed(6, 12, 1, 56);
  probed(7, 13, 2, 66);
  t.deepEqual(
    history.points.map(({ rates }) => [rates.roundTrip, rates.lost]),
    [
      // The last answer, before the first reading.
      [7, 0],
      [3, 0],
      // No news.
      [3, 0],
      [null, 1],
      [null, 0],
      [10, 0.5],
    ],
  );
  t.is(history.peak('roundTrip'), 10);
  const { line, area } = curveOf(history.points, 'roundTrip', 7000, 10);
  t.is(line.match(/M/g)?.length, 2, line);
  t.is(area.match(/Z/g)?.length, 2, area);

  const without = new History();
  without.add(0, reading(1, 0));
  without.add(1000, reading(2, 0));
  t.like(without.now, { roundTrip: null, lost: null });
  t.is(without.peak('lost'), null);
});

test('points older than five minutes are dropped', (t) => {
  const history = new History();
  for (let second = 0; second <= 1000; second += 1)
    history.add(second * 1000, reading(second, second === 500 ? 1e9 : 0));
  t.is(history.peak('sentBits'), 0);
  t.true(history.points.length >= 300 && history.points.length <= 302);
});

test('a tunnel that was reopened, one that is not open, and a pause interrupt the line and the rates', (t) => {
  const history = new History();
  for (const [at, report] of [
    [0, reading(100, 1e6)],
    [1000, reading(101, 2e6)],
    [2000, reading(0.5, 0, 0, 1)],
    [3000, reading(1.5, 100, 0, 1)],
    [4000, { ...OPEN, phase: 'retrying', stats: null }],
    [5000, reading(0.5, 0, 0, 2)],
    [6000, reading(1.5, 100, 0, 2)],
    [60_000, reading(55.5, 100, 0, 2)],
    [61_000, reading(56.5, 100, 0, 2)],
  ] as const) {
    history.add(at, report);
  }
  t.deepEqual(
    history.points.map(({ at, joined }) => [at, joined]),
    [
      [1000, false],
      [3000, false],
      [6000, false],
      [60_000, false],
      [61_000, true],
    ],
  );
  t.true(history.points.every(({ rates }) => rates.sentBits >= 0));
});

test('a tunnel that was reopened has no rate even if its counters are already higher than before', (t) => {
  const history = new History();
  history.add(0, reading(1, 100));
  // Opened again right after the first reading, and busier since.
  history.add(2000, reading(1.9, 1e9, 0, STATS.openedAt + 1100));
  t.is(history.now, null);
  history.add(3000, reading(2.9, 1e9 + 1000, 0, STATS.openedAt + 1100));
  t.is(history.now?.sentBits, 8000);
});

test('growth is averaged over the last ten seconds', (t) => {
  const history = new History();
  t.is(history.growth(dropped), null);
  for (let second = 0; second <= 30; second += 1)
    history.add(second * 1000, reading(second, 0, second >= 5 ? 50 : 0));
  t.is(history.growth(dropped), 0);
  history.add(31_000, reading(31, 0, 80));
  t.is(history.growth(dropped), 3);
});

test('a curve runs from left to right, and its area ends at the bottom', (t) => {
  const rates = { ...NO_RATES, receivedBits: 50 };
  const points = [
    { at: 0, rates, joined: false },
    { at: 150_000, rates, joined: true },
    { at: 300_000, rates, joined: false },
  ];
  t.deepEqual(curveOf(points, 'receivedBits', 300_000, 100), {
    line: 'M0.0 500.0L500.0 500.0M1000.0 500.0',
    area: 'M0.0 1000V500.0L500.0 500.0V1000H0.0ZM1000.0 1000V500.0V1000H1000.0Z',
  });
  t.deepEqual(curveOf([], 'receivedBits', 0, 100), { line: '', area: '' });
});

test('the scale is a round number, and is kept while it fits', (t) => {
  t.is(roundTop(0, 0, 10), 10);
  t.is(roundTop(11, 10, 10), 20);
  t.is(roundTop(421e6, 0, 10), 500e6);
  t.is(roundTop(1000, 0, 10), 1000);
  t.is(roundTop(150e6, 500e6, 10), 500e6);
  t.is(roundTop(50e6, 500e6, 10), 50e6);
});
