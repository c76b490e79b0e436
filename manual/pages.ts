/** The pages of the manual, made from the specs of the commands. */
import { loadSpecs } from '../src/cli/commands/index.ts';
import { PROGRAM } from '../src/cli/program-spec.ts';
import { packageVersion } from '../src/package-version.ts';
import { commandLinePage } from './command-line-page.ts';
import { manPage } from './man-page.ts';

/** When the man page last said something else. */
const DATE = '2026-11-22';

/** The text of each page by its path in the checkout. */
export async function makePages(): Promise<ReadonlyMap<string, string>> {
  const commands = await loadSpecs();
  return new Map([
    ['man/ttun.1', manPage(PROGRAM, commands, { version: packageVersion(), date: DATE })],
    ['docs/command-line.md', commandLinePage(PROGRAM, commands)],
  ]);
}
