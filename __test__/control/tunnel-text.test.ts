import test from 'ava';
import { describeHistory, describeTunnel } from '../../src/cli/show.ts';
import { formatAgo, formatDuration } from '../../src/cli/text.ts';
import { formatAgoShort, formatBitRate, formatBytes } from '../../src/text.ts';
import type { ProcessReport } from '../../src/control/protocol.ts';
import type { TunnelStats } from '../../src/stats.ts';
import type { TunnelReport } from '../../src/tunnel-host.ts';
import { reportOf } from '../stats-of-nothing.ts';
import { REPORT, STATS } from './host.ts';

const PROCESS: ProcessReport = {
  pid: 4711,
  uid: 0,
  version: '0.1.0',
  startedAt: 0,
  config: '/etc/ttun/office.toml',
  networkNamespace: { inode: 1, name: null },
  http: null,
};

function textOf(report: TunnelReport, process: ProcessReport = PROCESS): string[] {
  const viewer = { uid: 0, namespace: 1, style: (_style: unknown, text: string) => text };
  return describeTunnel({ path: '', process, report }, viewer).split('\n');
}

test('the most important facts come first', (t) => {
  t.deepEqual(textOf(REPORT), [
    'tunnel: office',
    '  state: up',
    '  device: tun0 (mtu 1472, offload: checksum, TSO)',
    '  local: 192.0.2.1:8000',
    '  remote: 192.0.2.2:8000 (gateway.example:8000)',
    '  last heard: 12 seconds ago',
    '  transfer: 1.30 GB received, 357 MB sent',
    '  packets: 1,234,567 received, 345,678 sent',
    '  uptime: 3 hours, 12 minutes',
    '  process: 4711, /etc/ttun/office.toml',
  ]);
});

test('a queue is shown if packets wait or have waited, and so are the rates', (t) => {
  const queue = {
    ...STATS.queue,
    packets: 64,
    bytes: 65_000,
    delayed: 12_345,
    delaySum: 12_345 * 5200,
    sojournMaxMs: 66.54,
    rate: 18e6,
    drainRate: 19_876_543,
  };
  const rowsOf = (changed: Partial<TunnelStats['queue']>): string[] => {
    const lines = textOf(reportOf({ ...REPORT, stats: { ...STATS, queue: { ...queue, ...changed } } }));
    return lines.filter((line) => /^ {2}(?:queue|rate|link rate):/.test(line));
  };
  const rates = ['  rate: paced to 18.0 Mbit/s', '  link rate: 19.9 Mbit/s, when packets last waited for it'];
  const waited = '12,345 waited, 5.20 ms on average, 66.5 ms at most';
  t.deepEqual(rowsOf({}), [`  queue: 64 packets wait (65.0 kB); ${waited}`, ...rates]);
  t.deepEqual(rowsOf({ packets: 0, rate: null, drainRate: null }), [`  queue: empty; ${waited}`]);
  t.deepEqual(rowsOf({ packets: 1, bytes: 84, delayed: 0, drainRate: null }), [
    '  queue: 1 packet waits (84 B)',
    '  rate: paced to 18.0 Mbit/s',
  ]);
});

test('an idle tunnel shows when its peer was last heard', (t) => {
  for (const [ago, text] of [
    [45_000, '45 s'],
    [150_000, '2 min'],
  ] as const) {
    const decap = { ...STATS.decap, lastAt: STATS.timestamp - ago };
    const report = reportOf({ ...REPORT, stats: { ...STATS, state: 'idle', decap } });
    t.is(textOf(report)[1], `  state: idle, last heard ${text} ago`);
  }
});

test('a peer that does not answer is diagnosed below the state, unless there is a problem', (t) => {
  const diagnosis = '192.0.2.2 refuses port 8000: is ttun running there, with 192.0.2.1:8000 as its remote?';
  t.is(textOf({ ...REPORT, diagnosis })[2], `  peer: ${diagnosis}`);
  const problem = { code: 'ERR_TTUN_NO_ROUTE', message: 'there is no route', hint: null };
  t.is(textOf({ ...REPORT, diagnosis, problem })[2], '  problem: there is no route');
});

test('the history has a line for each change, with the date unless it is today', (t) => {
  const viewer = { uid: 0, namespace: 1, style: (_style: unknown, text: string) => text };
  const now = new Date(2026, 10, 26, 14, 2, 33).getTime();
  const change = { kind: 'peer-silent', level: 'warning' } as const;
  const history = [
    { ...change, at: now - 86_400_000, message: 'nothing heard from 192.0.2.2:8000 for 30 s' },
    { ...change, at: now - 3000, message: 'heard from 192.0.2.2:8000 again after 24 h' },
  ];
  t.deepEqual(describeHistory({ ...REPORT, history }, viewer, now), [
    '  history:',
    '    2026-11-25 14:02:33  nothing heard from 192.0.2.2:8000 for 30 s',
    '    14:02:30  heard from 192.0.2.2:8000 again after 24 h',
  ]);
  t.deepEqual(describeHistory({ ...REPORT, history: [] }, viewer, now), []);
});

test('drops and errors are shown if there are any', (t) => {
  const stats = {
    ...STATS,
    device: { ...STATS.device, mtu: 1500 },
    socket: { ...STATS.socket, receiveOverflow: 12, errors: { ECONNREFUSED: 3 } },
    encap: { ...STATS.encap, fragmented: 7, drops: { ...STATS.encap.drops, 'too-big': 5 } },
    decap: { ...STATS.decap, lastAt: null, drops: { ...STATS.decap.drops, malformed: 2, empty: 1 } },
  };
  const advice = { text: 'packets do not fit; to avoid that', command: 'ip link set tun0 mtu 1472' };
  const text = textOf({ ...REPORT, stats, advice });
  t.deepEqual(text.slice(5, -2), [
    '  last heard: never',
    '  transfer: 1.30 GB received, 357 MB sent',
    '  packets: 1,234,567 received, 345,678 sent',
    '  dropped when receiving: 2 malformed, 1 empty',
    '  dropped when sending: 5 too-big',
    '  sent in fragments: 7 packets',
    '  lost to a full receive buffer (at least): 12 datagrams',
    '  socket errors: 3 ECONNREFUSED',
    '  advice: packets do not fit; to avoid that: ip link set tun0 mtu 1472',
  ]);
});

test('what the probe measures is shown, once there is an answer', (t) => {
  const probe = {
    ...STATS.probe,
    address: '10.0.2.2',
    source: '10.0.2.1',
    intervalMs: 1000,
    sent: 1234,
    lost: 12,
    lastAt: STATS.timestamp - 300,
    loss: 0.0167,
    jitterMs: 0.25,
    rttMs: { last: 12, min: 11.5, mean: 13, p50: 12.25, p99: 131.4, max: 1500 },
    late: 1,
  };
  const shown = (change: Partial<typeof STATS.probe>): string[] =>
    textOf({ ...REPORT, stats: { ...STATS, probe: { ...probe, ...change } } });
  t.deepEqual(shown({}).slice(6, 9), [
    '  probe: 10.0.2.2 from 10.0.2.1 every 1 s, last answer now',
    '  round trip: median 12.3 ms, 99 % in 131 ms, 11.5 ms to 1.50 s, jitter 0.25 ms',
    '  probes lost: 1.7 % lately, 12 of 1,234 in all',
  ]);
  t.true(shown({}).includes('  late or duplicate probe replies: 1 reply'));
  const rttMs = { last: null, min: null, mean: null, p50: null, p99: null, max: null };
  const unanswered = { source: null, intervalMs: 200, lastAt: null, loss: null, jitterMs: null, rttMs };
  t.deepEqual(shown(unanswered).slice(6, 8), [
    '  probe: 10.0.2.2 every 200 ms, never answered',
    '  transfer: 1.30 GB received, 357 MB sent',
  ]);
});

test('a device that was deleted has no MTU', (t) => {
  const problem = { code: 'ERR_TTUN_DEVICE_GONE', message: 'the device tun0 was deleted', hint: null };
  const stats = { ...STATS, device: { ...STATS.device, index: 0, mtu: 0 } };
  t.is(textOf({ ...REPORT, problem, stats })[3], '  device: tun0 (deleted)');
});

test('a tunnel that is not open shows the reason and the remedy', (t) => {
  const problem = { code: 'ERR_TTUN_DEVICE_NOT_FOUND', message: 'there is no device tun0', hint: 'make it' };
  t.deepEqual(textOf(reportOf({ ...REPORT, phase: 'retrying', problem, stats: null })), [
    'tunnel: office',
    '  state: down, retrying',
    '  problem: there is no device tun0',
    '  remedy: make it',
    '  device: tun0',
    '  local: 192.0.2.1:8000',
    '  remote: gateway.example:8000',
    '  process: 4711, /etc/ttun/office.toml',
  ]);
});

test('a configured HTTP server that does not run is reported', (t) => {
  const problem = { code: 'ERR_TTUN_PORT_IN_USE', message: 'cannot serve HTTP at :9750', hint: null };
  const failed = { ...PROCESS, http: { listen: ':9750', url: null, problem } };
  t.is(textOf(REPORT, failed).at(-1), '  http: cannot serve HTTP at :9750');
  const served = { ...PROCESS, http: { listen: ':9750', url: 'http://localhost:9750/', problem: null } };
  t.deepEqual(textOf(REPORT, served), textOf(REPORT));
});

test('the user and namespace of the viewer are not mentioned', (t) => {
  const elsewhere = { ...PROCESS, uid: 1000, config: null, networkNamespace: { inode: 2, name: 'siteA' } };
  t.is(textOf(REPORT, elsewhere).at(-1), '  process: 4711, network namespace siteA, user 1000');
  const unnamed = { ...elsewhere, uid: 0, networkNamespace: { inode: 2, name: null } };
  t.is(textOf(REPORT, unnamed).at(-1), '  process: 4711, network namespace 2');
});

const SHOWN: readonly (readonly [shown: string, expected: string])[] = [
  [formatBytes(0), '0 B'],
  [formatBytes(999), '999 B'],
  [formatBytes(1000), '1.00 kB'],
  [formatBytes(10 ** 18), '1000 PB'],
  [formatBitRate(0), '0 bit/s'],
  [formatBitRate(999), '999 bit/s'],
  [formatBitRate(999.6), '1.00 kbit/s'],
  [formatBitRate(99_960), '100 kbit/s'],
  [formatBitRate(9_996), '10.0 kbit/s'],
  [formatBitRate(1_214_000_000), '1.21 Gbit/s'],
  [formatDuration(999), '0 seconds'],
  [formatDuration(61_000), '1 minute, 1 second'],
  [formatDuration(3_605_000), '1 hour'],
  [formatDuration(90_061_000), '1 day, 1 hour'],
  [formatDuration(-5), '0 seconds'],
  [formatAgo(999), 'now'],
  [formatAgo(12_999), '12 seconds ago'],
  [formatAgoShort(500), 'now'],
  [formatAgoShort(59_999), '59 s'],
  [formatAgoShort(3_599_000), '59 min'],
  [formatAgoShort(86_400_000), '1 d'],
];

test('amounts are short and correct', (t) => {
  for (const [shown, expected] of SHOWN) t.is(shown, expected);
});
