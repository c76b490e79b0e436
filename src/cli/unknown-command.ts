/** Words that were meant as commands. */
import { isIP } from 'node:net';
import { suggest } from '../text.ts';
import { COMMANDS } from './commands/index.ts';
import { UsageError } from './args.ts';

export function noSuchCommand(name: string): UsageError {
  const meant = suggest(name, COMMANDS.keys());
  return new UsageError(`there is no command '${name}'${meant === null ? '' : `; did you mean ${meant}?`}`);
}

/**
 * Where a device is expected, people may also have mistyped a command. The arguments of a tunnel tell themselves by an address
 * among them, and devices mostly by a number at the end.
 *
 * @throws UsageError
 */
export function refuseMistypedCommand(args: readonly string[]): void {
  const words = args.filter((arg) => !arg.startsWith('-'));
  const [word, ...others] = words;
  if (word === undefined || /\d$/.test(word) || others.some(isAddressLike)) return;
  if (COMMANDS.has(word)) {
    throw new UsageError(
      `a command comes before its options; type: ttun ${[word, ...without(args, word)].join(' ')}`,
    );
  }
  if (suggest(word, COMMANDS.keys()) !== null) throw noSuchCommand(word);
  if (others.length > 0) return;
  throw new UsageError(
    `there is no command '${word}'; for a tunnel of a device of this name, type: ttun ${word} <local-ip> <local-port> <remote-ip> <remote-port>`,
  );
}

function isAddressLike(text: string): boolean {
  return isIP(text) !== 0 || /[.:]/.test(text);
}

function without(args: readonly string[], word: string): readonly string[] {
  return args.toSpliced(args.indexOf(word), 1);
}
