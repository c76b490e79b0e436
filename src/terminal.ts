/** The terminal and the standard streams of this process: messages, colours, signals, and how it ends. */
import { fstatSync } from 'node:fs';
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { loadBinding } from './native.ts';
import type { ChangeLevel } from './tunnel.ts';

/** Prints a message on standard error, with its priority if that is the journal. */
export function say(line: string, level: ChangeLevel = 'info'): void {
  const isAlarming = level === 'error' || level === 'warning';
  const program = isAlarming ? styleFor(process.stderr)('red', 'ttun:') : 'ttun:';
  writeLine(`${program} ${line}`, level);
}

/** Prints an error on standard error. */
export function sayError(line: string): void {
  say(line, 'error');
}

/** Priorities of syslog(3). */
const PRIORITIES: Readonly<Record<ChangeLevel, number>> = { error: 3, warning: 4, notice: 5, info: 6 };

/** Whether standard error is the journal itself, not a file or pipe of a program that systemd started (systemd.exec(5), JOURNAL_STREAM). */
function isJournal(): boolean {
  const stream = process.env['JOURNAL_STREAM'];
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(process.stderr.fd, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

let isGuarded = false;
let isPrioritized: boolean | undefined;

function writeLine(line: string, level: ChangeLevel): void {
  if (!isGuarded) {
    // A closed standard error does not end the process.
    process.stderr.on('error', () => {});
    isGuarded = true;
  }
  isPrioritized ??= isJournal();
  const priority = isPrioritized ? `<${PRIORITIES[level]}>` : '';
  // Each line of the journal is a message of its own.
  process.stderr.write(`${priority}${line.replaceAll('\n', `\n${priority}`)}\n`);
}

/** Whether this process fails when its output cannot be written. */
let isOutputNeeded = true;

/**
 * Handles errors of standard output. A reader that has seen enough, such as `head`, is not a failure; any other error is reported
 * once and makes the exit code 1, unless the process continues without output. Long-running commands add listeners of their own.
 */
export function guardOutput(): void {
  let isReported = false;
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE' || isReported) return;
    isReported = true;
    sayError(`cannot write to standard output: ${message}`);
    if (!isOutputNeeded) return;
    process.once('exit', () => {
      process.exitCode ||= 1;
    });
  });
}

/** From now on, output that cannot be written affects neither this process, which runs tunnels, nor its exit code. */
export function continueWithoutOutput(): void {
  isOutputNeeded = false;
}

// Colours, only on terminals and never with NO_COLOR (https://no-color.org).

export type Style = 'bold' | 'dim' | 'cyan' | 'green' | 'red' | 'yellow';

/** Applies a style to text. */
export type Styler = (style: Style, text: string) => string;

/** The styler for text that is written to `stream`. */
export function styleFor(stream: { readonly isTTY?: boolean }): Styler {
  const isPlain = (process.env['NO_COLOR'] ?? '') !== '' || process.env['TERM'] === 'dumb';
  if (stream.isTTY !== true || isPlain) return (_style, text) => text;
  return (style, text) => {
    const [on, off] = CODES[style];
    return `\u001B[${on}m${text}\u001B[${off}m`;
  };
}

/** Select graphic rendition (ECMA-48, section 8.3.117): the codes that begin and end each style. */
const CODES: Readonly<Record<Style, readonly [on: number, off: number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

/** Whether the locale is UTF-8: the first of these variables that is set decides (locale(7)). */
export function isUnicode(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env;
  return /utf-?8/i.test([LC_ALL, LC_CTYPE, LANG].find((value) => (value ?? '') !== '') ?? '');
}

// Signals.

/** SIGHUP is included because a closed terminal would otherwise kill the process and leave the device's offloads on. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Signals within this time of the first, in ms, have the same cause: timeout(1) signals both its child and its process group, and
 * systemd with SendSIGHUP=yes sends SIGHUP right after SIGTERM.
 */
const SAME_CAUSE_MS = 500;

/**
 * Aborts on the first signal that requests shutdown, with the signal's name as the reason. A later signal ends the process at once,
 * with the exit code that shells report for it; one within SAME_CAUSE_MS is ignored.
 */
export function abortOnSignals(signals: readonly (typeof SIGNALS)[number][] = SIGNALS): AbortSignal {
  const controller = new AbortController();
  let isLater = false;
  const onSignal = (signal: (typeof SIGNALS)[number]): void => {
    if (isLater) process.exit(128 + constants.signals[signal]);
    if (controller.signal.aborted) return;
    // The immediate comes after the signals that arrived while closing kept the event loop busy.
    setTimeout(() => setImmediate(() => (isLater = true)).unref(), SAME_CAUSE_MS).unref();
    controller.abort(signal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return controller.signal;
}

/** Those of standard input, output and error that were terminals at the start. */
const TERMINALS = [0, 1, 2].filter((descriptor) => isatty(descriptor));

/** Whether the terminal was closed. The kernel hangs it up before it sends SIGHUP (__tty_hangup in drivers/tty/tty_io.c). */
export function isTerminalGone(): boolean {
  return TERMINALS.some((descriptor) => !isatty(descriptor));
}

/**
 * Ends this process by SIGHUP if it was started in a terminal; call it after cleaning up. Node resets the terminal when it exits, and
 * aborts with a core dump if the terminal is gone. Ending by the signal, as programs without a handler do, avoids that.
 */
export function endByHangUp(): void {
  if (TERMINALS.length === 0) return;
  process.removeAllListeners('SIGHUP');
  process.kill(process.pid, 'SIGHUP');
}

// Exit without waiting.

/** How long to wait at the end for a slow reader of the output, in ms. */
export const FLUSH_LIMIT_MS = 1000;

/** Ends the process even if nothing reads its output; call it when everything is done. */
export function endSoon(): void {
  setTimeout(() => process.exit(), FLUSH_LIMIT_MS).unref();
}

/**
 * From here on the process exits without waiting for Node's own threads, which may be blocked in a system call: looking up a name
 * while no server answers, or opening a pipe that has no reader.
 */
export async function abandonThreadsAtExit(): Promise<void> {
  const binding = loadBinding();
  process.on('exit', (code) => binding.exitNow(Number(process.exitCode ?? code)));
}
