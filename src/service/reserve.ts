/**
 * File descriptors reserved for everything but tunnels: if the limit is too low, `ttun show` and metrics still answer, and say why
 * tunnels are not open.
 */
import { closeSync, openSync } from 'node:fs';

/** For a few connections and files at once. */
const RESERVED = 8;

/** Holds descriptors while tunnels are being opened, so that this many are left afterwards. */
export class DescriptorReserve {
  #holders = 0;
  #held: number[] = [];

  /**
   * @returns what releases them; it may be called twice
   * @throws the error of the system if fewer are left; then no tunnel is to be opened
   */
  take(): () => void {
    if (this.#holders === 0) this.#fill();
    this.#holders += 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holders -= 1;
      if (this.#holders === 0) this.#empty();
    };
  }

  #fill(): void {
    try {
      while (this.#held.length < RESERVED) this.#held.push(openSync('/dev/null', 'r'));
    } catch (error) {
      this.#empty();
      throw error;
    }
  }

  #empty(): void {
    for (const descriptor of this.#held.splice(0)) closeSync(descriptor);
  }
}
