/** No native part for this Node is installed: it was left out, or the packages came from another machine. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { MUSL, VERSION, failure, fileFor, newFolder, newProgram, putPlatform, putTtun } from './layout.ts';

const X64 = { cpu: 'x64' };
const INSTALL = `npm install --include=optional ttun@${VERSION}`;

test('if none is installed, the error has the files that were tried and the command', async (t) => {
  const { cwd, root } = await newProgram(t);
  t.deepEqual(await failure(root, { cwd, ...X64 }), {
    name: 'TtunError',
    code: 'ERR_TTUN_NATIVE_MISSING',
    message: `the native part for this Node was not found: tried @ttun/binding-linux-x64-gnu and ${join(root, fileFor('x64-gnu'))}`,
    hint: `install it with: ${INSTALL}`,
  });
});

const FOREIGN = [
  {
    what: 'packages installed with glibc run with musl',
    circumstances: { ...X64, maps: MUSL },
    installed: ['x64-gnu'],
    wanted: 'x64-musl',
    options: '--cpu=x64 --libc=musl',
  },
  {
    what: 'packages installed with musl run with glibc',
    circumstances: X64,
    installed: ['x64-musl'],
    wanted: 'x64-gnu',
    options: '--cpu=x64 --libc=glibc',
  },
  {
    what: 'packages installed on another processor run here',
    circumstances: { cpu: 'arm64' },
    installed: ['x64-gnu'],
    wanted: 'arm64-gnu',
    options: '--cpu=arm64 --libc=glibc',
  },
  {
    what: 'nothing at all fits',
    circumstances: { cpu: 'arm64', maps: MUSL },
    installed: ['x64-gnu', 'x64-musl'],
    wanted: 'arm64-musl',
    options: '--cpu=arm64 --libc=musl',
  },
];

for (const { what, circumstances, installed, wanted, options } of FOREIGN) {
  test(`if ${what}, the error says which is installed and which is needed`, async (t) => {
    const { cwd, modules, root } = await newProgram(t);
    for (const platform of installed) await putPlatform(modules, platform);
    const there = installed.map((platform) => `@ttun/binding-linux-${platform}`).join(' and ');
    t.like(await failure(root, { cwd, ...circumstances }), {
      code: 'ERR_TTUN_NATIVE_MISSING',
      message:
        `the native part for this Node was not found: tried @ttun/binding-linux-${wanted} ` +
        `and ${join(root, fileFor(wanted))}, but only ${there} is installed`,
      hint: `install it with: ${INSTALL.replace('--include', `${options} --include`)}`,
    });
  });
}

const MANAGERS = [
  {
    how: 'by npm for all users',
    at: 'lib/node_modules/ttun',
    command: INSTALL.replace('install', 'install --global'),
  },
  {
    how: 'by pnpm',
    at: 'node_modules/.pnpm/ttun@1.2.3/node_modules/ttun',
    command: 'pnpm install --force --config.optional=true',
  },
];

for (const { how, at, command } of MANAGERS) {
  test(`if ttun was installed ${how}, the command is for that`, async (t) => {
    const root = join(await newFolder(t), at);
    await putTtun(root);
    t.is((await failure(root, X64)).hint, `install it with: ${command}`);
  });
}

for (const cpu of ['riscv64', 'ia32']) {
  test(`if there is no package for the processor (${cpu}), the error lists the existing ones, and how to build`, async (t) => {
    const { cwd, root } = await newProgram(t);
    t.like(await failure(root, { cwd, cpu }), {
      code: 'ERR_TTUN_NATIVE_MISSING',
      message:
        `there is no native part for linux-${cpu}-gnu, ` +
        'only for linux-x64-gnu, linux-x64-musl, linux-arm64-gnu, linux-arm64-musl',
      hint: 'build it for this machine, in a checkout of ttun: npm ci && npm run build && npm install --global .',
    });
  });
}

test('in a checkout that was not built, the error says how to build it', async (t) => {
  const root = await newFolder(t);
  await putTtun(root);
  await mkdir(join(root, 'crates'));
  t.like(await failure(root), {
    code: 'ERR_TTUN_NATIVE_MISSING',
    message: 'the native part has not been built',
    hint: 'build it with: npm run build:native',
  });
});
