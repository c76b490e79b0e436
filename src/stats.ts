/**
 * The statistics of a tunnel. The build generates their types, in stats-table.ts, from the table in crates/ttun-core/src/stats.rs, which
 * declares every value once.
 */
import type { TunnelStats } from './stats-table.ts';

export type * from './stats-table.ts';

/** Settings of `stats()`. */
export interface StatsOptions {
  /** Counters as bigints, which are exact up to 2^64, rather than numbers. Default `false`. */
  readonly bigint?: boolean;
}

/** The value at a path of the table, such as `encap.drops.too-big`. */
export function valueAt(stats: TunnelStats, path: string): unknown {
  return path.split('.').reduce<unknown>((inside, name) => Object(inside)[name], stats);
}
