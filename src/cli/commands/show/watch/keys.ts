/** What the keys of a terminal ask for. */
import type { ReadStream } from 'node:tty';

export type Wish = 'quit' | 'pause' | 'suspend' | 'redraw' | Motion;

export type Motion = 'up' | 'down' | 'page-up' | 'page-down' | 'top' | 'bottom';

/** Reads keys from a terminal, one by one and without showing them, between `begin` and `end`. */
export class Keys {
  readonly #input: ReadStream;
  readonly #onData: (data: Buffer) => void;
  #isReading = false;

  constructor(input: ReadStream, onWish: (wish: Wish) => void) {
    this.#input = input;
    this.#onData = (data) => {
      for (const wish of wishesIn(data.toString())) onWish(wish);
    };
  }

  begin(): void {
    // Where input is not from a terminal there are no keys, and Ctrl-C is a signal.
    if (!this.#input.isTTY || this.#isReading) return;
    this.#isReading = true;
    this.#input.on('data', this.#onData);
    this.#input.setRawMode(true);
    this.#input.resume();
  }

  end(): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    this.#input.off('data', this.#onData);
    this.#input.setRawMode(false);
    this.#input.pause();
  }
}

/** A terminal sends the sequence of a key at once, so an escape that nothing follows is the Esc key. */
export function wishesIn(typed: string): Wish[] {
  const keys = typed.match(KEY) ?? [];
  return keys.map((key) => WISHES.get(key)).filter((wish) => wish !== undefined);
}

/** A control sequence or one of SS3 (ECMA-48, section 5.4; xterm's application cursor keys), or a single character. */
// oxlint-disable-next-line no-control-regex -- what a terminal sends for a key begins with one
const KEY = /\u001B(?:\[[0-9;]*[A-Za-z~]|O[A-Z])|./gsu;

/** In raw mode the terminal makes no signals of Ctrl-C and Ctrl-Z. */
const WISHES: ReadonlyMap<string, Wish> = new Map([
  ['q', 'quit'],
  ['Q', 'quit'],
  ['\u001B', 'quit'],
  ['\u0003', 'quit'],
  ['\u0004', 'quit'],
  ['\u001A', 'suspend'],
  ['\u000C', 'redraw'],
  [' ', 'pause'],
  ['p', 'pause'],
  ['k', 'up'],
  ['\u001B[A', 'up'],
  ['\u001BOA', 'up'],
  ['j', 'down'],
  ['\u001B[B', 'down'],
  ['\u001BOB', 'down'],
  ['\u001B[5~', 'page-up'],
  ['\u001B[6~', 'page-down'],
  ['g', 'top'],
  ['\u001B[H', 'top'],
  ['\u001B[1~', 'top'],
  ['G', 'bottom'],
  ['\u001B[F', 'bottom'],
  ['\u001B[4~', 'bottom'],
]);
