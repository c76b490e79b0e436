/** The command line: finds out what is asked for, and loads only what that needs. */
import { isIP } from 'node:net';
import { TtunError } from '../errors.ts';
import { UsageError } from './args.ts';
import { COMMANDS } from './commands/index.ts';
import { parseCommandLine } from './seed.ts';
import { guardOutput, sayError } from './terminal.ts';
import { describeError } from './text.ts';
import { refuseMistypedCommand } from './unknown-command.ts';

/**
 * Runs one command.
 *
 * @param args what follows the program's name
 * @returns the exit code: 0 for a good end, 1 for any other, 2 when the arguments make no sense
 */
export async function main(args: readonly string[]): Promise<number> {
  guardOutput();
  const name = commandIn(args);
  try {
    if (asksForHelp(args)) {
      if (name === undefined) refuseMistypedCommand(args);
      const { printHelp } = await import('./print-help.ts');
      await printHelp(name);
      return 0;
    }
    if (name === undefined) return await runProgram(args);
    const command = await COMMANDS.get(name)?.run();
    return (await command?.run(args.slice(1))) ?? 2;
  } catch (error) {
    if (error instanceof TtunError) {
      sayError(describeError(error));
      return 1;
    }
    if (!(error instanceof UsageError)) throw error;
    // The help of `help` tells nothing that the general one does not.
    const about = name === undefined || name === 'help' ? '' : `${name} `;
    sayError(`${error.message} (see ttun ${about}--help)`);
    return 2;
  }
}

/** A device may have the name of a command, and then an address follows. */
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
