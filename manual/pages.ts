/** The pages of the manual, made from the specs of the commands. */
import { readFile } from 'node:fs/promises';
import { loadSpecs } from '../src/cli/commands/index.ts';
import { PROGRAM } from '../src/cli/seed.ts';
import { VERSION } from '../src/native.ts';
import { commandLinePage } from './command-line-page.ts';
import { configPage } from './config-page.ts';
import type { JsonSchema } from './config-page.ts';
import { manPage } from './man-page.ts';

/** When the man pages last said something else. */
const DATE = '2026-11-22';

/** The text of each page by its path in the checkout. */
export async function makePages(): Promise<ReadonlyMap<string, string>> {
  const commands = await loadSpecs();
  const edition = { version: VERSION, date: DATE };
  const schema: JsonSchema = JSON.parse(await read('schema/ttun.schema.json'));
  return new Map([
    ['man/ttun.1', manPage(PROGRAM, commands, edition)],
    ['man/ttun.toml.5', configPage(schema, exampleIn(await read('README.md')), edition)],
    ['docs/command-line.md', commandLinePage(PROGRAM, commands)],
  ]);
}

function read(path: string): Promise<string> {
  return readFile(new URL(`../${path}`, import.meta.url), 'utf8');
}

/** The first file that the README shows. */
function exampleIn(readme: string): string {
  const [, example] = /```toml\n(.*?)```/s.exec(readme) ?? [];
  if (example === undefined) throw new Error('the README shows no configuration file');
  return example;
}
