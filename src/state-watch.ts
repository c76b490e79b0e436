/**
 * Notices changes of state. The packet path tells nobody of them, as that would cost something with each packet; so while
 * somebody wants to know, the state is looked at twice a second.
 */
import type { TunnelState } from './stats.ts';

const INTERVAL_MS = 500;

/** Looks at the state of one tunnel while there is a reason to, without keeping the process alive for it. */
export class StateWatch {
  readonly #read: () => TunnelState;
  readonly #onLook: (state: TunnelState, previous: TunnelState) => void;
  #timer: NodeJS.Timeout | undefined;
  #seen: TunnelState = 'waiting';

  /** `onLook` is called at each look, also when nothing changed since the one before. */
  constructor(read: () => TunnelState, onLook: (state: TunnelState, previous: TunnelState) => void) {
    this.#read = read;
    this.#onLook = onLook;
  }

  /** Changes count from now on. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#seen = this.#read();
    if (this.#seen === 'closed') return;
    this.#timer = setInterval(() => this.look(), INTERVAL_MS).unref();
  }

  look(): void {
    const previous = this.#seen;
    this.#seen = this.#read();
    this.#onLook(this.#seen, previous);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
