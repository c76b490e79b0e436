/** Metrics in the text format of Prometheus, version 0.0.4. */
import { STATS } from '../stats-table.ts';
import type { Stat } from '../stats-table.ts';
import { valueAt } from '../stats.ts';
import { REPORT_STATES } from '../tunnel-host.ts';
import type { TunnelReport } from '../tunnel-host.ts';
import type { ProcessStats } from './stats.ts';

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** All metrics of these tunnels, and of the process. */
export function formatMetrics(reports: readonly TunnelReport[], process: ProcessStats): string {
  const families = [
    ...TUNNEL_METRICS.map((metric) => formatFamily(metric, reports)),
    ...PROCESS_METRICS.map((metric) => formatFamily(metric, [process])),
  ];
  return families.join('');
}

/** All samples of a metric follow its description. A metric without samples is omitted. */
function formatFamily<Subject>(metric: Metric<Subject>, subjects: readonly Subject[]): string {
  const samples = subjects.flatMap((subject) => metric.samples(subject));
  if (samples.length === 0) return '';
  return (
    `# HELP ${metric.name} ${escapeHelp(metric.help)}\n# TYPE ${metric.name} ${metric.type}\n` +
    samples.map((sample) => formatSample(metric, sample)).join('')
  );
}

function formatSample(
  { name, labels }: Metric<never>,
  { labels: values, value, suffix, bound }: Sample,
): string {
  const pairs = labels.map((label, index) => `${label}="${escapeLabel(values[index] ?? '')}"`);
  if (bound !== undefined) pairs.push(`le="${bound}"`);
  return `${name}${suffix ?? ''}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  if (!/["\\\n]/.test(text)) return text;
  return escapeHelp(text).replaceAll('"', '\\"');
}

export interface Metric<Subject> {
  /** Ends in its unit, and in `_total` if it counts (https://prometheus.io/docs/practices/naming/). */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** Of one sample; `null` for a bare 0 or 1. */
  readonly unit: string | null;
  /** One sentence without line breaks. */
  readonly help: string;
  /** Names of its labels, in the order in which they are written. */
  readonly labels: readonly string[];
  /** Its samples, with the values of the labels in the same order. None if the value is unknown. */
  readonly samples: (subject: Subject) => readonly Sample[];
}

export interface Sample {
  readonly labels: readonly string[];
  readonly value: number;
  /** Of the samples of a histogram. */
  readonly suffix?: '_bucket' | '_sum' | '_count';
  /** Of a bucket: the greatest value that it counts. */
  readonly bound?: string;
}

// Metrics of the process, with the names that all exporters use.

export const PROCESS_METRICS: readonly Metric<ProcessStats>[] = [
  {
    name: 'ttun_build_info',
    type: 'gauge',
    unit: null,
    help: 'The versions of ttun and of Node: always 1.',
    labels: ['version', 'node'],
    samples: ({ version, node }) => [{ labels: [version, node], value: 1 }],
  },
  {
    name: 'process_start_time_seconds',
    type: 'gauge',
    unit: 'seconds since the epoch',
    help: 'When the process started.',
    labels: [],
    samples: ({ startedAt }) => [{ labels: [], value: startedAt / 1000 }],
  },
  {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    unit: 'seconds',
    help: 'CPU time of the process, including the threads of its tunnels.',
    labels: [],
    samples: ({ cpuSeconds }) => [{ labels: [], value: cpuSeconds }],
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Resident memory of the process.',
    labels: [],
    samples: ({ residentBytes }) => [{ labels: [], value: residentBytes }],
  },
];

// Metrics of a tunnel. Those of its statistics have no samples until it was open once.

const STATE_METRICS: readonly Metric<TunnelReport>[] = [
  {
    name: 'ttun_up',
    type: 'gauge',
    unit: null,
    help: '1 if the tunnel is open and its peer answers, or nothing was sent to it lately (state up or idle), 0 otherwise.',
    labels: ['tunnel'],
    samples: (report) => [of(report, isTrue(report.state === 'up' || report.state === 'idle'))],
  },
  {
    name: 'ttun_state',
    type: 'gauge',
    unit: null,
    help: 'State of the tunnel: 1 for the current state, 0 for the others.',
    labels: ['tunnel', 'state'],
    samples: (report) => REPORT_STATES.map((state) => of(report, isTrue(report.state === state), state)),
  },
  {
    name: 'ttun_problem',
    type: 'gauge',
    unit: null,
    help: 'The error that keeps the tunnel from working, by its code: always 1. Absent if there is none.',
    labels: ['tunnel', 'code'],
    samples: (report) => (report.problem === null ? [] : [of(report, 1, report.problem.code)]),
  },
  {
    name: 'ttun_tunnel_info',
    type: 'gauge',
    unit: null,
    help: 'Device and both ends of the tunnel as configured, and the current address of the remote end (empty until the tunnel has been open, and until a peer is learned): always 1.',
    labels: ['tunnel', 'device', 'local', 'remote', 'remote_address'],
    samples: (report) => {
      const { device, local, remote, stats } = report;
      return [of(report, 1, device, local, remote, stats?.socket.remote ?? '')];
    },
  },
  {
    name: 'ttun_offload',
    type: 'gauge',
    unit: null,
    help: 'Whether an offload is in use: checksum, tso and uso of the device, segmentation and gro of the socket.',
    labels: ['tunnel', 'offload'],
    samples: (report) => {
      if (report.stats === null) return [];
      const { device, socket } = report.stats;
      const granted = { ...device.offload, segmentation: socket.segmentsPerSend > 1, gro: socket.gro };
      return Object.entries(granted).map(([name, on]) => of(report, isTrue(on), name));
    },
  },
];

/** Help for metrics that combine several values, and for those whose sentence in the table does not fit. */
const HELP: Readonly<Record<string, string>> = {
  ttun_received_packets_total:
    'Packets read: from the device (encap) or from the peer (decap). Each is then counted in ttun_packets_total or ttun_dropped_packets_total.',
  ttun_packets_total:
    'Inner IP packets that the kernel accepted: on the socket (encap) or on the device (decap).',
  ttun_bytes_total: 'Bytes of the packets of ttun_packets_total, without outer headers.',
  ttun_dropped_packets_total:
    'Packets read but not accepted by the kernel, by reason. Every reason is always present.',
  ttun_syscalls_total:
    'System calls that moved packets: read from and write to the device, send to and receive from the network.',
  ttun_socket_errors_total:
    'Errors that the socket reported, including ICMP errors for datagrams that had been sent successfully. An errno appears with its first error.',
  ttun_device_mtu_bytes: 'MTU of the device. Absent while it is deleted.',
  ttun_probe_late_replies_total: 'Replies to probes that came after more than 3 s, or more than once.',
  ttun_probe_loss_ratio:
    'Part of the probes that were lost, from 0 to 1, of the last 60 s, or of the last 20 probes if these are more.',
  ttun_probe_window_rtt_seconds:
    'Round-trip times of the probes of the last 60 s, or of the last 20 probes if these are more: min, mean, p50, p99 and max; last is the last one.',
};

/** One value of the statistics as a member of a metric. */
interface Member {
  readonly stat: Stat;
  readonly name: string;
  /** Besides `tunnel`. */
  readonly labels: Readonly<Record<string, string>>;
}

function statsMetrics(): Metric<TunnelReport>[] {
  const members = STATS.flatMap(memberOf);
  const names = new Set(members.map(({ name }) => name));
  return [...names].flatMap((name) => {
    const [first, ...others] = members.filter((member) => member.name === name);
    return first === undefined ? [] : [toMetric(first, [first, ...others])];
  });
}

/** No numbers, or the buckets of the histogram below. */
const NOT_EXPORTED: ReadonlySet<Stat['kind']> = new Set([
  'section',
  'bucket',
  'text',
  'text-if-known',
  'flag',
]);

/** The metric of a value: as the table says, or else named after its section, field and unit. None for texts and flags. */
function memberOf(stat: Stat): Member[] {
  const [section = '', field = '', reason] = stat.path.split('.');
  if (stat.metric === '-' || NOT_EXPORTED.has(stat.kind)) return [];
  if (stat.metric !== '') {
    const [name = ''] = stat.metric.split('{');
    const labels = [...stat.metric.matchAll(/(?<label>\w+)="(?<value>[^"]*)"/g)];
    return [{ stat, name, labels: Object.fromEntries(labels.map(([, label, value]) => [label, value])) }];
  }
  if (stat.kind === 'drop') {
    const labels = { direction: section, reason: reason ?? '' };
    return [{ stat, name: `ttun_dropped_${stat.unit}_total`, labels }];
  }
  const words = field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const measured = words === stat.unit ? words : `${words}_${stat.unit}`;
  const isDirection = section === 'encap' || section === 'decap';
  const name = `ttun_${isDirection ? '' : `${section}_`}${measured}${stat.kind === 'counter' ? '_total' : ''}`;
  return [{ stat, name, labels: isDirection ? { direction: section } : {} }];
}

function toMetric({ stat, name, labels }: Member, members: readonly Member[]): Metric<TunnelReport> {
  return {
    name,
    type: stat.kind.startsWith('gauge') ? 'gauge' : 'counter',
    unit: toBaseUnit(stat.unit).unit,
    help: HELP[name] ?? stat.help,
    labels: ['tunnel', ...Object.keys(labels), ...(stat.kind === 'errors' ? ['errno'] : [])],
    samples: (report) => members.flatMap((member) => samplesOf(report, member)),
  };
}

/** Prometheus has one unit for each kind of quantity: https://prometheus.io/docs/practices/naming/#base-units. */
function toBaseUnit(unit: string): { readonly unit: string; readonly divisor: number } {
  if (unit === 'bit/s') return { unit: 'bytes per second', divisor: 8 };
  if (unit === 'us') return { unit: 'seconds', divisor: 1e6 };
  if (/^ms\b/.test(unit)) return { unit: unit.replace('ms', 'seconds'), divisor: 1000 };
  return { unit, divisor: 1 };
}

function samplesOf(report: TunnelReport, { stat, name, labels }: Member): Sample[] {
  if (report.stats === null) return [];
  const value = valueAt(report.stats, stat.path);
  const values = Object.values(labels);
  if (stat.kind === 'errors') {
    return Object.entries<number>(Object(value)).map(([error, count]) => of(report, count, ...values, error));
  }
  // A deleted device has an MTU of 0.
  if (typeof value !== 'number' || (value === 0 && name === 'ttun_device_mtu_bytes')) return [];
  return [of(report, value / toBaseUnit(stat.unit).divisor, ...values)];
}

/** Round-trip times of all probes. Without a probe there are none. */
const ROUND_TRIPS: Metric<TunnelReport> = {
  name: 'ttun_probe_rtt_seconds',
  type: 'histogram',
  unit: 'seconds',
  help: 'Round-trip times of the probes that were answered.',
  labels: ['tunnel'],
  samples: (report) => {
    const { stats } = report;
    if (stats === null || stats.probe.address === null) return [];
    const { received, rttSum } = stats.probe;
    const bucket = (bound: string, count: number): Sample => ({
      ...of(report, count),
      suffix: '_bucket',
      bound,
    });
    return [
      ...BUCKETS.map(({ path, bound }) => bucket(bound, Number(valueAt(stats, path)))),
      bucket('+Inf', received),
      { ...of(report, rttSum / 1e6), suffix: '_sum' },
      { ...of(report, received), suffix: '_count' },
    ];
  },
};

const BUCKETS = STATS.filter(({ kind }) => kind === 'bucket').map(({ path, metric }) => ({
  path,
  bound: /le="(?<bound>[^"]*)"/.exec(metric)?.groups?.['bound'] ?? '',
}));

/** In the order in which they are written. */
export const TUNNEL_METRICS: readonly Metric<TunnelReport>[] = [
  ...STATE_METRICS,
  ...statsMetrics(),
  ROUND_TRIPS,
];

function of({ name }: TunnelReport, value: number, ...labels: readonly string[]): Sample {
  return { labels: [name, ...labels], value };
}

function isTrue(value: boolean): number {
  return value ? 1 : 0;
}
