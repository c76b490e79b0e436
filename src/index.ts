export { TtunError } from './errors.ts';
export type { TtunErrorCode, TtunErrorDetails } from './errors.ts';
export type { InterfaceOptions, OffloadOptions, TunnelOptions } from './options.ts';
export type {
  DecapDropReason,
  DecapStats,
  DeviceStats,
  EncapDropReason,
  EncapStats,
  SocketStats,
  TunnelStats,
} from './stats.ts';
export { createTunnel } from './tunnel.ts';
export type { CreateTunnelSettings, Tunnel, TunnelEnd } from './tunnel.ts';
