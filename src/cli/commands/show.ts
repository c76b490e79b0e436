import { survey } from '../../control/client.ts';
import type { Survey } from '../../control/client.ts';
import { ControlError } from '../../control/protocol.ts';
import type { ShowReply } from '../../control/protocol.ts';
import { describeNetworkNamespace, userId } from '../../control/socket-file.ts';
import type { TunnelReport } from '../../tunnel-host.ts';
import type { DeviceStats, TunnelStats } from '../../stats.ts';
import { parseArguments, UsageError } from '../args.ts';
import { runningTunnels, withNames } from '../running.ts';
import type { RunningTunnel } from '../running.ts';
import { say, sayError, styleFor } from '../terminal.ts';
import type { Style } from '../terminal.ts';
import {
  adviseMtu,
  countsByName,
  describeError,
  formatAgo,
  formatBytes,
  formatDuration,
  grouped,
  listed,
} from '../text.ts';
import { SPEC } from './show/spec.ts';

export async function run(args: readonly string[]): Promise<number> {
  const { values, operands: names } = parseArguments(SPEC, args);
  const { watch = false, json = false, interval } = values;
  if (watch) {
    const { runWatch } = await import('../watch/watch.ts');
    return runWatch(names, { json, intervalMs: parseInterval(interval) });
  }
  if (interval !== undefined) throw new UsageError('--interval goes with --watch');
  const found = await survey();
  try {
    const tunnels = withNames(runningTunnels(found), names);
    if (json) printJson(found, names);
    else await printText(tunnels);
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

async function printText(tunnels: readonly RunningTunnel[]): Promise<void> {
  if (tunnels.length === 0) {
    say(noTunnel());
    return;
  }
  const viewer = {
    uid: userId(),
    namespace: (await describeNetworkNamespace()).inode,
    style: styleFor(process.stdout),
  };
  process.stdout.write(`${tunnels.map((tunnel) => describeTunnel(tunnel, viewer)).join('\n\n')}\n`);
}

function noTunnel(): string {
  return userId() === 0
    ? 'no tunnel runs'
    : 'no tunnel of this user runs; those of all users: sudo ttun show';
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

// A tunnel in words, what people ask for first coming first.

/** Who looks, for whom some things go without saying. */
export interface Viewer {
  readonly uid: number;
  /** Inode of the network namespace. */
  readonly namespace: number;
  readonly style: (style: Style, text: string) => string;
}

export function describeTunnel({ report, process }: RunningTunnel, viewer: Viewer): string {
  const { text, style } = describeState(report);
  const rows: Rows = [
    ['state', viewer.style(style, text)],
    ...describeProblem(report, viewer),
    ...(report.stats === null ? describeConfigured(report) : describeStats(report, report.stats)),
    ['process', describeProcess(process, viewer)],
    ...describeHttp(process, viewer),
  ];
  const title = `${viewer.style('bold', 'tunnel')}: ${viewer.style(style, report.name)}`;
  return [title, ...rows.map(([label, value]) => `  ${viewer.style('bold', label)}: ${value}`)].join('\n');
}

type Rows = (readonly [label: string, value: string])[];

function describeProblem({ problem }: TunnelReport, { style }: Viewer): Rows {
  if (problem === null) return [];
  const rows: Rows = [['problem', style('red', problem.message)]];
  return problem.hint === null ? rows : [...rows, ['remedy', problem.hint]];
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
  const advice = adviseMtu(device, socket);
  return [
    ['device', `${device.name} (${describeDevice(device)})`],
    ['local', withConfigured(socket.local, report.local)],
    ['remote', withConfigured(socket.remote, report.remote)],
    ['last heard', decap.lastAt === null ? 'never' : formatAgo(stats.timestamp - decap.lastAt)],
    ['transfer', `${formatBytes(decap.bytes)} received, ${formatBytes(encap.bytes)} sent`],
    ['packets', `${grouped(decap.packets)} received, ${grouped(encap.packets)} sent`],
    ...described('dropped on the way in', countsByName(decap.drops)),
    ...described('dropped on the way out', countsByName(encap.drops)),
    ...counted('lost to a full receive buffer', socket.receiveOverflow, 'at least '),
    ...counted('left in fragments', encap.fragmented, ''),
    ...described('socket errors', countsByName(socket.errors)),
    ...described('advice', advice ?? ''),
    ['uptime', formatDuration(stats.uptimeMs)],
  ];
}

function describeDevice({ mtu, offload: { checksum, tso, uso } }: DeviceStats): string {
  if (mtu === 0) return 'deleted';
  return `mtu ${mtu}, offload: ${listed({ checksum, TSO: tso, USO: uso })}`;
}

/** The address and port in use, and the name that was given for it. */
function withConfigured(used: string, configured: string): string {
  const isName = /[a-z]/i.test(configured) && !configured.startsWith('[');
  return isName ? `${used} (${configured})` : used;
}

function described(label: string, value: string): Rows {
  return value === '' ? [] : [[label, value]];
}

function counted(label: string, count: number, atLeast: string): Rows {
  return count === 0 ? [] : [[label, `${atLeast}${grouped(count)}`]];
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

/** How a tunnel fares, in a word or two: what it does, and once it is open whether the peer is heard. */
export function describeState({ phase, stats }: Pick<TunnelReport, 'phase' | 'stats'>): {
  readonly text: string;
  readonly style: Style;
} {
  if (phase === 'retrying') return { text: 'failed, trying again', style: 'red' };
  if (phase === 'opening') return { text: 'opening', style: 'yellow' };
  if (phase === 'closed' || stats === null || stats.state === 'closed')
    return { text: 'closed', style: 'red' };
  return stats.state === 'up'
    ? { text: 'up', style: 'green' }
    : { text: 'waiting for the peer', style: 'yellow' };
}

/** What the processes answered; with names, only their tunnels of these names. */
export function toDocuments({ replies }: Survey, names: readonly string[]): ShowReply[] {
  const documents = replies.map(({ reply }) => reply);
  if (names.length === 0) return documents;
  return documents
    .map((reply) => ({ ...reply, tunnels: reply.tunnels.filter(({ name }) => names.includes(name)) }))
    .filter(({ tunnels }) => tunnels.length > 0);
}
