/** Texts about tunnels that several commands print. */
import { IPV6_MINIMUM_MTU, OUTER_OVERHEAD } from '../address.ts';
import type { ControlError } from '../control/protocol.ts';
import type { TtunError } from '../errors.ts';
import type { TunnelReport } from '../tunnel-host.ts';
import type { DeviceStats, SocketStats, TunnelStats } from '../stats.ts';
import type { Style } from '../terminal.ts';

/** What the tunnel is attached to. */
export function describeAttached({ device, socket }: TunnelStats): string {
  const deviceOffload = listed({
    checksum: device.offload.checksum,
    TSO: device.offload.tso,
    USO: device.offload.uso,
  });
  const socketOffload = listed({ segmentation: socket.segmentsPerSend > 1, GRO: socket.gro });
  return (
    `attached to ${device.name} (mtu ${device.mtu}, offload: ${deviceOffload}), ` +
    `socket ${socket.local} -> ${socket.remote} (offload: ${socketOffload})`
  );
}

/** What to type when full packets of the device do not fit the route to the peer; `null` when they do. */
export function adviseMtu(device: DeviceStats, socket: SocketStats): string | null {
  if (socket.pathMtu === null) return null;
  const fits = socket.pathMtu - OUTER_OVERHEAD[socket.remote.startsWith('[') ? 6 : 4];
  if (device.mtu <= fits) return null;
  const drawback = fits < IPV6_MINIMUM_MTU ? ' (too small for IPv6 in the tunnel)' : '';
  return `packets of more than ${fits} bytes travel in fragments; to avoid that: ip link set ${device.name} mtu ${fits}${drawback}`;
}

/** What happened, and what to do about it where that is known. */
export function describeError({ message, hint }: Pick<TtunError | ControlError, 'message' | 'hint'>): string {
  return hint === undefined || hint === null ? message : `${message}; ${hint}`;
}

/** The state of a tunnel, and the style in which to print it. */
export function describeState({ phase, stats }: Pick<TunnelReport, 'phase' | 'stats'>): {
  readonly text: string;
  readonly style: Style;
} {
  if (phase === 'retrying') return { text: 'down, retrying', style: 'red' };
  if (phase === 'opening') return { text: 'opening', style: 'yellow' };
  if (phase === 'closed' || stats === null || stats.state === 'closed') {
    return { text: 'closed', style: 'red' };
  }
  return stats.state === 'up'
    ? { text: 'up', style: 'green' }
    : { text: 'waiting for the peer', style: 'yellow' };
}

/** What the tunnel carried and what it dropped. */
export function summarise({ device, socket, encap, decap, uptimeMs }: TunnelStats): string[] {
  const lines = [
    `${device.name} closed after ${(uptimeMs / 1000).toFixed(1)} s`,
    `out: ${describeDirection(encap)}`,
    `in: ${describeDirection(decap)}`,
  ];
  const fragmented = `${grouped(encap.fragmented)} packets left in fragments`;
  if (encap.fragmented > 0) lines.push(fragmented);
  const errors = countsByName(socket.errors);
  if (errors !== '') lines.push(`socket errors: ${errors}`);
  if (socket.receiveOverflow > 0) {
    lines.push(`lost to a full receive buffer: at least ${grouped(socket.receiveOverflow)} datagrams`);
  }
  return lines;
}

interface Direction {
  readonly packets: number;
  readonly bytes: number;
  readonly dropped: number;
  readonly drops: Readonly<Record<string, number>>;
}

function describeDirection({ packets, bytes, dropped, drops }: Direction): string {
  const carried = `${grouped(packets)} packets, ${grouped(bytes)} bytes`;
  return dropped === 0
    ? `${carried}, none dropped`
    : `${carried}, ${grouped(dropped)} dropped: ${countsByName(drops)}`;
}

/** `2 malformed, 1 empty`; empty when there is nothing to tell. */
export function countsByName(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${grouped(count)} ${name}`)
    .join(', ');
}

/** `1,234,567`, without loading the tables of Intl for it. */
export function grouped(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}

/** What is there of several: `checksum, TSO`. */
export function listed(offload: Readonly<Record<string, boolean>>): string {
  const names = Object.keys(offload).filter((name) => offload[name] === true);
  return names.length === 0 ? 'none' : names.join(', ');
}

// Amounts as people read them: sizes, times and rates.

/** `84 B`, `1.21 GiB` */
export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 ? value : value.toFixed(2)} ${BYTE_UNITS[unit]}`;
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `0 bit/s`, `840 kbit/s`, `1.21 Gbit/s`: three digits at most. */
export function formatBitRate(bitsPerSecond: number): string {
  let [value, unit] = [bitsPerSecond, 0];
  while (value >= 999.5 && unit < BIT_RATE_UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${threeDigits(value, unit)} ${BIT_RATE_UNITS[unit]}`;
}

const BIT_RATE_UNITS = ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s'];

function threeDigits(value: number, unit: number): string {
  if (unit === 0 || value >= 99.95) return value.toFixed(0);
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

/** `12 seconds`, `3 hours, 12 minutes`: the two largest units. */
export function formatDuration(ms: number): string {
  let left = Math.max(0, Math.floor(ms / 1000));
  const parts: string[] = [];
  for (const [unit, seconds] of TIME_UNITS) {
    const count = Math.floor(left / seconds);
    left -= count * seconds;
    // `1 day` and seconds would be odd: what follows the largest unit is the next smaller one, or nothing.
    if (count > 0) parts.push(`${count} ${unit}${count === 1 ? '' : 's'}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.length === 0 ? '0 seconds' : parts.join(', ');
}

const TIME_UNITS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const;

/** `now`, `12 seconds ago` */
export function formatAgo(ms: number): string {
  return ms < 1000 ? 'now' : `${formatDuration(ms)} ago`;
}

/** `now`, `12 s`, `3 min`, `2 h`, `9 d`: for a column. */
export function formatAgoShort(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return 'now';
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
