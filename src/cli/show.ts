/** `ttun show`: prints the running tunnels. */
import { survey } from '../control/client.ts';
import type { Survey } from '../control/client.ts';
import { ControlError } from '../control/protocol.ts';
import { describeNetworkNamespace, userId } from '../control/socket-file.ts';
import { formatInterval } from '../quantity.ts';
import { STATS } from '../stats-table.ts';
import { valueAt } from '../stats.ts';
import type { DeviceStats, ProbeStats, QueueStats, Stat, TunnelStats } from '../stats.ts';
import { formatBitRate, formatBytes, formatMilliseconds, formatShare } from '../text.ts';
import type { TunnelReport } from '../tunnel-host.ts';
import { say, sayError, styleFor } from '../terminal.ts';
import type { Styler } from '../terminal.ts';
import { parseArguments, UsageError } from './args.ts';
import type { CommandSpec } from './args.ts';
import { toDocuments, withNames } from './running.ts';
import type { RunningTunnel } from './running.ts';
import {
  countsByName,
  describeError,
  formatAgo,
  formatDuration,
  formatTime,
  grouped,
  listed,
  STATE_STYLES,
} from './text.ts';

export const SPEC = {
  name: 'show',
  usage: ['[--json] [name…]', '--watch [--interval <ms>] [--json] [name…]'],
  description: [
    'Shows the running tunnels of this user, or those with the given names: tunnels of ttun up, and tunnels of ttun <tun>, which are named after their device. Root sees the tunnels of all users.',
    'If a peer does not answer, it says what to check on the other host. For tunnels given by name it also shows the history: the last 50 changes.',
    'With --watch, shows current rates and those of the last minute until it is ended. Space pauses, the arrow keys scroll, and q quits.',
  ],
  operands: [
    {
      label: '[name…]',
      description: 'names of tunnels or of their devices; by default, all tunnels',
      completes: 'tunnel',
    },
  ],
  options: {
    watch: { short: 'w', description: 'show live rates on the whole terminal until q or Ctrl-C' },
    interval: {
      short: 'i',
      value: '<ms>',
      description: 'with --watch: the update interval, at least 100 ms; 1000 by default',
    },
    json: {
      description:
        'print a JSON array with an object for each process, described in docs/control-socket.md; with --watch, one line per interval',
    },
  },
  examples: [
    { does: 'Show all tunnels', command: 'ttun show' },
    { does: 'Watch one of them', command: 'ttun show --watch office' },
    {
      does: 'Print the numbers of dropped packets',
      command: "ttun show --json | jq '.[].tunnels[].stats.encap.dropped'",
    },
  ],
  exitCodes: { 1: 'there is no tunnel with that name, or a process does not answer' },
} as const satisfies CommandSpec;

export async function run(args: readonly string[]): Promise<number> {
  const { values, operands: names } = parseArguments(SPEC, args);
  const { watch = false, json = false, interval } = values;
  if (watch) {
    const { runWatch } = await import('./watch.ts');
    return runWatch(names, { json, intervalMs: parseInterval(interval) });
  }
  if (interval !== undefined) throw new UsageError('--interval requires --watch');
  const found = await survey();
  try {
    const tunnels = withNames(found, names);
    if (json) printJson(found, names);
    else if (tunnels.length > 0) await printText(tunnels, names.length > 0);
    else if (found.silent.length === 0) say(noTunnel());
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    sayError(describeError(error));
    return 1;
  }
  return reportSilent(found);
}

function printJson(found: Survey, names: readonly string[]): void {
  process.stdout.write(`${JSON.stringify(toDocuments(found, names), null, 2)}\n`);
}

/** Of tunnels that were asked for by name, the history is shown too. */
async function printText(tunnels: readonly RunningTunnel[], isNamed: boolean): Promise<void> {
  const viewer = {
    uid: userId(),
    namespace: (await describeNetworkNamespace()).inode,
    style: styleFor(process.stdout),
  };
  const now = Date.now();
  const texts = tunnels.map((tunnel) => {
    const text = describeTunnel(tunnel, viewer);
    return isNamed ? [text, ...describeHistory(tunnel.report, viewer, now)].join('\n') : text;
  });
  process.stdout.write(`${texts.join('\n\n')}\n`);
}

function noTunnel(): string {
  return userId() === 0
    ? 'no tunnel is running'
    : 'no tunnel of this user is running; for those of all users: sudo ttun show';
}

function reportSilent({ silent }: Survey): number {
  for (const { error } of silent) sayError(error.message);
  return silent.length === 0 ? 0 : 1;
}

const DEFAULT_INTERVAL_MS = 1000;
const INTERVAL_LIMITS = { least: 100, most: 3_600_000 };

function parseInterval(text = String(DEFAULT_INTERVAL_MS)): number {
  const ms = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  const { least, most } = INTERVAL_LIMITS;
  if (ms >= least && ms <= most) return ms;
  throw new UsageError(`--interval: '${text}' is not a number of milliseconds from ${least} to ${most}`);
}

// A tunnel in words, the most important facts first.

/** The user of `ttun show`: their own user ID and namespace are not mentioned. */
export interface Viewer {
  readonly uid: number;
  /** Inode of the network namespace. */
  readonly namespace: number;
  readonly style: Styler;
}

export function describeTunnel({ report, process }: RunningTunnel, viewer: Viewer): string {
  const style = STATE_STYLES[report.state];
  const rows: Rows = [
    ['state', viewer.style(style, report.stateText)],
    ...describeProblem(report, viewer),
    ...(report.stats === null ? describeConfigured(report) : describeStats(report, report.stats)),
    ['process', describeProcess(process, viewer)],
    ...describeHttp(process, viewer),
  ];
  const title = `${viewer.style('bold', 'tunnel')}: ${viewer.style(style, report.name)}`;
  return [title, ...rows.map(([label, value]) => `  ${viewer.style('bold', label)}: ${value}`)].join('\n');
}

type Rows = (readonly [label: string, value: string])[];

function describeProblem({ problem, diagnosis }: TunnelReport, { style }: Viewer): Rows {
  if (problem === null) return diagnosis === null ? [] : [['peer', style('yellow', diagnosis)]];
  const rows: Rows = [['problem', style('red', problem.message)]];
  return problem.hint === null ? rows : [...rows, ['remedy', problem.hint]];
}

/** The last changes, the oldest first; none if there are none. */
export function describeHistory({ history }: TunnelReport, { style }: Viewer, now: number): string[] {
  if (history.length === 0) return [];
  const lines = history.map(({ at, level, message }) => {
    const text = level === 'warning' ? style('yellow', message) : message;
    return `    ${formatTime(at, now)}  ${level === 'error' ? style('red', message) : text}`;
  });
  return [`  ${style('bold', 'history')}:`, ...lines];
}

function describeConfigured({ device, local, remote }: TunnelReport): Rows {
  return [
    ['device', device],
    ['local', local],
    ['remote', remote],
  ];
}

function describeStats(report: TunnelReport, stats: TunnelStats): Rows {
  const { device, socket, encap, decap } = stats;
  return [
    ['device', `${device.name} (${describeDevice(device)})`],
    ['local', withConfigured(socket.local, report.local)],
    ['remote', withConfigured(socket.remote, report.remote)],
    ['last heard', decap.lastAt === null ? 'never' : formatAgo(stats.timestamp - decap.lastAt)],
    ...describeProbe(stats.probe, stats.timestamp),
    ['transfer', `${formatBytes(decap.bytes)} received, ${formatBytes(encap.bytes)} sent`],
    ['packets', `${grouped(decap.packets)} received, ${grouped(encap.packets)} sent`],
    ...describeQueue(stats.queue),
    ...described('dropped when receiving', countsByName(decap.drops)),
    ...described('dropped when sending', countsByName(encap.drops)),
    ...STATS.flatMap((stat) => describeCounter(stats, stat)),
    ...(report.advice === null
      ? []
      : [['advice', `${report.advice.text}: ${report.advice.command}`] as const]),
    ['uptime', formatDuration(stats.uptimeMs)],
  ];
}

function describeDevice({ index, mtu, offload: { checksum, tso, uso } }: DeviceStats): string {
  if (index === 0) return 'deleted';
  if (mtu === 0) return 'in another network namespace';
  return `mtu ${mtu}, offload: ${listed({ checksum, TSO: tso, USO: uso })}`;
}

/** The address in use, and the host name that was configured, if any. */
function withConfigured(used: string | null, configured: string): string {
  if (used === null) return 'not known yet (learn)';
  const isName = /[a-z]/i.test(configured) && !configured.startsWith('[');
  return isName ? `${used} (${configured})` : used;
}

function described(label: string, value: string): Rows {
  return value === '' ? [] : [[label, value]];
}

/** `1,234 times`, `1 time`, `1 reply` */
function quantity(count: number, unit: string): string {
  return `${grouped(count)} ${count === 1 ? unit.replace(/ies$/, 'y').replace(/s$/, '') : unit}`;
}

/** A counter with its own line, once it has counted something. */
function describeCounter(stats: TunnelStats, { path, kind, label, unit }: Stat): Rows {
  if (label === '' || (kind !== 'counter' && kind !== 'errors')) return [];
  const value = valueAt(stats, path);
  if (typeof value === 'number') return value === 0 ? [] : [[label, quantity(value, unit)]];
  return described(label, countsByName(Object(value)));
}

function describeProcess(process: RunningTunnel['process'], viewer: Viewer): string {
  const { inode, name } = process.networkNamespace;
  const parts = [`${process.pid}`];
  if (process.config !== null) parts.push(process.config);
  if (inode !== viewer.namespace) parts.push(`network namespace ${name ?? inode}`);
  if (process.uid !== viewer.uid) parts.push(`user ${process.uid}`);
  return parts.join(', ');
}

function describeHttp({ http }: RunningTunnel['process'], { style }: Viewer): Rows {
  return http === null || http.problem === null ? [] : [['http', style('red', http.problem.message)]];
}

/** Rows of the probe; none without one. */
function describeProbe(probe: ProbeStats, now: number): [label: string, value: string][] {
  const { address, source, intervalMs, lastAt, rttMs, jitterMs, loss, lost, sent } = probe;
  if (address === null) return [];
  const every = formatInterval(intervalMs ?? 0);
  const from = source === null ? '' : ` from ${source}`;
  const answered = lastAt === null ? 'never answered' : `last answer ${formatAgo(now - lastAt)}`;
  const rows: [string, string][] = [['probe', `${address}${from} every ${every}, ${answered}`]];
  const { min, p50, p99, max } = rttMs;
  if (min !== null && p50 !== null && p99 !== null && max !== null) {
    const range = `${formatMilliseconds(min)} to ${formatMilliseconds(max)}`;
    const jitter = jitterMs === null ? '' : `, jitter ${formatMilliseconds(jitterMs)}`;
    const times = `median ${formatMilliseconds(p50)}, 99 % in ${formatMilliseconds(p99)}, ${range}${jitter}`;
    rows.push(['round trip', times]);
  }
  if (loss !== null) {
    rows.push(['probes lost', `${formatShare(loss)} lately, ${grouped(lost)} of ${grouped(sent)} in all`]);
  }
  return rows;
}

/** Rows of the queue before the socket; none if no packet ever waited, and no rate is configured. */
function describeQueue(queue: QueueStats): [label: string, value: string][] {
  const { packets, delayed, rate, drainRate } = queue;
  const rows: [string, string][] = [];
  if (packets + delayed > 0) rows.push(['queue', `${describeWaiting(queue)}${describeDelay(queue)}`]);
  if (rate !== null) rows.push(['rate', `paced to ${formatBitRate(rate)}`]);
  if (drainRate !== null)
    rows.push(['link rate', `${formatBitRate(drainRate)}, when packets last waited for it`]);
  return rows;
}

function describeWaiting({ packets, bytes }: QueueStats): string {
  if (packets === 0) return 'empty';
  return `${packets === 1 ? '1 packet waits' : `${grouped(packets)} packets wait`} (${formatBytes(bytes)})`;
}

function describeDelay({ delayed, delaySum, sojournMaxMs }: QueueStats): string {
  if (delayed === 0) return '';
  const mean = formatMilliseconds(delaySum / 1000 / delayed);
  const longest = formatMilliseconds(sojournMaxMs ?? 0);
  return `; ${grouped(delayed)} waited, ${mean} on average, ${longest} at most`;
}
