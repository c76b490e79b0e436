/** The native part must be for the processor and the C library that Node itself runs on. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { BUILT, MUSL, failure, newProgram, putPlatform } from './layout.ts';

const GLIBC = '7f6e5d4c3000-7f6e5d4f7000 r-xp 00014000 fe:00 1234    /usr/lib/x86_64-linux-gnu/';
const LIBRARIES = [
  { what: 'glibc', maps: `${GLIBC}libc.so.6\n${GLIBC}libm.so.6\n`, abi: 'gnu' },
  { what: 'glibc before 2.34', maps: `${GLIBC}libc-2.31.so\n`, abi: 'gnu' },
  { what: 'glibc that was updated while Node runs', maps: `${GLIBC}libc.so.6 (deleted)\n`, abi: 'gnu' },
  { what: 'musl', maps: MUSL, abi: 'musl' },
  { what: 'musl by its own name', maps: MUSL.replace('ld-musl-x86_64.so.1', 'libc.so'), abi: 'musl' },
  { what: 'glibc without /proc', maps: null, abi: 'gnu' },
];

test('the C library that counts is the one that Node runs on', async (t) => {
  const { root } = await newProgram(t);
  for (const { what, maps, abi } of LIBRARIES) {
    t.regex(
      (await failure(root, { cpu: 'x64', maps })).message,
      new RegExp(`tried @ttun/binding-linux-x64-${abi} `),
      what,
    );
  }
});

test('of several that are installed, the one for this Node is loaded', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  await putPlatform(modules, BUILT.platform.replace('gnu', 'musl'));
  await putPlatform(modules, BUILT.platform, await readFile(BUILT.path));
  // The native part looked the device up.
  t.is((await failure(root, { cwd })).code, 'ERR_TTUN_DEVICE_NOT_FOUND');
});

test('the one nearest to ttun is loaded, as with all packages', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  await putPlatform(modules, BUILT.platform);
  await putPlatform(join(root, 'node_modules'), BUILT.platform, await readFile(BUILT.path));
  t.is((await failure(root, { cwd })).code, 'ERR_TTUN_DEVICE_NOT_FOUND');
});
