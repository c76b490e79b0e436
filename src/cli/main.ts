/** The command line: finds out what is asked for, and loads only what that needs. */
import { isIP } from 'node:net';
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
  const [first, second = ''] = args;
  // A device may be called lab, and then an address follows.
  if (first === 'lab' && isIP(second) === 0) {
    const { runLab } = await import('../lab/index.ts');
    return runLab(args.slice(1));
  }
  try {
    return await run(parseCommandLine(args));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    sayError(`${error.message} (see ttun --help)`);
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
