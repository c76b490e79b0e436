/** The command line: determines which command to run, and loads only the modules it needs. */
import { isIP } from 'node:net';
import { TtunError } from '../errors.ts';
import { guardOutput, sayError } from '../terminal.ts';
import { suggest } from '../text.ts';
import { noSuchCommand, UsageError } from './args.ts';
import { COMMANDS } from './commands.ts';
import { isAddressLike, parseCommandLine } from './tunnel-arguments.ts';
import { describeError } from './text.ts';

/**
 * Runs one command.
 *
 * @param args what follows the program's name
 * @returns the exit code: 0 on success, 1 on failure, 2 for invalid arguments
 */
export async function main(args: readonly string[]): Promise<number> {
  guardOutput();
  const name = commandIn(args);
  try {
    if (name === undefined) refuseMistypedCommand(args);
    if (asksForHelp(args)) {
      const { printHelp } = await import('./help.ts');
      await printHelp(name, COMMANDS);
      return 0;
    }
    if (name === undefined) return await runProgram(args);
    const command = await COMMANDS.get(name)?.load();
    return (await command?.run(args.slice(1), COMMANDS)) ?? 2;
  } catch (error) {
    if (error instanceof TtunError) {
      sayError(describeError(error));
      return 1;
    }
    if (!(error instanceof UsageError)) throw error;
    // `ttun help --help` says nothing about commands.
    const about = name === undefined || name === 'help' ? '' : `${name} `;
    sayError(`${error.message} (see ttun ${about}--help)`);
    return 2;
  }
}

/** A device may have the same name as a command; an address follows it then. */
function commandIn([first = '', second = '']: readonly string[]): string | undefined {
  return isIP(second) === 0 && COMMANDS.has(first) ? first : undefined;
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  const options = end === -1 ? args : args.slice(0, end);
  return options.includes('--help') || options.includes('-h');
}

async function runProgram(args: readonly string[]): Promise<number> {
  const commandLine = parseCommandLine(args);
  if (commandLine.name === 'tunnel') {
    const { runTunnel } = await import('./run-tunnel.ts');
    return runTunnel(commandLine);
  }
  const { printVersion } = await import('./version.ts');
  return printVersion(commandLine.form);
}

/**
 * Where a device is expected, the user may have mistyped a command. The arguments of a tunnel include an address, and most devices
 * have a number at the end.
 *
 * @throws UsageError
 */
function refuseMistypedCommand(args: readonly string[]): void {
  const words = args.filter((arg) => !arg.startsWith('-'));
  const [word, ...others] = words;
  if (word === undefined || /\d$/.test(word) || others.some(isAddressLike)) return;
  if (COMMANDS.has(word)) {
    const rest = args.toSpliced(args.indexOf(word), 1);
    throw new UsageError(`options come after the command; type: ttun ${[word, ...rest].join(' ')}`);
  }
  if (suggest(word, COMMANDS.keys()) !== null) throw noSuchCommand(word, COMMANDS);
  if (others.length > 0) return;
  throw new UsageError(
    `there is no command '${word}'; for a tunnel on a device of this name: ttun ${word} <local-ip> <local-port> <remote-ip> <remote-port>`,
  );
}
