/** What the server answers to a path. */
import type { TunnelHost, TunnelReport } from '../service/host.ts';
import { formatMetrics, METRICS_CONTENT_TYPE } from './metrics/format.ts';
import { processFacts } from './process-facts.ts';
import type { ProcessFacts } from './process-facts.ts';

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
