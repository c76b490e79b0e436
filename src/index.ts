export { createTunnel } from './tunnel.ts';
export type { CreateTunnelSettings, Tunnel, TunnelEnd, TunnelEvents } from './tunnel.ts';
export type { InterfaceOptions, OffloadOptions, TunnelOptions } from './options.ts';
export type {
  DecapDropReason,
  DecapStats,
  DeviceStats,
  EncapDropReason,
  EncapStats,
  SocketStats,
  StatsOptions,
  TunnelState,
  TunnelStats,
} from './stats.ts';
export { diffStats } from './rates.ts';
export type { DecapRates, EncapRates, SocketRates, TunnelRates } from './rates.ts';
export type { SamplesOptions, TunnelSample } from './rates.ts';
export { loadConfig, parseConfig, TtunConfigError } from './config/index.ts';
export type { Config, ConfigFormat, ConfigProblem, ParseSettings } from './config/index.ts';
export { TtunError } from './errors.ts';
export type { TtunErrorCode, TtunErrorDetails } from './errors.ts';
