/** The native part that is taken is the one for the processor and the C library of this very Node. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { BUILT, MUSL, failure, newProgram, putPlatform, writeManifest } from './layout.ts';

const GLIBC = '7f6e5d4c3000-7f6e5d4f7000 r-xp 00014000 fe:00 1234    /usr/lib/x86_64-linux-gnu/';
const LIBRARIES = [
  { what: 'glibc', maps: `${GLIBC}libc.so.6\n${GLIBC}libm.so.6\n`, libc: 'glibc' },
  { what: 'glibc before 2.34', maps: `${GLIBC}libc-2.31.so\n`, libc: 'glibc' },
  { what: 'glibc that has been updated since', maps: `${GLIBC}libc.so.6 (deleted)\n`, libc: 'glibc' },
  { what: 'musl', maps: MUSL, libc: 'musl' },
  { what: 'musl by its own name', maps: MUSL.replace('ld-musl-x86_64.so.1', 'libc.so'), libc: 'musl' },
  { what: 'glibc without a /proc', maps: null, libc: 'glibc' },
];

test('the C library that counts is the one that Node runs on', async (t) => {
  const { root } = await newProgram(t);
  for (const { what, maps, libc } of LIBRARIES) {
    t.regex((await failure(root, { cpu: 'x64', maps })).message, new RegExp(`\\(x64 with ${libc}\\)`), what);
  }
});

test('of several that are installed, the one for this Node is loaded', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  await putPlatform(modules, BUILT.platform.replace('gnu', 'musl'));
  await putPlatform(modules, BUILT.platform, await readFile(BUILT.path));
  await writeManifest(root, { type: 'module', version: BUILT.version });
  // It has looked the device up.
  t.is((await failure(root, { cwd })).code, 'ERR_TTUN_DEVICE_NOT_FOUND');
});

test('what is nearest to ttun is loaded, as Node has it for all packages', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  await putPlatform(modules, BUILT.platform);
  await putPlatform(join(root, 'node_modules'), BUILT.platform, await readFile(BUILT.path));
  await writeManifest(root, { type: 'module', version: BUILT.version });
  t.is((await failure(root, { cwd })).code, 'ERR_TTUN_DEVICE_NOT_FOUND');
});
