/** The sentences of the tunnel command. */
import type { ControlError } from '../control/error.ts';
import type { TtunError } from '../errors.ts';
import { IPV6_MINIMUM_MTU, OUTER_OVERHEAD } from '../mtu.ts';
import type { DeviceStats, SocketStats, TunnelStats } from '../stats.ts';

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

/** What the tunnel carried, and what it did not. */
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
