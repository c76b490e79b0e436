/** What is remembered of a tunnel while it is watched: how much it carried over the last minute. */
import { diffStats } from '../../../../rates.ts';
import type { TunnelRates } from '../../../../rates.ts';
import type { TunnelStats } from '../../../../stats.ts';

export const REMEMBERED_MS = 60_000;

export class History {
  /** Between the last two looks; `null` before there were two. */
  rates: TunnelRates | null = null;
  #last: TunnelStats | null = null;
  /** The oldest first. */
  #samples: Sample[] = [];

  /** @param now in ms of a clock that only goes forward */
  add(stats: TunnelStats | null, now: number): void {
    this.rates = stats === null || this.#last === null ? null : ratesBetween(this.#last, stats);
    this.#last = stats;
    this.#samples = this.#samples.filter(({ at }) => now - at < REMEMBERED_MS);
    if (this.rates === null) return;
    this.#samples.push({ at: now, bits: 8 * (this.rates.encap.bytes + this.rates.decap.bytes) });
  }

  /**
   * The last minute in `count` parts, the oldest first: the highest rate of each in bit/s, or `null` where nobody looked.
   * The parts keep their bounds as time goes on, so that what was drawn moves, but does not change.
   */
  inParts(count: number, now: number): (number | null)[] {
    const length = REMEMBERED_MS / count;
    const current = Math.floor(now / length);
    const parts = Array.from({ length: count }, (): number | null => null);
    for (const { at, bits } of this.#samples) {
      const index = count - 1 - (current - Math.floor(at / length));
      if (index >= 0) parts[index] = Math.max(parts[index] ?? 0, bits);
    }
    return parts;
  }
}

/** `null` for figures that go back in time, as no process tells them that means well. */
function ratesBetween(before: TunnelStats, after: TunnelStats): TunnelRates | null {
  const goesOn = before.openedAt !== after.openedAt || before.uptimeMs <= after.uptimeMs;
  return goesOn ? diffStats(before, after) : null;
}

interface Sample {
  readonly at: number;
  readonly bits: number;
}
