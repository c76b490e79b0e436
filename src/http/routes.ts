/** What the HTTP server serves: `/stats`, `/metrics`, and the files of the page. */
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { packageFile } from '../native.ts';
import { SHOWN_VALUES } from '../tunnel-host.ts';
import type { ShownValue, TunnelHost, TunnelReport } from '../tunnel-host.ts';
import { formatMetrics, METRICS_CONTENT_TYPE } from './metrics.ts';
import { readProcessStats } from './process.ts';
import type { ProcessStats } from './process.ts';

export interface Content {
  readonly type: string;
  readonly body: string | Buffer;
}

/** By path; called for each request. */
export type Routes = ReadonlyMap<string, () => Content>;

/** The JSON document at `/stats`. */
export interface StatsDocument {
  readonly process: ProcessStats;
  readonly tunnels: readonly TunnelReport[];
  /** What to show of the statistics in lines of their own, the reasons of drops among them. */
  readonly values: readonly ShownValue[];
}

/** Reads the page's files once, so that a running server is not affected by an update. */
export async function loadRoutes(host: TunnelHost): Promise<Routes> {
  const routes = new Map<string, () => Content>([
    ['/metrics', () => metrics(host)],
    ['/stats', () => stats(host)],
  ]);
  const folder = packageFile('page');
  for (const name of await readdir(folder)) {
    const type = TYPES[extname(name)] ?? 'application/octet-stream';
    const content = { type, body: await readFile(join(folder, name)) };
    routes.set(name === 'index.html' ? '/' : `/page/${name}`, () => content);
  }
  return routes;
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

function metrics(host: TunnelHost): Content {
  return { type: METRICS_CONTENT_TYPE, body: formatMetrics(host.reports(), readProcessStats()) };
}

function stats(host: TunnelHost): Content {
  const [process, tunnels] = [readProcessStats(), host.reports()];
  const document: StatsDocument = { process, tunnels, values: SHOWN_VALUES };
  return { type: 'application/json; charset=utf-8', body: `${JSON.stringify(document)}\n` };
}
