/** What the server answers to a path. */
import { readdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { extname, join } from 'node:path';
import { packageFile, VERSION } from '../native.ts';
import type { TunnelHost, TunnelReport } from '../service/host.ts';
import { formatMetrics, METRICS_CONTENT_TYPE } from './metrics.ts';

export interface Content {
  readonly type: string;
  readonly body: string | Buffer;
}

/** What `/stats` holds, as JSON. */
export interface StatsDocument {
  readonly process: ProcessFacts;
  readonly tunnels: readonly TunnelReport[];
}

export type Route = () => Content;

export function routesFor(host: TunnelHost, page: ReadonlyMap<string, Content>): ReadonlyMap<string, Route> {
  return new Map<string, Route>([
    ...[...page].map(([path, content]) => [path, () => content] as const),
    ['/metrics', () => ({ type: METRICS_CONTENT_TYPE, body: formatMetrics(host.reports(), processFacts()) })],
    [
      '/stats',
      () => ({ type: 'application/json; charset=utf-8', body: `${JSON.stringify(statsOf(host))}\n` }),
    ],
  ]);
}

function statsOf(host: TunnelHost): StatsDocument {
  return { process: processFacts(), tunnels: host.reports() };
}

// The files of the page, which browsers load as they are.

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The page by the paths at which it is served. Read once: what is served is what was there at the start. */
export async function readPage(): Promise<ReadonlyMap<string, Content>> {
  const folder = packageFile('page');
  const names = await readdir(folder);
  return new Map(
    await Promise.all(
      names.map(async (name): Promise<[path: string, content: Content]> => {
        const type = TYPES[extname(name)] ?? 'application/octet-stream';
        const path = name === 'index.html' ? '/' : `/page/${name}`;
        return [path, { type, body: await readFile(join(folder, name)) }];
      }),
    ),
  );
}

// What is told of the process as a whole.

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
