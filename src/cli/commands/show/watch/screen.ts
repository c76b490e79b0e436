/** The whole terminal, borrowed: however we end, it is given back as it was. */
import { isUnicode } from '../../../locale.ts';
import type { Style } from '../../../style.ts';
import { styleFor } from '../../../style.ts';
import { firstOf, lengthOf, toAscii } from './characters.ts';
import type { Line } from './table.ts';

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
