/** docs/installing.md shows the messages and hints as they are. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { PLATFORMS } from '../../scripts/lib/platforms.mjs';
import {
  BUILT,
  MUSL,
  VERSION,
  failure,
  fileFor,
  newProgram,
  packageFor,
  putPlatform,
  setVersion,
} from './layout.ts';
import type { Circumstances, Program } from './layout.ts';

const X64 = { cpu: 'x64' };

const built = (): Promise<Buffer> => readFile(BUILT.path);

/** What causes the documented cases, in their order. */
const CASES: ReadonlyArray<(program: Program) => Promise<Circumstances>> = [
  async () => X64,
  async ({ modules }) => {
    await putPlatform(modules, 'x64-gnu');
    return { ...X64, maps: MUSL };
  },
  async ({ modules }) => {
    await putPlatform(modules, 'x64-gnu');
    return { cpu: 'arm64' };
  },
  async () => ({ cpu: 'riscv64' }),
  async ({ modules, root }) => {
    await putPlatform(modules, BUILT.platform, await built());
    await setVersion(root, '1.2.4');
    return {};
  },
  async ({ modules }) => {
    await putPlatform(modules, BUILT.platform, '<html>'.repeat(1000));
    return {};
  },
  async ({ modules }) => {
    await rm(join(await putPlatform(modules, 'x64-gnu'), fileFor('x64-gnu')));
    return X64;
  },
  async ({ modules }) => {
    const newer = (await built()).toString('latin1').replaceAll(/GLIBC_2\.\d\d/g, 'GLIBC_2.99');
    await putPlatform(modules, BUILT.platform, Buffer.from(newer, 'latin1'));
    return {};
  },
  async ({ modules }) => {
    const folder = await putPlatform(modules, BUILT.platform, await built());
    const mount = 'mount --bind "$0" "$0" && mount -o remount,bind,noexec "$0" && exec "$@"';
    return { within: ['unshare', '--mount', 'sh', '-c', mount, folder] };
  },
  async ({ modules }) => {
    await putPlatform(modules, BUILT.platform, await built());
    return { options: ['--no-addons'] };
  },
  async ({ root }) => {
    await mkdir(join(root, 'crates'));
    return { cwd: root };
  },
  async () => ({ system: 'darwin' }),
];

test('each case is documented with its message and hint', async (t) => {
  const rows = [
    ...(await section('When it is missing')).matchAll(
      /^\|[^|]+\| (`+)(?<message>.+?)\1 \| `(?<hint>.+?)` \|$/gm,
    ),
  ].map(({ groups = {} }) => [groups['message'], groups['hint']]);
  const actual = await Promise.all(
    CASES.map(async (arrange) => {
      const program = await newProgram(t);
      const circumstances = { cwd: program.cwd, ...(await arrange(program)) };
      const { message, hint } = await failure(program.root, circumstances);
      return [message, hint].map((text) => asDocumented(text, program));
    }),
  );
  t.deepEqual(rows, actual);
});

/** Without what differs between machines. */
function asDocumented(text: string, { cwd }: Program): string {
  return text
    .replaceAll(cwd, '/home/alice/app')
    .replaceAll(packageFor(BUILT.platform), packageFor('x64-gnu'))
    .replaceAll(fileFor(BUILT.platform), fileFor('x64-gnu'))
    .replaceAll(VERSION, '1.2.3')
    .replace(/\/\S+\/libc\.so\.6/, '/lib64/libc.so.6')
    .replace('GLIBC_2.99', 'GLIBC_2.34');
}

test('the documented packages are those that exist', async (t) => {
  const cells = [...(await section('Installing')).matchAll(/(?<=\| )`@ttun\/binding-(?<name>[\w-]+)` \|/g)];
  const named = cells.map(({ groups }) => groups?.['name'] ?? '');
  t.deepEqual(named.toSorted(), PLATFORMS.map(({ name }) => name).toSorted());
});

/** The text below a heading. */
async function section(title: string): Promise<string> {
  const text = await readFile(new URL('../../docs/installing.md', import.meta.url), 'utf8');
  return text.split(/^#+ /m).find((part) => part.startsWith(title)) ?? '';
}
