/** The transcript of the lab, printed and recorded step by step. */
import type { WriteStream } from 'node:tty';

/** Something that the lab expected did not happen; the message is one line for the user. */
export class LabFailure extends Error {
  override readonly name = 'LabFailure';
}

/** A command that the lab ran, as in the JSON document. */
export interface CommandRecord {
  command: string;
  /** Null when a signal ended it, or it was left running. */
  exitCode: number | null;
  /** Its output, line by line. */
  output: string[];
}

/** Something that was expected to happen, and whether it did. */
export interface CheckRecord {
  ok: boolean;
  text: string;
}

export interface StepRecord {
  number: number;
  title: string;
  commands: CommandRecord[];
  checks: CheckRecord[];
}

type Style = 'bold' | 'dim' | 'red' | 'green' | 'cyan';

const codes: Record<Style, [on: number, off: number]> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  cyan: [36, 39],
};

/** Prints the lab as numbered steps for people, and records them for programs. */
export class Transcript {
  readonly steps: StepRecord[] = [];
  readonly #stream: WriteStream;
  readonly #coloured: boolean;

  constructor(stream: WriteStream) {
    this.#stream = stream;
    this.#coloured = stream.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
  }

  title(text: string): void {
    this.#print(this.#paint('bold', text));
  }

  /** Begins a step; `why` explains it. */
  step(title: string, ...why: string[]): void {
    const number = this.steps.length + 1;
    this.steps.push({ number, title, commands: [], checks: [] });
    this.#print('');
    this.#print(this.#paint('bold', `${String(number).padStart(2)}. ${title}`));
    for (const line of why) this.note(line);
  }

  note(text: string): void {
    this.#print(`    ${this.#paint('dim', text)}`);
  }

  /** A command that is about to run, below a remark on it. */
  command(command: string, remark = ''): void {
    if (remark) this.note(`# ${remark}`);
    this.#print(`    ${this.#paint('dim', '$')} ${this.#paint('cyan', command)}`);
  }

  /** The output of a command, or a part of it. */
  output(lines: string[]): void {
    for (const line of lines) this.#print(`      ${line}`);
  }

  record(record: CommandRecord): void {
    this.steps.at(-1)?.commands.push(record);
  }

  failed(text: string): void {
    this.#check({ ok: false, text });
  }

  /** Reports that what was expected happened. @throws LabFailure when it did not */
  expect(ok: boolean, success: string, failure: string): void {
    if (!ok) throw new LabFailure(failure);
    this.#check({ ok: true, text: success });
  }

  /** A table of a check mark and two columns; a value may have several lines. */
  table(rows: readonly { name: string; lines: readonly string[]; ok: boolean }[]): void {
    const width = Math.max(...rows.map(({ name }) => name.length));
    for (const { name, lines, ok } of rows) {
      for (const [index, line] of lines.entries()) {
        const head = index === 0 ? `${this.#mark(ok)} ${name.padEnd(width)}` : ' '.repeat(width + 2);
        this.#print(`    ${head}   ${line}`);
      }
    }
  }

  line(text = ''): void {
    this.#print(text);
  }

  #check(check: CheckRecord): void {
    this.steps.at(-1)?.checks.push(check);
    this.#print(`    ${this.#mark(check.ok)} ${check.text}`);
  }

  #mark(ok: boolean): string {
    return ok ? this.#paint('green', '✓') : this.#paint('red', '✗');
  }

  #paint(style: Style, text: string): string {
    const [on, off] = codes[style];
    return this.#coloured ? `\u001B[${on}m${text}\u001B[${off}m` : text;
  }

  #print(line: string): void {
    this.#stream.write(`${line.trimEnd()}\n`);
  }
}
