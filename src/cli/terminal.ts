/** What is said to the person at the terminal, on standard error. */
import { isatty } from 'node:tty';
import { loadBinding } from '../native.ts';

/** One line about how things go. */
export function say(line: string): void {
  writeLine(`ttun: ${line}`);
}

/** One line about why it cannot go on. */
export function sayError(line: string): void {
  writeLine(`${styleFor(process.stderr)('red', 'ttun:')} ${line}`);
}

let isGuarded = false;

function writeLine(line: string): void {
  if (!isGuarded) {
    // Nobody may be there to read any more, which is no reason to end.
    process.stderr.on('error', () => {});
    isGuarded = true;
  }
  process.stderr.write(`${line}\n`);
}

// Colour and bold type, for terminals alone and never against the user's will (https://no-color.org).

export type Style = 'bold' | 'dim' | 'cyan' | 'green' | 'red' | 'yellow';

/** How to style text that goes to `stream`. */
export function styleFor(stream: { readonly isTTY?: boolean }): (style: Style, text: string) => string {
  const unwanted = (process.env['NO_COLOR'] ?? '') !== '' || process.env['TERM'] === 'dumb';
  if (stream.isTTY !== true || unwanted) return (_style, text) => text;
  return (style, text) => {
    const [on, off] = CODES[style];
    return `\u001B[${on}m${text}\u001B[${off}m`;
  };
}

/** Select graphic rendition (ECMA-48, section 8.3.117): what begins a style, and what ends it. */
const CODES: Readonly<Record<Style, readonly [on: number, off: number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

/** Whether this user's terminal shows more than ASCII: the first of these that is set decides (locale(7)). */
export function isUnicode(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env;
  return /utf-?8/i.test([LC_ALL, LC_CTYPE, LANG].find((value) => (value ?? '') !== '') ?? '');
}

// What becomes of this process when the terminal in which it was started is closed.

/** Those of standard input, output and error that were terminals at the start. */
const TERMINALS = [0, 1, 2].filter((descriptor) => isatty(descriptor));

/** Whether the terminal is gone. The kernel has hung it up before it sends SIGHUP (__tty_hangup in drivers/tty/tty_io.c). */
export function isTerminalGone(): boolean {
  return TERMINALS.some((descriptor) => !isatty(descriptor));
}

/**
 * Ends this process by SIGHUP where its terminal has gone; to be called when all is tidied up. Node resets the terminal as it ends, and
 * aborts with a core dump where there is none any more: ending by the signal, as programs without a handler do, is the clean way.
 */
export function endByHangUp(): void {
  if (TERMINALS.length === 0) return;
  process.removeAllListeners('SIGHUP');
  process.kill(process.pid, 'SIGHUP');
}

/**
 * Standard output may go to where nothing can be written. That a reader has seen enough, as `head` has, is no failure; anything
 * else is told once, and makes the exit code 1. Commands that go on for long have listeners of their own besides.
 */
export function guardOutput(): void {
  let isTold = false;
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE' || isTold) return;
    isTold = true;
    sayError(`standard output cannot be written: ${message}`);
    process.once('exit', () => {
      process.exitCode ||= 1;
    });
  });
}

// How a process ends when nothing may hold that up any more.

/** How long a slow reader of the output is waited for at the end, in ms. */
export const FLUSH_LIMIT_MS = 1000;

/** To be called when all is done: output that nobody takes must not hold up the end of the process. */
export function endSoon(): void {
  setTimeout(() => process.exit(), FLUSH_LIMIT_MS).unref();
}

/**
 * From here on the process ends without waiting for Node's own threads, which may be in a system call without an end: one looks up a
 * name and no server answers, another opens a pipe that nobody reads.
 */
export async function abandonThreadsAtExit(): Promise<void> {
  const binding = await loadBinding();
  process.on('exit', (code) => binding.exitNow(Number(process.exitCode ?? code)));
}
