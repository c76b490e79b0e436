/** What is told of the process as a whole. */
import { hostname } from 'node:os';
import { packageVersion } from '../package-version.ts';

export interface ProcessFacts {
  /** Of ttun. */
  readonly version: string;
  /** Of Node. */
  readonly node: string;
  readonly pid: number;
  /** Name of the host. */
  readonly host: string;
  /** When these figures were taken, in ms since the epoch. */
  readonly timestamp: number;
  /** When the process started, in ms since the epoch. */
  readonly startedAt: number;
  /** How long it has run, in ms of monotonic time. */
  readonly uptimeMs: number;
  /** Processor time taken by all its threads, in s. */
  readonly cpuSeconds: number;
  /** Memory in RAM, in bytes. */
  readonly residentBytes: number;
}

const VERSION = packageVersion();

export function processFacts(): ProcessFacts {
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
