import { COMMANDS, loadSpecs } from './commands/index.ts';
import { formatHelp, formatProgramHelp } from './help.ts';
import { PROGRAM } from './seed.ts';
import { noSuchCommand } from './unknown-command.ts';

/**
 * Prints the help of a command on standard output; without a name that of the program.
 *
 * @throws UsageError when there is no such command
 */
export async function printHelp(name: string | undefined): Promise<void> {
  process.stdout.write(
    name === undefined ? formatProgramHelp(PROGRAM, await loadSpecs()) : await commandHelp(name),
  );
}

async function commandHelp(name: string): Promise<string> {
  const command = COMMANDS.get(name);
  if (command === undefined) throw noSuchCommand(name);
  const { SPEC } = await command.spec();
  return formatHelp(SPEC);
}
