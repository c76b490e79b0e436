/** docs/installing.md tells what is said where the native part is missing, as it is said. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { PLATFORMS } from '../../scripts/lib/platforms.mjs';
import { failure, MUSL, newFolder, newProgram, putPlatform, putTtun } from './layout.ts';

const DOCUMENT = new URL('../../docs/installing.md', import.meta.url);

test('what the document quotes is what is said', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  const said = [
    await failure(root, { cwd, cpu: 'x64' }),
    await failure(root, { cwd, cpu: 'riscv64' }),
    await failureInCheckout(),
  ];
  await putPlatform(modules, 'x64-gnu');
  said.push(await failure(root, { cwd, cpu: 'x64', maps: MUSL }));

  const text = await readFile(DOCUMENT, 'utf8');
  for (const { message, hint } of said) {
    t.true(text.includes(`\`${general(message)}\``), message);
    t.true(
      text.includes(
        `\`${general(hint)
          .replace(/^.*?: /, '')
          .replace('in a checkout of ttun: ', '')}\``,
      ),
      hint,
    );
  }

  async function failureInCheckout(): Promise<{ message: string; hint: string }> {
    const checkout = await newFolder(t);
    await putTtun(checkout);
    await mkdir(join(checkout, 'crates'));
    return failure(checkout);
  }
});

/** Without the version of the package that is laid out. */
function general(words: string): string {
  return words.replaceAll('1.2.3', 'VERSION');
}

test('the document names the packages that there are', async (t) => {
  const text = await readFile(DOCUMENT, 'utf8');
  const named = [...text.matchAll(/`@ttun\/binding-(linux-\w+-\w+)` \|/g)].flatMap(([, name = '']) => name);
  t.deepEqual(named.toSorted(), PLATFORMS.map(({ name }) => name).toSorted());
});
