/** Full-screen output and keys of a terminal, which is restored however the process ends. */
import type { ReadStream } from 'node:tty';
import { isUnicode, styleFor } from '../terminal.ts';
import type { Style, Styler } from '../terminal.ts';

/** A line of the screen: pieces of text with their styles. */
export type Line = readonly Piece[];

export interface Piece {
  readonly text: string;
  readonly style?: Style;
}

/** Control functions of ECMA-48 and xterm's private modes. */
const ALTERNATE_SCREEN = { on: '\u001B[?1049h', off: '\u001B[?1049l' };
const CURSOR = { show: '\u001B[?25h', hide: '\u001B[?25l' };
const HOME = '\u001B[H';
const ERASE_TO_END_OF_LINE = '\u001B[K';
const ERASE_BELOW = '\u001B[J';

/** For terminals of unknown size, such as serial consoles; the kernel reports 0 for them. */
const DEFAULT_SIZE = { columns: 80, rows: 24 };

export class Screen {
  readonly #output: NodeJS.WriteStream;
  readonly #style: Styler;
  /** Replaces characters that the terminal cannot show. */
  readonly #toDisplayable: (text: string) => string;
  #isOpen = false;
  /** For errors that end the process; writes to terminals are synchronous. */
  readonly #onExit = (): void => this.close();

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
    this.#style = styleFor(output);
    this.#toDisplayable = isUnicode() ? (text) => text : toAscii;
  }

  get columns(): number {
    return this.#output.columns || DEFAULT_SIZE.columns;
  }

  get rows(): number {
    return this.#output.rows || DEFAULT_SIZE.rows;
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

  /** Cuts off lines that are too long, and lines below the screen. */
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
      const fits = this.#toDisplayable(firstOf(text, room));
      room -= lengthOf(fits);
      rendered += style === undefined ? fits : this.#style(style, fits);
    }
    return rendered;
  }
}

/** The action of a key. */
export type KeyAction = 'quit' | 'pause' | 'suspend' | 'redraw' | Motion;

export type Motion = 'up' | 'down' | 'page-up' | 'page-down' | 'top' | 'bottom';

/** Reads keys from a terminal, one by one and without echo, between `begin` and `end`. */
export class Keys {
  readonly #input: ReadStream;
  readonly #onData: (data: Buffer) => void;
  #isReading = false;

  constructor(input: ReadStream, onKey: (action: KeyAction) => void) {
    this.#input = input;
    this.#onData = (data) => {
      for (const action of actionsIn(data.toString())) onKey(action);
    };
  }

  begin(): void {
    // Without a terminal there are no keys, and Ctrl-C is a signal.
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
export function actionsIn(typed: string): KeyAction[] {
  const keys = typed.match(KEY) ?? [];
  return keys.map((key) => ACTIONS.get(key)).filter((action) => action !== undefined);
}

/** A control sequence, an SS3 sequence (ECMA-48, section 5.4; xterm's application cursor keys), or a single character. */
// oxlint-disable-next-line no-control-regex -- what a terminal sends for a key begins with one
const KEY = /\u001B(?:\[[0-9;]*[A-Za-z~]|O[A-Z])|./gsu;

/** In raw mode, Ctrl-C and Ctrl-Z cause no signals. */
const ACTIONS: ReadonlyMap<string, KeyAction> = new Map([
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

// Text measured in characters, each of which takes one cell.

export function lengthOf(text: string): number {
  return Array.from(text).length;
}

/** The first `count` characters. */
function firstOf(text: string, count: number): string {
  return Array.from(text).slice(0, count).join('');
}

/** For ASCII-only terminals: characters of the view become similar ones, all others question marks. */
function toAscii(text: string): string {
  return text.replaceAll(/[^ -~]/gu, (character) => ASCII.get(character) ?? '?');
}

const ASCII: ReadonlyMap<string, string> = new Map([
  ...Array.from('▁▂▃▄▅▆▇█', (bar, index): [string, string] => [bar, '_.:-=+*#'.charAt(index)]),
  ['…', '~'],
  ['–', '-'],
  ['↑', '^'],
  ['↓', 'v'],
]);

/** Text in one line, with … at the end if it was cut off. */
export function shorten(text: string, width: number): string {
  const line = text.replaceAll(/\s+/g, ' ');
  if (lengthOf(line) <= width) return line;
  return width === 0 ? '' : `${firstOf(line, width - 1)}…`;
}
