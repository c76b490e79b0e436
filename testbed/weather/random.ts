/** Random choices that a seed determines. */

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, but not including, 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d_2b_79_f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** From `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** `undefined` if there is nothing to choose from. */
  pick<T>(from: readonly T[]): T | undefined {
    return from[this.integer(0, from.length - 1)];
  }

  /** Chooses each with a probability in proportion to its weight. */
  weighted<T extends { readonly weight: number }>(from: readonly T[]): T | undefined {
    let rest = this.next() * from.reduce((sum, { weight }) => sum + weight, 0);
    return from.find(({ weight }) => (rest -= weight) < 0) ?? from.at(-1);
  }
}
