/** The document at `/stats`: the process and its tunnels. */
import { hostname } from 'node:os';
import { VERSION } from '../native.ts';
import { SHOWN_VALUES } from '../tunnel-host.ts';
import type { ShownValue, TunnelHost, TunnelReport } from '../tunnel-host.ts';

export interface StatsDocument {
  readonly process: ProcessStats;
  readonly tunnels: readonly TunnelReport[];
  /** Labels of the statistics that the page shows in a list, and of all drop reasons. */
  readonly values: readonly ShownValue[];
}

export function readStats(host: TunnelHost): StatsDocument {
  return { process: readProcessStats(), tunnels: host.reports(), values: SHOWN_VALUES };
}

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
