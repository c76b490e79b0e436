import test from 'ava';
import { formatMetrics, PROCESS_METRICS, TUNNEL_METRICS } from '../../src/http/metrics.ts';
import type { ProcessStats } from '../../src/http/stats.ts';
import type { TunnelReport } from '../../src/tunnel-host.ts';
import { run } from '../../testbed/exec.ts';
import { reportOf } from '../stats-of-nothing.ts';
import { OPEN, RETRYING, STATS } from './reports.ts';

const PROCESS: ProcessStats = {
  version: '1.2.3',
  node: '20.19.0',
  pid: 42,
  host: 'gateway',
  timestamp: 1_700_000_100_000,
  startedAt: 1_700_000_000_500,
  uptimeMs: 99_500,
  cpuSeconds: 1.25,
  residentBytes: 49_000_000,
};

/** Each sample by its name and labels as written. */
function samplesOf(...reports: readonly TunnelReport[]): ReadonlyMap<string, string> {
  const lines = formatMetrics(reports, PROCESS).split('\n');
  return new Map(
    lines
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]),
  );
}

test('promtool has no complaints', async (t) => {
  for (const reports of [[OPEN, RETRYING], [OPEN], [RETRYING], []]) {
    const { stdout, stderr } = await run(['promtool', 'check', 'metrics'], {
      input: formatMetrics(reports, PROCESS),
    });
    t.is(stdout + stderr, '');
  }
});

test('each value of a tunnel is exported under its name, in base units', (t) => {
  const samples = samplesOf(OPEN);
  const expected: Readonly<Record<string, string>> = {
    'ttun_up{tunnel="office"}': '1',
    'ttun_uptime_seconds{tunnel="office"}': '61.5',
    'ttun_received_packets_total{tunnel="office",direction="encap"}': '1032',
    'ttun_received_packets_total{tunnel="office",direction="decap"}': '2098',
    'ttun_packets_total{tunnel="office",direction="encap"}': '1004',
    'ttun_packets_total{tunnel="office",direction="decap"}': '2000',
    'ttun_bytes_total{tunnel="office",direction="encap"}': '1400000',
    'ttun_bytes_total{tunnel="office",direction="decap"}': '2800000',
    'ttun_device_read_errors_total{tunnel="office"}': '8',
    'ttun_fragmented_packets_total{tunnel="office"}': '5',
    'ttun_mtu_trials_total{tunnel="office"}': '2',
    'ttun_too_big_answers_total{tunnel="office"}': '3',
    'ttun_syscalls_total{tunnel="office",call="read"}': '101',
    'ttun_syscalls_total{tunnel="office",call="send"}': '102',
    'ttun_syscalls_total{tunnel="office",call="receive"}': '103',
    'ttun_syscalls_total{tunnel="office",call="write"}': '104',
    'ttun_socket_errors_total{tunnel="office",errno="ECONNREFUSED"}': '3',
    'ttun_receive_overflow_total{tunnel="office"}': '9',
    'ttun_last_received_timestamp_seconds{tunnel="office"}': '1700000099.25',
    'ttun_probe_interval_seconds{tunnel="office"}': '1',
    'ttun_probe_sent_total{tunnel="office"}': '63',
    'ttun_probe_lost_total{tunnel="office"}': '20',
    'ttun_probe_loss_ratio{tunnel="office"}': '0.03',
    'ttun_probe_jitter_seconds{tunnel="office"}': '0.0007',
    'ttun_probe_window_rtt_seconds{tunnel="office",statistic="p50"}': '0.01275',
    'ttun_probe_window_rtt_seconds{tunnel="office",statistic="max"}': '0.0325',
    'ttun_probe_last_answer_timestamp_seconds{tunnel="office"}': '1700000098.75',
    'ttun_device_mtu_bytes{tunnel="office"}': '1472',
    'ttun_path_mtu_bytes{tunnel="office"}': '1500',
    'ttun_receive_buffer_bytes{tunnel="office"}': '8388608',
    'ttun_send_buffer_bytes{tunnel="office"}': '4194304',
    'ttun_offload{tunnel="office",offload="checksum"}': '1',
    'ttun_offload{tunnel="office",offload="tso"}': '1',
    'ttun_offload{tunnel="office",offload="uso"}': '0',
    'ttun_offload{tunnel="office",offload="segmentation"}': '1',
    'ttun_offload{tunnel="office",offload="gro"}': '1',
    'ttun_tunnel_info{tunnel="office",device="tun0",local="192.0.2.1:8000",remote="gateway.example:8000",remote_address="192.0.2.2:8000"}':
      '1',
  };
  for (const [sample, value] of Object.entries(expected)) t.is(samples.get(sample), value, sample);
  for (const direction of ['encap', 'decap'] as const) {
    for (const [reason, count] of Object.entries(STATS[direction].drops)) {
      const sample = `ttun_dropped_packets_total{tunnel="office",direction="${direction}",reason="${reason}"}`;
      t.is(samples.get(sample), String(count), sample);
    }
  }
});

test('round-trip times are a histogram, whose buckets are cumulative', async (t) => {
  const samples = samplesOf(OPEN);
  const buckets = [...samples].filter(([name]) => name.startsWith('ttun_probe_rtt_seconds_bucket{'));
  t.deepEqual(
    buckets.map(([name]) => /le="(?<bound>[^"]*)"/.exec(name)?.groups?.['bound']),
    [
      '0.0001',
      '0.0002',
      '0.0005',
      '0.001',
      '0.002',
      '0.005',
      '0.01',
      '0.02',
      '0.05',
      '0.1',
      '0.2',
      '0.5',
      '1',
      '2',
      '+Inf',
    ],
  );
  t.is(samples.get('ttun_probe_rtt_seconds_bucket{tunnel="office",le="0.02"}'), '55');
  t.is(samples.get('ttun_probe_rtt_seconds_bucket{tunnel="office",le="+Inf"}'), '61');
  t.is(samples.get('ttun_probe_rtt_seconds_sum{tunnel="office"}'), '0.8235');
  t.is(samples.get('ttun_probe_rtt_seconds_count{tunnel="office"}'), '61');

  const without = { ...OPEN, stats: { ...STATS, probe: { ...STATS.probe, address: null } } };
  t.false([...samplesOf(without).keys()].some((name) => name.startsWith('ttun_probe_rtt_seconds')));
});

test('the process metrics have the names that all exporters use', (t) => {
  const samples = samplesOf();
  t.is(samples.get('ttun_build_info{version="1.2.3",node="20.19.0"}'), '1');
  t.is(samples.get('process_start_time_seconds'), '1700000000.5');
  t.is(samples.get('process_cpu_seconds_total'), '1.25');
  t.is(samples.get('process_resident_memory_bytes'), '49000000');
  t.is(samples.size, 4);
});

test('a tunnel that is not open is exported with its state and problem', (t) => {
  const samples = samplesOf(OPEN, RETRYING);
  t.is(samples.get('ttun_up{tunnel="branch"}'), '0');
  t.is(samples.get('ttun_state{tunnel="branch",state="retrying"}'), '1');
  t.is(samples.get('ttun_state{tunnel="office",state="retrying"}'), '0');
  t.is(samples.get('ttun_problem{tunnel="branch",code="ERR_TTUN_DEVICE_NOT_FOUND"}'), '1');
  t.false([...samples.keys()].some((sample) => /^ttun_(?:packets|uptime|path).*"branch"/.test(sample)));
});

test('exactly one state is 1', (t) => {
  const states: readonly (readonly [expected: string, report: TunnelReport])[] = [
    ['opening', { ...OPEN, phase: 'opening', stats: null }],
    ['waiting', { ...OPEN, stats: { ...STATS, state: 'waiting' } }],
    ['up', OPEN],
    ['idle', { ...OPEN, stats: { ...STATS, state: 'idle' } }],
    // Ended, but not reported as closed yet.
    ['closed', { ...OPEN, stats: { ...STATS, state: 'closed' } }],
    ['retrying', { ...OPEN, phase: 'retrying', problem: RETRYING.problem }],
    ['closed', { ...OPEN, phase: 'closed' }],
  ];
  for (const [expected, report] of states) {
    const samples = [...samplesOf(reportOf(report))].filter(([name]) => name.startsWith('ttun_state{'));
    t.is(samples.length, 6);
    t.deepEqual(
      samples.filter(([, value]) => value === '1').map(([name]) => name),
      [`ttun_state{tunnel="office",state="${expected}"}`],
    );
    t.is(
      samplesOf(reportOf(report)).get('ttun_up{tunnel="office"}'),
      ['up', 'idle'].includes(expected) ? '1' : '0',
    );
  }
});

test('unknown values have no sample', (t) => {
  const unheard = {
    ...OPEN,
    stats: {
      ...STATS,
      device: { ...STATS.device, index: 0, mtu: 0 },
      socket: { ...STATS.socket, pathMtu: null },
      decap: { ...STATS.decap, lastAt: null },
    },
  };
  const names = [...samplesOf(unheard).keys()].join('\n');
  t.notRegex(names, /ttun_last_received|ttun_device_mtu|ttun_path_mtu|ttun_problem/);
});

test('names are escaped', async (t) => {
  const remote = 'a"b\\c\nd{e}=1';
  const samples = formatMetrics([{ ...OPEN, remote }], PROCESS);
  t.true(samples.includes('remote="a\\"b\\\\c\\nd{e}=1"'));
  const { stdout, stderr } = await run(['promtool', 'check', 'metrics'], { input: samples });
  t.is(stdout + stderr, '');
});

test('large counts are written in full', (t) => {
  const stats = { ...STATS, encap: { ...STATS.encap, bytes: Number.MAX_SAFE_INTEGER } };
  t.is(
    samplesOf({ ...OPEN, stats }).get('ttun_bytes_total{tunnel="office",direction="encap"}'),
    '9007199254740991',
  );
});

test('all samples of a metric follow its only description', (t) => {
  const lines = formatMetrics([OPEN, RETRYING, { ...OPEN, name: 'third' }], PROCESS)
    .trimEnd()
    .split('\n');
  const names = lines.map(
    (line) => /^(?:# (?:HELP|TYPE) )?(?<name>\w+?)(?:_(?:bucket|sum|count))?\b/.exec(line)?.groups?.['name'],
  );
  const runs = names.filter((name, index) => name !== names[index - 1]);
  t.deepEqual(
    runs,
    [...TUNNEL_METRICS, ...PROCESS_METRICS].map(({ name }) => name),
  );
  t.is(lines.filter((line) => line.startsWith('# TYPE')).length, runs.length);
});
