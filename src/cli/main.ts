/** The command line: finds out what is asked for, and loads only what that needs. */
import { isIP } from 'node:net';
import { COMMANDS } from './commands/index.ts';
import { parseCommandLine } from './command-line.ts';
import type { Command } from './command-line.ts';
import { sayError } from './talk.ts';
import { UsageError } from './usage-error.ts';

/**
 * Runs one command.
 *
 * @param args what follows the program's name
 * @returns the exit code: 0 for a good end, 1 for any other, 2 when the arguments make no sense
 */
export async function main(args: readonly string[]): Promise<number> {
  const [first = '', second = ''] = args;
  // A device may have the name of a command, and then an address follows.
  const load = isIP(second) === 0 ? COMMANDS.get(first) : undefined;
  try {
    if (load === undefined) return await run(parseCommandLine(args));
    const command = await load();
    return await command.run(args.slice(1));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    sayError(`${error.message} (see ttun ${load === undefined ? '' : `${first} `}--help)`);
    return 2;
  }
}

async function run(command: Command): Promise<number> {
  if (command.name === 'tunnel') {
    const { runTunnel } = await import('./run-tunnel.ts');
    return runTunnel(command);
  }
  if (command.name === 'help') {
    const { HELP } = await import('./help.ts');
    process.stdout.write(HELP);
  } else {
    const { packageVersion } = await import('./version.ts');
    process.stdout.write(`${packageVersion()}\n`);
  }
  return 0;
}
