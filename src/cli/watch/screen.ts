/** The whole terminal, borrowed: however we end, it is given back as it was. */
import type { ReadStream } from 'node:tty';
import { isUnicode, styleFor } from '../terminal.ts';
import type { Style } from '../terminal.ts';
import { firstOf, lengthOf, toAscii } from './view.ts';
import type { Line } from './view.ts';

/** Control functions of ECMA-48 and xterm's private modes. */
const ALTERNATE_SCREEN = { on: '\u001B[?1049h', off: '\u001B[?1049l' };
const CURSOR = { show: '\u001B[?25h', hide: '\u001B[?25l' };
const HOME = '\u001B[H';
const ERASE_TO_END_OF_LINE = '\u001B[K';
const ERASE_BELOW = '\u001B[J';

/** Of a terminal that does not tell its size, such as a serial console: the kernel then says 0. */
const USUAL_SIZE = { columns: 80, rows: 24 };

export class Screen {
  readonly #output: NodeJS.WriteStream;
  readonly #style: (style: Style, text: string) => string;
  /** As this terminal can show it. */
  readonly #toShown: (text: string) => string;
  #isOpen = false;
  /** Also when an error ends the process; writes to terminals are done at once. */
  readonly #onExit = (): void => this.close();

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
    this.#style = styleFor(output);
    this.#toShown = isUnicode() ? (text) => text : toAscii;
  }

  get columns(): number {
    return this.#output.columns || USUAL_SIZE.columns;
  }

  get rows(): number {
    return this.#output.rows || USUAL_SIZE.rows;
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    process.once('exit', this.#onExit);
    this.#output.write(ALTERNATE_SCREEN.on + CURSOR.hide);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.off('exit', this.#onExit);
    this.#output.write(CURSOR.show + ALTERNATE_SCREEN.off);
  }

  /** Lines that are too long or too many are cut off. */
  draw(lines: readonly Line[]): void {
    if (!this.#isOpen) return;
    const drawn = lines.slice(0, this.rows).map((line) => this.#render(line) + ERASE_TO_END_OF_LINE);
    // No line feed after the last line, which would scroll.
    this.#output.write(HOME + drawn.join('\r\n') + ERASE_BELOW);
  }

  #render(line: Line): string {
    let room = this.columns;
    let rendered = '';
    for (const { text, style } of line) {
      const fits = this.#toShown(firstOf(text, room));
      room -= lengthOf(fits);
      rendered += style === undefined ? fits : this.#style(style, fits);
    }
    return rendered;
  }
}

// What the keys of a terminal ask for.

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
