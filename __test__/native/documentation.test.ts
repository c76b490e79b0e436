/** docs/installing.md shows what ttun says, and the commands that it names, as they are. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { PLATFORMS } from '../../scripts/lib/platforms.mjs';
import { INSTALLED } from './installed.ts';
import {
  BUILT,
  MACHINES,
  MUSL,
  failure,
  fileFor,
  newProgram,
  packageFor,
  putPlatform,
  sharedLibrary,
} from './layout.ts';
import type { Circumstances, Program } from './layout.ts';

const X64 = { cpu: 'x64' };

/** What brings the documented cases about, in their order. */
const CASES: ReadonlyArray<(program: Program) => Promise<Circumstances>> = [
  async () => X64,
  async ({ modules }) => {
    await putPlatform(modules, 'x64-gnu');
    return { ...X64, maps: MUSL };
  },
  async ({ modules }) => {
    await putPlatform(modules, 'x64-musl');
    return X64;
  },
  async ({ modules }) => {
    await putPlatform(modules, 'x64-gnu');
    return { cpu: 'arm64' };
  },
  async () => ({ cpu: 'riscv64' }),
  async ({ modules }) => {
    await putPlatform(modules, BUILT.platform, await readFile(BUILT.path));
    return {};
  },
  async ({ modules }) => {
    await putPlatform(modules, 'x64-gnu', library('x64', { end: 1_900_000, size: 65_536 }));
    return X64;
  },
  async ({ modules }) => {
    await putPlatform(
      modules,
      'x64-gnu',
      'something else, and longer than the header of a shared library is',
    );
    return X64;
  },
  async ({ modules }) => {
    await putPlatform(modules, 'x64-gnu', library('arm64', { end: 4096, size: 4096 }));
    return X64;
  },
  async ({ modules }) => {
    await rm(join(await putPlatform(modules, 'x64-gnu'), fileFor('x64-gnu')));
    return X64;
  },
  async ({ modules }) => {
    const built = (await readFile(BUILT.path, 'latin1')).replaceAll(/GLIBC_2\.\d\d/g, 'GLIBC_2.99');
    await putPlatform(modules, BUILT.platform, Buffer.from(built, 'latin1'));
    return {};
  },
  async ({ modules }) => {
    const folder = await putPlatform(modules, BUILT.platform, await readFile(BUILT.path));
    const mount = 'mount --bind "$0" "$0" && mount -o remount,bind,noexec "$0" && exec "$@"';
    return { within: ['unshare', '--mount', 'sh', '-c', mount, folder] };
  },
  async ({ root }) => {
    await mkdir(join(root, 'crates'));
    return { cwd: root };
  },
  async () => ({ system: 'darwin' }),
];

function library(cpu: string, sizes: { end: number; size: number }): Buffer {
  return sharedLibrary({ machine: MACHINES[cpu] ?? 0, ...sizes });
}

test('each case is documented with what ttun says in it', async (t) => {
  const rows = [
    ...(await section('When it is missing')).matchAll(
      /^\|[^|]+\| (`+)(?<message>.+?)\1 \| `(?<hint>.+?)` \|$/gm,
    ),
  ].map(({ groups = {} }) => [groups['message'], groups['hint']]);
  const said = await Promise.all(
    CASES.map(async (arrange) => {
      const program = await newProgram(t);
      const { message, hint } = await failure(program.root, {
        cwd: program.cwd,
        ...(await arrange(program)),
      });
      return [message, hint].map((text) => asDocumented(text, program));
    }),
  );
  t.deepEqual(rows, said);
});

/** Without what is different on each machine. */
function asDocumented(text: string, { cwd }: Program): string {
  return text
    .replaceAll(cwd, '/home/alice/app')
    .replaceAll(packageFor(BUILT.platform), packageFor('x64-gnu'))
    .replaceAll(fileFor(BUILT.platform), fileFor('x64-gnu'))
    .replace(`of ttun ${BUILT.version},`, 'of ttun 1.2.2,')
    .replace(/\/\S+\/libc\.so\.6/, '/lib64/libc.so.6')
    .replace('GLIBC_2.99', 'GLIBC_2.34')
    .replace(/has glibc [\d.]+,/, 'has glibc 2.28,');
}

test('the documented commands are those that ttun names', async (t) => {
  const rows = [...(await section('The commands')).matchAll(/^\|[^|]+\| `(?<command>[^`]+)` \|$/gm)];
  const documented = rows.map(({ groups }) => groups?.['command']);
  t.true(documented.length >= 10);
  const folders = ['/home/alice/app', '/home/alice'];
  const named = new Set(folders.flatMap((folder) => INSTALLED.map(({ command }) => command(folder))));
  t.deepEqual(
    documented.filter((command = '') => !named.has(command)),
    [],
  );
});

test('the documented packages are those that there are', async (t) => {
  const cells = [...(await section('Installing')).matchAll(/(?<=\| )`@ttun\/binding-(?<name>[\w-]+)` \|/g)];
  const named = cells.map(({ groups }) => groups?.['name'] ?? '');
  t.deepEqual(named.toSorted(), PLATFORMS.map(({ name }) => name).toSorted());
});

/** What stands below a heading. */
async function section(title: string): Promise<string> {
  const text = await readFile(new URL('../../docs/installing.md', import.meta.url), 'utf8');
  return text.split(/^#+ /m).find((part) => part.startsWith(title)) ?? '';
}
