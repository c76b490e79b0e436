/** Figures at equal intervals, for as long as somebody takes them. */
import { TtunError } from './errors.ts';
import { diffStats } from './rates.ts';
import type { TunnelRates } from './rates.ts';
import type { TunnelStats } from './stats.ts';

/** How often, and for how long, samples are taken. */
export interface SamplesOptions {
  /** Time from one sample to the next, in ms, from 1 to 2,147,483,647. Default 1000. */
  readonly intervalMs?: number;
  /** Aborting it ends the samples. */
  readonly signal?: AbortSignal | undefined;
}

/** What a tunnel counted, and how fast. */
export interface TunnelSample {
  /** When the sample was taken, in ms since the epoch: the `timestamp` of `stats`. */
  readonly at: number;
  /** The figures of that instant. */
  readonly stats: TunnelStats;
  /** The rates since the sample before, or since the first was asked for. */
  readonly rate: TunnelRates;
}

/** Samples what `read` gives, the last time once `ended` is aborted. */
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
    // Turns that passed while the consumer was busy are left out; a timer that fired too early has had its turn.
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

/** The longest that setTimeout takes, about 25 days. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;
