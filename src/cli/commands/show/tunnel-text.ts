/** A tunnel in words, what people ask for first coming first. */
import type { TunnelReport } from '../../../service/host.ts';
import type { DeviceStats, TunnelStats } from '../../../stats.ts';
import { formatAgo, formatBytes, formatDuration } from '../../quantities.ts';
import type { RunningTunnel } from '../../running.ts';
import type { Style } from '../../style.ts';
import { adviseMtu, countsByName, grouped, listed } from '../../wording.ts';
import { describeState } from './state.ts';

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
