/** A native part is there, and is of no use. */
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import {
  BUILT,
  MACHINES,
  VERSION,
  failure,
  fileFor,
  newFolder,
  newProgram,
  packageFor,
  putPlatform,
  putTtun,
  sharedLibrary,
} from './layout.ts';

const PLATFORM = BUILT.platform;
const PACKAGE = packageFor(PLATFORM);
const OTHER_CPU = process.arch === 'x64' ? 'arm64' : 'x64';
const HERE = MACHINES[process.arch] ?? 0;
const REPLACE = `replace it with: rm -r node_modules/${PACKAGE} && npm install --include=optional ttun@${VERSION}`;

const FLAWS = [
  { what: 'is empty', file: Buffer.alloc(0), flaw: 'is cut off after 0 bytes' },
  {
    what: 'has lost its end',
    file: sharedLibrary({ machine: HERE, end: 1_900_000, size: 65_536 }),
    flaw: 'is cut off after 65536 of 1900000 bytes',
  },
  { what: 'is a page of a web server', file: '<html>'.repeat(20), flaw: 'is no shared library' },
  {
    what: 'is for another processor',
    file: sharedLibrary({ machine: MACHINES[OTHER_CPU] ?? 0, end: 4096, size: 4096 }),
    flaw: `is for ${OTHER_CPU}`,
  },
  {
    what: 'is for a processor without packages',
    file: sharedLibrary({ machine: MACHINES['riscv64'] ?? 0, end: 4096, size: 4096 }),
    flaw: 'is for another processor',
  },
];

for (const { what, file, flaw } of FLAWS) {
  test(`a native part that ${what} is not loaded, and the command replaces it`, async (t) => {
    const { cwd, modules, root } = await newProgram(t);
    const folder = await putPlatform(modules, PLATFORM, file);
    t.like(await failure(root, { cwd }), {
      code: 'ERR_TTUN_NATIVE_MISSING',
      message: `${PACKAGE} cannot be used: ${join(folder, fileFor(PLATFORM))} ${flaw}`,
      hint: REPLACE,
    });
  });
}

test('the real native part without its second half is not loaded, which would end the process', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  const whole = await readFile(BUILT.path);
  const half = whole.subarray(0, Math.floor(whole.length / 2));
  await putPlatform(modules, PLATFORM, half);
  const { message } = await failure(root, { cwd });
  t.true(message.endsWith(`is cut off after ${half.length} of ${whole.length} bytes`), message);
});

test('a package that has lost its native part is replaced', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  const folder = await putPlatform(modules, PLATFORM);
  await rm(join(folder, fileFor(PLATFORM)));
  t.like(await failure(root, { cwd }), {
    code: 'ERR_TTUN_NATIVE_MISSING',
    message: `${PACKAGE} cannot be used: there is no native part in ${folder}`,
    hint: REPLACE,
  });
});

test('a native part that wants a newer glibc is told in the words of the dynamic loader, and how to build one that does not', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  const built = await readFile(BUILT.path, 'latin1');
  const path = join(
    await putPlatform(
      modules,
      PLATFORM,
      Buffer.from(built.replaceAll(/GLIBC_2\.\d\d/g, 'GLIBC_2.99'), 'latin1'),
    ),
    fileFor(PLATFORM),
  );
  const { code, message, hint } = await failure(root, { cwd });
  t.is(code, 'ERR_TTUN_NATIVE_MISSING');
  t.true(message.startsWith(`${PACKAGE} cannot be loaded: /`), message);
  t.true(message.endsWith(`libc.so.6: version \`GLIBC_2.99' not found (required by ${path})`), message);
  t.regex(
    hint,
    /^build it for this machine, which has glibc 2\.\d+, in a checkout of ttun: npm install --no-save && npm run build && npm install --global \.$/,
  );
});

test('a native part on a file system without programs is told to be there', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  const folder = await putPlatform(modules, PLATFORM, await readFile(BUILT.path));
  const mount = 'mount --bind "$0" "$0" && mount -o remount,bind,noexec "$0" && exec "$@"';
  t.like(await failure(root, { cwd, within: ['unshare', '--mount', 'sh', '-c', mount, folder] }), {
    code: 'ERR_TTUN_NATIVE_MISSING',
    message: `${PACKAGE} cannot be loaded: ${join(folder, fileFor(PLATFORM))}: failed to map segment from shared object`,
    hint: `its file system may be mounted with noexec; see: findmnt --target ${folder}`,
  });
});

test('what the dynamic loader finds wrong is told, and the command replaces the file', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  const hollow = sharedLibrary({ machine: HERE, end: 4096, size: 4096 });
  const path = join(await putPlatform(modules, PLATFORM, hollow), fileFor(PLATFORM));
  const { code, message, hint } = await failure(root, { cwd });
  t.is(code, 'ERR_TTUN_NATIVE_MISSING');
  t.regex(message, new RegExp(`^${PACKAGE} cannot be loaded: ${path}: \\S.*[^;]$`));
  t.is(hint, REPLACE);
});

test('a native part of another version of ttun is refused, and both versions are told', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  await putPlatform(modules, PLATFORM, await readFile(BUILT.path));
  t.like(await failure(root, { cwd }), {
    code: 'ERR_TTUN_NATIVE_MISSING',
    message: `${PACKAGE} is of ttun ${BUILT.version}, and this is ttun ${VERSION}`,
    hint: REPLACE,
  });
});

test('in a checkout, what is of no use is built again', async (t) => {
  const root = await newFolder(t);
  await putTtun(root);
  await mkdir(join(root, 'crates'));
  const path = join(root, fileFor(PLATFORM));
  const hint = 'build it again with: npm run build:native';
  await writeFile(path, '');
  t.like(await failure(root), {
    message: `the native part cannot be used: ${path} is cut off after 0 bytes`,
    hint,
  });
  await copyFile(BUILT.path, path);
  t.like(await failure(root), {
    message: `the native part is of ttun ${BUILT.version}, and this is ttun ${VERSION}`,
    hint,
  });
});
