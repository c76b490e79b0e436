/** Rates: how fast counters increased between two snapshots. */
import { checkSignal, TtunError } from './errors.ts';
import { toRates } from './stats-table.ts';
import type { TunnelRates, TunnelStats } from './stats-table.ts';

/**
 * The rates between two snapshots, from `stats()` with or without `{ bigint: true }`.
 *
 * If the tunnel was closed and opened again between them, the rates are those since it was opened, so they are never negative.
 *
 * @throws RangeError if `after` was taken before `before`
 */
export function diffStats(
  before: TunnelStats | TunnelStats<bigint>,
  after: TunnelStats | TunnelStats<bigint>,
): TunnelRates {
  const since = before.openedAt === after.openedAt ? before : null;
  const intervalMs = after.uptimeMs - (since?.uptimeMs ?? 0);
  if (intervalMs < 0) {
    throw new RangeError('the second snapshot was taken before the first; pass the earlier one first');
  }
  const perSecond = (was: Count | undefined, is: Count): number =>
    intervalMs === 0 ? 0 : (rise(was ?? 0, is) * 1000) / intervalMs;
  const eachPerSecond = <Name extends string>(
    was: Readonly<Record<Name, Count>> | undefined,
    is: Readonly<Record<Name, Count>>,
  ): Record<Name, number> => mapValues(is, (value, name) => perSecond(was?.[name], value));
  return { intervalMs, ...toRates(since, after, perSecond, eachPerSecond) };
}

type Count = number | bigint;

/** Exact where both are integers of the same kind. */
function rise(was: Count, is: Count): number {
  if (typeof was === 'bigint' || typeof is === 'bigint') return Number(BigInt(is) - BigInt(was));
  return is - was;
}

function mapValues<Name extends string>(
  values: Readonly<Record<Name, Count>>,
  change: (value: Count, name: Name) => number,
): Record<Name, number> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it gets all the names below
  const changed = {} as Record<Name, number>;
  for (const name in values) changed[name] = change(values[name], name);
  return changed;
}

// Statistics at equal intervals.

/** Settings of `samples()`. */
export interface SamplesOptions {
  /** Time between samples, in ms, from 1 to 2,147,483,647. Default 1000. */
  readonly intervalMs?: number;
  /** Aborting it ends the samples. */
  readonly signal?: AbortSignal | undefined;
}

/** The statistics of a tunnel, and its rates. */
export interface TunnelSample {
  /** When the sample was taken, in ms since the epoch: the `timestamp` of `stats`. */
  readonly at: number;
  /** The statistics at that time. */
  readonly stats: TunnelStats;
  /** The rates since the previous sample, or for the first one, since the loop began. */
  readonly rate: TunnelRates;
}

/** Samples the result of `read`, for the last time when `ended` is aborted. */
export function takeSamples(
  read: () => TunnelStats,
  ended: AbortSignal,
  { intervalMs = 1000, signal }: SamplesOptions,
): AsyncGenerator<TunnelSample, void, void> {
  if (!(Number.isFinite(intervalMs) && intervalMs >= 1 && intervalMs <= LONGEST_INTERVAL_MS)) {
    throw new TtunError('ERR_TTUN_INVALID_OPTIONS', `intervalMs: ${intervalMs} is not an interval`, {
      hint: `give milliseconds, from 1 to ${LONGEST_INTERVAL_MS}`,
    });
  }
  checkSignal(signal);
  return generate(read, ended, intervalMs, signal);
}

async function* generate(
  read: () => TunnelStats,
  ended: AbortSignal,
  intervalMs: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<TunnelSample, void, void> {
  const stops = signal === undefined ? [ended] : [ended, signal];
  const start = performance.now();
  let before = read();
  let turn = 0;
  for (;;) {
    // Skips the turns that passed while the consumer was busy, and does not repeat one whose timer fired early.
    turn = Math.max(turn + 1, Math.ceil((performance.now() - start) / intervalMs));
    await pause(start + turn * intervalMs - performance.now(), stops);
    if (signal?.aborted === true) return;
    const stats = read();
    yield { at: stats.timestamp, stats, rate: diffStats(before, stats) };
    if (stats.state === 'closed') return;
    before = stats;
  }
}

/** Resolves after `ms`, or as soon as one of the signals is aborted. */
function pause(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    if (signals.some(({ aborted }) => aborted)) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    for (const signal of signals) signal.addEventListener('abort', done);
  });
}

/** The longest delay that setTimeout accepts, about 25 days. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;
