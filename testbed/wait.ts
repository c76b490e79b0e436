/** Waiting for a condition, with a limit, instead of sleeping for a guessed time. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** Give up after this many milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** Delay between two probes, in milliseconds. Default 10. */
  readonly everyMs?: number;
}

type NotYet = undefined | null | false;

export const DEFAULT_TIMEOUT_MS = 10_000;

/** Calls `probe` repeatedly until it returns something other than `undefined`, `null` or `false`, and resolves to that. */
export async function waitFor<T>(
  what: string,
  probe: () => T | NotYet | Promise<T | NotYet>,
  { timeoutMs = DEFAULT_TIMEOUT_MS, everyMs = 10 }: WaitOptions = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== null && found !== false) {
      return found;
    }
    if (performance.now() >= deadline) {
      throw new Error(`timed out after ${timeoutMs} ms waiting for ${what}`);
    }
    await sleep(everyMs);
  }
}

/** Resolves as `promise` does, or rejects after `timeoutMs`. `describe` may add what was seen meanwhile. */
export async function withLimit<T>(
  promise: Promise<T>,
  timeoutMs: number,
  describe: () => string,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`timed out after ${timeoutMs} ms waiting for ${describe()}`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
