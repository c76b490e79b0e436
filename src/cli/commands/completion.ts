import { suggest } from '../../text.ts';
import { parseArguments, UsageError } from '../args.ts';
import type { Vocabulary } from '../completion/vocabulary.ts';
import { SPEC } from './completion/spec.ts';

export async function run(args: readonly string[]): Promise<number> {
  const [what = ''] = parseArguments(SPEC, args).operands;
  const print = PRINTS.get(what);
  if (print === undefined) {
    const meant = suggest(what, PRINTS.keys());
    const question = meant === null ? 'there is for bash, zsh and fish' : `did you mean ${meant}?`;
    throw new UsageError(`there is no completion for '${what}'; ${question}`);
  }
  process.stdout.write(await print());
  return 0;
}

const PRINTS: ReadonlyMap<string, () => Promise<string>> = new Map([
  ['bash', async () => (await import('../completion/bash.ts')).bashScript(await vocabulary())],
  ['zsh', async () => (await import('../completion/zsh.ts')).zshScript(await vocabulary())],
  ['fish', async () => (await import('../completion/fish.ts')).fishScript(await vocabulary())],
  ['tunnels', async () => (await import('../completion/vocabulary.ts')).runningTunnels()],
]);

async function vocabulary(): Promise<Vocabulary> {
  const { loadVocabulary } = await import('../completion/vocabulary.ts');
  return loadVocabulary();
}
