/** Never run: compiling it shows that the public types say what they should. */
import { createTunnel, TtunError } from '../../src/index.ts';
import type {
  DecapDropReason,
  EncapDropReason,
  Tunnel,
  TtunErrorCode,
  TunnelOptions,
  TunnelStats,
} from '../../src/index.ts';

const options: TunnelOptions = { device: 'tun0', local: '192.0.2.1:8000', remote: '192.0.2.2:8000' };

export async function useTunnel(): Promise<void> {
  await using tunnel: Tunnel = await createTunnel(options, { signal: AbortSignal.timeout(1000) });
  const stats: TunnelStats = tunnel.unref().ref().stats();
  const drops: Record<EncapDropReason, number> = stats.encap.drops;
  const reason: DecapDropReason = 'source-not-allowed';
  const refused: number | undefined = stats.socket.errors['ECONNREFUSED'];
  const lastAt: number | null = stats.decap.lastAt;

  // @ts-expect-error A snapshot cannot be changed.
  stats.encap.packets = 0;
  // @ts-expect-error There is no such reason.
  const unknownReason = stats.decap.drops['lost'];
  // @ts-expect-error There is no such state.
  const isDown = stats.state === 'down';

  const end = await tunnel.closed;
  // @ts-expect-error Only a tunnel that failed has an error.
  const early = end.error;
  const code: TtunErrorCode | null = end.reason === 'failed' ? end.error.code : null;

  void [drops, reason, refused, lastAt, unknownReason, isDown, early, code];
}

export function matchError(error: unknown): string {
  if (!(error instanceof TtunError)) return '';
  // @ts-expect-error The set of codes is closed.
  if (error.code === 'ERR_TTUN_OTHER') return '';
  return `${error.syscall ?? ''} ${error.errno ?? 0} ${error.hint ?? ''}`;
}

// @ts-expect-error Three options are required.
export const incomplete: TunnelOptions = { device: 'tun0' };

// @ts-expect-error Unknown options are refused by the types too.
export const unknown: TunnelOptions = { ...options, mtu: 1400 };

// @ts-expect-error An offload that is not there.
export const unknownOffload: TunnelOptions = { ...options, offload: { gso: true } };
