/** What is said to the person at the terminal, on standard error. */
import { styleFor } from './style.ts';

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
