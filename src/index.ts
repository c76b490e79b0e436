/** The package. */
import type { TunnelOptions } from './options.ts';
import { resolveOptions } from './config/resolve.ts';
import { checkSignal } from './errors.ts';
import { openTunnel } from './open-tunnel.ts';
import type { CreateTunnelSettings, Tunnel } from './tunnel.ts';

/**
 * Attaches to a TUN device, opens the socket, and starts to carry packets both ways.
 *
 * If the host name of the peer cannot be resolved yet, it is retried, after 1 s at first and later every 30 s, until it can be
 * or the signal is aborted.
 *
 * Rejects with a `TtunError` that says why the tunnel cannot be opened, or with the signal's reason if it is aborted before
 * the tunnel is open. Either way, nothing is left open.
 */
export async function createTunnel(
  options: TunnelOptions,
  settings: CreateTunnelSettings = {},
): Promise<Tunnel> {
  checkSignal(settings.signal);
  settings.signal?.throwIfAborted();
  return openTunnel(resolveOptions(options), settings);
}

export type {
  ChangeLevel,
  CreateTunnelSettings,
  MeasurePathOptions,
  Tunnel,
  TunnelChange,
  TunnelChangeKind,
  TunnelEnd,
  TunnelEvents,
} from './tunnel.ts';
export type { InterfaceOptions, OffloadOptions, ProbeOptions, TunnelOptions } from './options.ts';
export type { LargestPacket, LongerPackets } from './path-lengths.ts';
export type { EcnTreatment, PathMeasurement, PathRtt } from './path.ts';
export type {
  DecapDropReason,
  DecapRates,
  DecapStats,
  DeviceStats,
  EncapDropReason,
  EncapRates,
  EncapStats,
  ProbeBucket,
  ProbeRates,
  ProbeStats,
  QueueRates,
  QueueStats,
  SocketRates,
  SocketStats,
  StatsOptions,
  TunnelRates,
  TunnelState,
  TunnelStats,
} from './stats.ts';
export { diffStats } from './rates.ts';
export type { SamplesOptions, TunnelSample } from './rates.ts';
export { loadConfig } from './config/load.ts';
export { parseConfig, TtunConfigError } from './config/parse.ts';
export type { Config, ConfigFormat, ConfigProblem, ParseSettings } from './config/parse.ts';
export { TtunError } from './errors.ts';
export type { TtunErrorCode, TtunErrorDetails } from './errors.ts';
