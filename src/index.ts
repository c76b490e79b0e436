import { resolveOptions } from './config/resolve-options.ts';
import { openTunnel } from './open-tunnel.ts';
import type { TunnelOptions } from './options.ts';
import type { CreateTunnelSettings, Tunnel } from './tunnel.ts';

export type { CreateTunnelSettings, Tunnel, TunnelEnd, TunnelEvents } from './tunnel.ts';
export type { InterfaceOptions, OffloadOptions, TunnelOptions } from './options.ts';
export type {
  DecapDropReason,
  DecapRates,
  DecapStats,
  DeviceStats,
  EncapDropReason,
  EncapRates,
  EncapStats,
  SocketRates,
  SocketStats,
  StatsOptions,
  TunnelRates,
  TunnelState,
  TunnelStats,
} from './stats.ts';
export { diffStats } from './rates.ts';
export type { SamplesOptions, TunnelSample } from './rates.ts';
export { loadConfig, parseConfig, TtunConfigError } from './config/index.ts';
export type { Config, ConfigFormat, ConfigProblem, ParseSettings } from './config/index.ts';
export { TtunError } from './errors.ts';
export type { TtunErrorCode, TtunErrorDetails } from './errors.ts';

/**
 * Attaches to a TUN device, opens the socket, and starts to carry packets both ways.
 *
 * When the remote end is given by a name that can't be resolved yet, it is tried again, after 1 s at first and every 30 s in
 * the end, until it can be or the signal is aborted.
 *
 * Rejects with a `TtunError` that says why the tunnel cannot be opened, or with the signal's reason when it is aborted
 * before the tunnel is open; nothing is left open in either case.
 */
export async function createTunnel(
  options: TunnelOptions,
  settings: CreateTunnelSettings = {},
): Promise<Tunnel> {
  settings.signal?.throwIfAborted();
  return openTunnel(resolveOptions(options), settings);
}
