/** The process that runs the tunnels, as /stats and /metrics report it. */
import { hostname } from 'node:os';
import { VERSION } from '../native.ts';

export interface ProcessStats {
  /** Version of ttun. */
  readonly version: string;
  /** Version of Node. */
  readonly node: string;
  readonly pid: number;
  /** Name of the host. */
  readonly host: string;
  /** When these values were read, in ms since the epoch. */
  readonly timestamp: number;
  /** When the process started, in ms since the epoch. */
  readonly startedAt: number;
  /** Time since then, in ms, by the monotonic clock. */
  readonly uptimeMs: number;
  /** CPU time of all threads, in seconds. */
  readonly cpuSeconds: number;
  /** Resident memory, in bytes. */
  readonly residentBytes: number;
}

export function readProcessStats(): ProcessStats {
  const { user, system } = process.cpuUsage();
  return {
    version: VERSION,
    node: process.versions.node,
    pid: process.pid,
    host: hostname(),
    timestamp: Date.now(),
    startedAt: Math.round(performance.timeOrigin),
    uptimeMs: Math.round(performance.now()),
    cpuSeconds: (user + system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
  };
}
