/** How long to wait before a tunnel that failed is tried again: longer each time, until it has run well for a while. */
export class Backoff {
  #nextMs = FIRST_MS;

  /** @param ranMs how long the tunnel ran before it failed; 0 when it could not be opened */
  afterFailure(ranMs: number): number {
    if (ranMs >= RAN_WELL_MS) this.#nextMs = FIRST_MS;
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(delayMs * 2, LONGEST_MS);
    return delayMs;
  }
}

const FIRST_MS = 1000;
const LONGEST_MS = 30_000;
const RAN_WELL_MS = 60_000;
