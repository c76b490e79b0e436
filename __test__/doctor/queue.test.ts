/** Where packets wait for the link: what the findings are. */
import test from 'ava';
import { checkQueue } from '../../src/doctor/queue-checks.ts';
import type { TunnelOptions } from '../../src/options.ts';
import type { TunnelStats } from '../../src/stats.ts';
import { reportOf, STATS_OF_NOTHING } from '../stats-of-nothing.ts';
import { factsOf } from './facts-of.ts';

interface Around {
  readonly queue?: Partial<TunnelStats['queue']>;
  readonly rttMs?: Partial<TunnelStats['probe']['rttMs']>;
  readonly options?: Partial<TunnelOptions>;
  readonly sendBuffer?: number;
}

/** Each finding as `code: what`. */
function found({ queue, rttMs, options = {}, sendBuffer = 0 }: Around): string[] {
  const { probe, socket, queue: unused } = STATS_OF_NOTHING;
  const probed = { ...probe, address: '10.0.2.2', rttMs: { ...probe.rttMs, ...rttMs } };
  const stats: TunnelStats = {
    ...STATS_OF_NOTHING,
    queue: { ...unused, ...queue },
    socket: { ...socket, sendBuffer },
    probe: rttMs === undefined ? probe : probed,
  };
  const ends = { device: 'tun0', local: '192.0.2.1:8000', remote: '192.0.2.2:8000' };
  const running = reportOf({ name: 'tun0', ...ends, phase: 'open', problem: null, stats });
  return checkQueue(factsOf({ running, options })).map(({ code, what }) => `${code ?? 'ok'}: ${what}`);
}

/** Packets have waited for 5.2 ms on average. */
const WAITED = { delayed: 12_345, delaySum: 12_345 * 5200, sojournMaxMs: 66.54 };
const TIMES = '5.20 ms on average, 66.5 ms at most';

test('a tunnel in whose queue no packet ever waited has no finding', (t) => {
  t.deepEqual(found({}), []);
  t.deepEqual(found({ queue: { rate: 18e6 }, options: { queue: false }, sendBuffer: 8 << 20 }), []);
});

test('packets wait for the outgoing device, or for the configured rate if that is lower', (t) => {
  const saturated = (queue: Partial<TunnelStats['queue']>): string[] =>
    found({ queue: { ...WAITED, packets: 64, ...queue } });
  const waiting = `is saturated: 64 packets wait for it now, and others have waited ${TIMES}`;
  t.deepEqual(saturated({}), [`link-saturated: eth0 ${waiting}`]);
  t.deepEqual(saturated({ drainRate: 19.9e6 }), [`link-saturated: eth0 (19.9 Mbit/s) ${waiting}`]);
  const paced = [`link-saturated: the configured rate of 18.0 Mbit/s ${waiting}`];
  t.deepEqual(saturated({ rate: 18e6 }), paced);
  t.deepEqual(saturated({ rate: 18e6, drainRate: 17.8e6 }), paced);
  t.deepEqual(found({ queue: { ...WAITED, drainRate: 19.9e6 } }), [
    `ok: packets that had to wait for eth0 (19.9 Mbit/s) waited ${TIMES}`,
  ]);
});

test('a rate above what the outgoing device takes is pointless', (t) => {
  t.deepEqual(found({ queue: { rate: 50e6, drainRate: 20e6 } }), [
    'rate-too-high: rate is 50.0 Mbit/s, but eth0 took only 20.0 Mbit/s when packets last waited for it',
  ]);
});

test('what a large buffer holds is too much for a slow link, and not for a fast one', (t) => {
  const sendBuffer = 8 << 20;
  const held = 'the socket holds up to 4.19 MB, for which every packet waits 1.68 s at 20.0 Mbit/s';
  const slow = { queue: { drainRate: 20e6 }, sendBuffer };
  t.deepEqual(found({ ...slow, options: { queue: false } }), [
    `send-buffer-slow: with queue = false, ${held}`,
  ]);
  t.deepEqual(found({ ...slow, options: { sendBuffer: 4 << 20 } }), [
    `send-buffer-slow: with sendBuffer = 4194304, ${held}`,
  ]);
  t.deepEqual(found(slow), []);
  t.deepEqual(found({ ...slow, queue: { drainRate: 10e9 }, options: { queue: false } }), []);
  t.deepEqual(found({ ...slow, sendBuffer: 20_000, options: { sendBuffer: 10_000 } }), []);
});

test('round trips that become much longer point to a queue elsewhere, unless there is a rate', (t) => {
  const rttMs = { min: 12.3, p50: 480 };
  t.deepEqual(found({ rttMs }), [
    'queue-elsewhere: half of the round trips of the probe take more than 480 ms, but the shortest takes 12.3 ms',
  ]);
  t.deepEqual(found({ rttMs, queue: { rate: 18e6 } }), []);
  t.deepEqual(found({ rttMs: { min: 12.3, p50: 30 } }), []);
  t.deepEqual(found({ rttMs: { min: 600, p50: 700 } }), []);
});
