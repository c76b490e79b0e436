/** No native part for this Node is installed: it was left out, or the packages came from another machine. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { MUSL, failure, newFolder, newProgram, putPlatform, putTtun, writeManifest } from './layout.ts';

const X64 = { cpu: 'x64' };
const REINSTALL = 'install it with: npm install --include=optional ttun@1.2.3';

test('where none is installed, the error names the one that is needed and the command', async (t) => {
  const { cwd, root } = await newProgram(t);
  t.deepEqual(await failure(root, { cwd, ...X64 }), {
    name: 'TtunError',
    code: 'ERR_TTUN_NATIVE_MISSING',
    message:
      'the native part for this Node (x64 with glibc), @ttun/binding-linux-x64-gnu, is not installed, nor is one for any other',
    hint: REINSTALL,
  });
});

const FOREIGN = [
  {
    what: 'what was installed with glibc runs with musl',
    circumstances: { ...X64, maps: MUSL },
    installed: ['x64-gnu'],
    message:
      'the native part for this Node (x64 with musl), @ttun/binding-linux-x64-musl, is not installed, ' +
      'only @ttun/binding-linux-x64-gnu 1.2.3, which is for glibc',
    options: '--libc=musl',
  },
  {
    what: 'what was installed with musl runs with glibc',
    circumstances: X64,
    installed: ['x64-musl'],
    message:
      'the native part for this Node (x64 with glibc), @ttun/binding-linux-x64-gnu, is not installed, ' +
      'only @ttun/binding-linux-x64-musl 1.2.3, which is for musl',
    options: '--libc=glibc',
  },
  {
    what: 'what was installed on another processor runs here',
    circumstances: { cpu: 'arm64' },
    installed: ['x64-gnu'],
    message:
      'the native part for this Node (arm64 with glibc), @ttun/binding-linux-arm64-gnu, is not installed, ' +
      'only @ttun/binding-linux-x64-gnu 1.2.3, which is for x64',
    options: '--cpu=arm64',
  },
  {
    what: 'nothing at all fits',
    circumstances: { cpu: 'arm64', maps: MUSL },
    installed: ['x64-gnu', 'x64-musl'],
    message:
      'the native part for this Node (arm64 with musl), @ttun/binding-linux-arm64-musl, is not installed, ' +
      'only @ttun/binding-linux-x64-gnu 1.2.3, which is for x64 with glibc ' +
      'and @ttun/binding-linux-x64-musl 1.2.3, which is for x64',
    options: '--cpu=arm64 --libc=musl',
  },
];

for (const { what, circumstances, installed, message, options } of FOREIGN) {
  test(`where ${what}, the error tells which is there and which is needed`, async (t) => {
    const { cwd, modules, root } = await newProgram(t);
    for (const platform of installed) await putPlatform(modules, platform);
    t.like(await failure(root, { cwd, ...circumstances }), {
      code: 'ERR_TTUN_NATIVE_MISSING',
      message,
      hint: REINSTALL.replace('--include', `${options} --include`),
    });
  });
}

test('an empty package in the place of one is none', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  await writeManifest(join(modules, '@ttun', 'binding-linux-arm64-gnu'), {});
  await mkdir(join(modules, '@ttun', 'something-else'));
  t.regex((await failure(root, { cwd, ...X64 })).message, /nor is one for any other$/);
});

for (const cpu of ['riscv64', 'ia32']) {
  test(`where there is no package for the processor (${cpu}), the error says for which there are, and how to build`, async (t) => {
    const { cwd, root } = await newProgram(t);
    t.like(await failure(root, { cwd, cpu }), {
      code: 'ERR_TTUN_NATIVE_MISSING',
      message:
        `there is no native part for this Node (${cpu} with glibc), ` +
        'only for x64 with glibc, x64 with musl, arm64 with glibc, arm64 with musl',
      hint: 'build it for this machine, in a checkout of ttun: npm install --no-save && npm run build && npm install --global .',
    });
  });
}

test('a checkout that was not built says how to build it', async (t) => {
  const root = await newFolder(t);
  await putTtun(root);
  await mkdir(join(root, 'crates'));
  const unbuilt = { code: 'ERR_TTUN_NATIVE_MISSING', message: 'the native part has not been built' };
  t.like(await failure(root), { ...unbuilt, hint: 'build it with: npm run build:native' });
  t.like(await failure(root, { cwd: '/' }), {
    ...unbuilt,
    hint: `build it with: npm run build:native --prefix ${root}`,
  });
});
