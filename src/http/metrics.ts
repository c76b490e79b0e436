/** Metrics in the text format of Prometheus, version 0.0.4. */
import type { TunnelReport } from '../tunnel-host.ts';
import type { TunnelStats } from '../stats.ts';
import type { ProcessStats } from './process.ts';

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** All metrics of these tunnels, and of the process. */
export function formatMetrics(reports: readonly TunnelReport[], facts: ProcessStats): string {
  const families = [
    ...TUNNEL_METRICS.map((metric) => formatFamily(metric, reports)),
    ...PROCESS_METRICS.map((metric) => formatFamily(metric, [facts])),
  ];
  return families.join('');
}

/** The samples of one metric stand together. One without samples is left out. */
function formatFamily<Subject>(metric: Metric<Subject>, subjects: readonly Subject[]): string {
  const samples = subjects.flatMap((subject) => metric.samples(subject));
  if (samples.length === 0) return '';
  return (
    `# HELP ${metric.name} ${escapeHelp(metric.help)}\n# TYPE ${metric.name} ${metric.type}\n` +
    samples.map((sample) => formatSample(metric, sample)).join('')
  );
}

function formatSample({ name, labels }: Metric<never>, { labels: values, value }: Sample): string {
  const pairs = labels.map((label, index) => `${label}="${escapeLabel(values[index] ?? '')}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  if (!/["\\\n]/.test(text)) return text;
  return escapeHelp(text).replaceAll('"', '\\"');
}

// What a metric is.

export interface Metric<Subject> {
  /** Ends in its unit, and in `_total` if it counts (https://prometheus.io/docs/practices/naming/). */
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  /** Of one sample; `null` for a bare 0 or 1. */
  readonly unit: string | null;
  /** One sentence without line breaks. */
  readonly help: string;
  /** Names of its labels, in the order in which they are written. */
  readonly labels: readonly string[];
  /** Its samples, with the values of the labels in their order. None where it means nothing. */
  readonly samples: (subject: Subject) => readonly Sample[];
}

export interface Sample {
  readonly labels: readonly string[];
  readonly value: number;
}

// The metrics of the process, under the names that all exporters use for them.

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
    help: 'Processor time that the process took, the threads of its tunnels included.',
    labels: [],
    samples: ({ cpuSeconds }) => [{ labels: [], value: cpuSeconds }],
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory of the process in RAM.',
    labels: [],
    samples: ({ residentBytes }) => [{ labels: [], value: residentBytes }],
  },
];

// The metrics of a tunnel. Those that need figures have no sample until the tunnel was open once.

/** In the order in which a tunnel goes through them. */
const STATES = ['opening', 'waiting', 'up', 'retrying', 'closed'] as const;
export type State = (typeof STATES)[number];

/** What can be said of a tunnel in one word: its own state while it is open, otherwise how far it is from that. */
export function stateOf({ phase, stats }: TunnelReport): State {
  return phase === 'open' ? (stats?.state ?? 'opening') : phase;
}

export const TUNNEL_METRICS: readonly Metric<TunnelReport>[] = [
  {
    name: 'ttun_up',
    type: 'gauge',
    unit: null,
    help: 'Whether the tunnel is open and its peer is heard: 1 in the state up, 0 in any other.',
    labels: ['tunnel'],
    samples: (report) => [of(report, isTrue(stateOf(report) === 'up'))],
  },
  {
    name: 'ttun_state',
    type: 'gauge',
    unit: null,
    help: 'The state of the tunnel: 1 for the one it is in, 0 for the others.',
    labels: ['tunnel', 'state'],
    samples: (report) => STATES.map((state) => of(report, isTrue(stateOf(report) === state), state)),
  },
  {
    name: 'ttun_problem',
    type: 'gauge',
    unit: null,
    help: 'What keeps the tunnel from working, by the code of the error: always 1. Absent while nothing does.',
    labels: ['tunnel', 'code'],
    samples: (report) => (report.problem === null ? [] : [of(report, 1, report.problem.code)]),
  },
  {
    name: 'ttun_tunnel_info',
    type: 'gauge',
    unit: null,
    help: 'What the tunnel joins: its device, both ends as configured, and the address in use for the remote one (empty until it was open). Always 1.',
    labels: ['tunnel', 'device', 'local', 'remote', 'remote_address'],
    samples: (report) => {
      const { device, local, remote, stats } = report;
      return [of(report, 1, device, local, remote, stats?.socket.remote ?? '')];
    },
  },
  measured({
    name: 'ttun_uptime_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'How long the tunnel has been open since it was opened last.',
    labels: [],
    read: ({ uptimeMs }) => [[uptimeMs / 1000]],
  }),
  measured({
    name: 'ttun_received_packets_total',
    type: 'counter',
    unit: 'packets',
    help: 'Packets read: from the device (encap) or from the peer (decap). Each is then counted in ttun_packets_total or ttun_dropped_packets_total.',
    labels: ['direction'],
    read: ({ encap, decap }) => [
      [encap.received, 'encap'],
      [decap.received, 'decap'],
    ],
  }),
  measured({
    name: 'ttun_packets_total',
    type: 'counter',
    unit: 'packets',
    help: 'Inner IP packets that the kernel took: for the peer (encap) or at the device (decap).',
    labels: ['direction'],
    read: ({ encap, decap }) => [
      [encap.packets, 'encap'],
      [decap.packets, 'decap'],
    ],
  }),
  measured({
    name: 'ttun_bytes_total',
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes of the packets of ttun_packets_total, without outer headers.',
    labels: ['direction'],
    read: ({ encap, decap }) => [
      [encap.bytes, 'encap'],
      [decap.bytes, 'decap'],
    ],
  }),
  measured({
    name: 'ttun_dropped_packets_total',
    type: 'counter',
    unit: 'packets',
    help: 'Packets read and then not taken by the kernel, by reason. Every reason is always there.',
    labels: ['direction', 'reason'],
    read: ({ encap, decap }) => [...counts(encap.drops, 'encap'), ...counts(decap.drops, 'decap')],
  }),
  measured({
    name: 'ttun_fragmented_packets_total',
    type: 'counter',
    unit: 'packets',
    help: 'Packets among those sent that were too big for the route and that the kernel sent in fragments.',
    labels: [],
    read: ({ encap }) => [[encap.fragmented]],
  }),
  measured({
    name: 'ttun_syscalls_total',
    type: 'counter',
    unit: 'calls',
    help: 'System calls that moved packets: read from and write to the device, send to and receive from the network.',
    labels: ['call'],
    read: ({ encap, decap }) => [
      [encap.reads, 'read'],
      [encap.sends, 'send'],
      [decap.receives, 'receive'],
      [decap.writes, 'write'],
    ],
  }),
  measured({
    name: 'ttun_socket_errors_total',
    type: 'counter',
    unit: 'errors',
    help: 'Errors that the socket reported, among them answers of the network to datagrams that had been sent well. An errno appears with its first error.',
    labels: ['errno'],
    read: ({ socket }) => counts(socket.errors),
  }),
  measured({
    name: 'ttun_receive_overflow_total',
    type: 'counter',
    unit: 'datagrams',
    help: 'Datagrams lost because the receive buffer of the socket was full. A merged run counts once: a lower bound.',
    labels: [],
    read: ({ socket }) => [[socket.receiveOverflow]],
  }),
  measured({
    name: 'ttun_last_received_timestamp_seconds',
    type: 'gauge',
    unit: 'seconds since the epoch',
    help: 'When the last datagram of the peer came. Absent before the first.',
    labels: [],
    read: ({ decap }) => (decap.lastAt === null ? [] : [[decap.lastAt / 1000]]),
  }),
  measured({
    name: 'ttun_device_mtu_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Largest packet that the device passes whole. Absent while it is deleted.',
    labels: [],
    read: ({ device }) => (device.mtu === 0 ? [] : [[device.mtu]]),
  }),
  measured({
    name: 'ttun_path_mtu_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'MTU of the route to the peer, outer headers included. Absent while there is no route.',
    labels: [],
    read: ({ socket }) => (socket.pathMtu === null ? [] : [[socket.pathMtu]]),
  }),
  measured({
    name: 'ttun_receive_buffer_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Receive buffer of the socket as the kernel tells: twice what was granted.',
    labels: [],
    read: ({ socket }) => [[socket.receiveBuffer]],
  }),
  measured({
    name: 'ttun_send_buffer_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Send buffer of the socket as the kernel tells: twice what was granted.',
    labels: [],
    read: ({ socket }) => [[socket.sendBuffer]],
  }),
  measured({
    name: 'ttun_offload',
    type: 'gauge',
    unit: null,
    help: 'Whether the kernel granted an offload: checksum, tso and uso of the device, segmentation and gro of the socket.',
    labels: ['offload'],
    read: ({ device, socket }) => [
      [isTrue(device.offload.checksum), 'checksum'],
      [isTrue(device.offload.tso), 'tso'],
      [isTrue(device.offload.uso), 'uso'],
      [isTrue(socket.segmentsPerSend > 1), 'segmentation'],
      [isTrue(socket.gro), 'gro'],
    ],
  }),
];

/** A value, and the values of the labels besides `tunnel`. */
type Reading = readonly [value: number, ...labels: string[]];

interface Measurement extends Omit<Metric<TunnelReport>, 'samples'> {
  readonly read: (stats: TunnelStats) => readonly Reading[];
}

/** A metric that is read from the figures of a tunnel, if it has any. */
function measured({ labels, read, ...metric }: Measurement): Metric<TunnelReport> {
  return {
    ...metric,
    labels: ['tunnel', ...labels],
    samples: (report) =>
      report.stats === null
        ? []
        : read(report.stats).map(([value, ...values]) => of(report, value, ...values)),
  };
}

function of({ name }: TunnelReport, value: number, ...labels: readonly string[]): Sample {
  return { labels: [name, ...labels], value };
}

function counts(record: Readonly<Record<string, number>>, ...labels: readonly string[]): readonly Reading[] {
  return Object.entries(record).map(([name, count]) => [count, ...labels, name]);
}

function isTrue(value: boolean): number {
  return value ? 1 : 0;
}
