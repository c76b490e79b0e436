/** A native part is installed, but cannot be used. */
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import {
  BUILT,
  VERSION,
  evaluate,
  failure,
  fileFor,
  newFolder,
  newProgram,
  packageFor,
  putPlatform,
  putTtun,
  setVersion,
} from './layout.ts';

const PLATFORM = BUILT.platform;
const PACKAGE = packageFor(PLATFORM);
const INSTALL = `npm install --include=optional ttun@${VERSION}`;

for (const [what, file] of [
  ['is empty', ''],
  ['is not a shared library', '<html>'.repeat(20)],
]) {
  test(`a native part that ${what} is an error, and the command replaces it`, async (t) => {
    const { cwd, modules, root } = await newProgram(t);
    const folder = await putPlatform(modules, PLATFORM, file);
    const { code, message, hint } = await failure(root, { cwd });
    t.is(code, 'ERR_TTUN_NATIVE_MISSING');
    t.true(message.startsWith(`${PACKAGE} cannot be loaded: ${join(folder, fileFor(PLATFORM))}: `), message);
    t.is(hint, `replace it with: rm -r '${folder}' && ${INSTALL}`);
  });
}

test('a package without its native part is an error, and the command replaces it', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  const folder = await putPlatform(modules, PLATFORM);
  await rm(join(folder, fileFor(PLATFORM)));
  const { code, message, hint } = await failure(root, { cwd });
  t.is(code, 'ERR_TTUN_NATIVE_MISSING');
  t.true(message.startsWith(`${PACKAGE} cannot be loaded: Cannot find module '${folder}/`), message);
  t.is(hint, `replace it with: rm -r '${folder}' && ${INSTALL}`);
});

test('if a native part needs a newer glibc, the error says so and how to build another', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  const built = await readFile(BUILT.path, 'latin1');
  const newer = Buffer.from(built.replaceAll(/GLIBC_2\.\d\d/g, 'GLIBC_2.99'), 'latin1');
  const path = join(await putPlatform(modules, PLATFORM, newer), fileFor(PLATFORM));
  const { code, message, hint } = await failure(root, { cwd });
  t.is(code, 'ERR_TTUN_NATIVE_MISSING');
  t.true(message.startsWith(`${PACKAGE} cannot be loaded: /`), message);
  t.true(message.endsWith(`libc.so.6: version \`GLIBC_2.99' not found (required by ${path})`), message);
  t.is(
    hint,
    'build it for this machine, in a checkout of ttun: npm ci && npm run build && npm install --global .',
  );
});

test('if a native part is on a file system mounted with noexec, the error says so', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  const folder = await putPlatform(modules, PLATFORM, await readFile(BUILT.path));
  const mount = 'mount --bind "$0" "$0" && mount -o remount,bind,noexec "$0" && exec "$@"';
  t.like(await failure(root, { cwd, within: ['unshare', '--mount', 'sh', '-c', mount, folder] }), {
    code: 'ERR_TTUN_NATIVE_MISSING',
    message: `${PACKAGE} cannot be loaded: ${join(folder, fileFor(PLATFORM))}: failed to map segment from shared object`,
    hint: 'its file system may be mounted with noexec; check with: findmnt',
  });
});

test('if no file descriptor is left, the error says how to raise the limit, and not to install anything', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  await putPlatform(modules, PLATFORM, await readFile(BUILT.path));
  const program = `
    import { closeSync, openSync } from 'node:fs';
    const { createTunnel } = await load();
    const taken = [];
    try {
      for (;;) taken.push(openSync('/dev/null'));
    } catch {}
    const options = { device: 'ttun-no-such', local: '127.0.0.1:9000', remote: '127.0.0.1:9001' };
    const { code, message, hint } = await createTunnel(options).catch((error) => error);
    for (const descriptor of taken) closeSync(descriptor);
    console.log(JSON.stringify({ code, message, hint }));`;
  const within = ['sh', '-c', 'ulimit -n 128 && exec "$0" "$@"'];
  t.deepEqual(JSON.parse(await evaluate(root, program, { cwd, within })), {
    code: 'ERR_TTUN_NATIVE_MISSING',
    message: `${PACKAGE} cannot be loaded: too many open files`,
    hint: 'raise the limit of open files (each tunnel needs 6): ulimit -n, or LimitNOFILE= in a systemd unit',
  });
});

test('a native part of another version is an error with both versions', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  const folder = await putPlatform(modules, PLATFORM, await readFile(BUILT.path));
  await setVersion(root, '1.2.3');
  t.like(await failure(root, { cwd }), {
    code: 'ERR_TTUN_NATIVE_MISSING',
    message: `${PACKAGE} is version ${BUILT.version}, but ttun is version 1.2.3`,
    hint: `replace it with: rm -r '${folder}' && npm install --include=optional ttun@1.2.3`,
  });
});

test('in a checkout, the command builds the native part again', async (t) => {
  const root = await newFolder(t);
  await putTtun(root);
  await mkdir(join(root, 'crates'));
  const path = join(root, fileFor(PLATFORM));
  const hint = 'build it with: npm run build:native';
  await writeFile(path, '');
  t.like(await failure(root), { message: `${path} cannot be loaded: ${path}: file too short`, hint });
  await copyFile(BUILT.path, path);
  await setVersion(root, '1.2.3');
  t.like(await failure(root), {
    message: `${path} is version ${BUILT.version}, but ttun is version 1.2.3`,
    hint,
  });
});

for (const { options, hint } of [
  { options: ['--no-addons'], hint: 'start Node without --no-addons' },
  { options: [permission(), '--allow-fs-read=*'], hint: 'start Node with --allow-addons' },
]) {
  test(`if Node was started with ${options[0]}, the error names the option to change`, async (t) => {
    const { cwd, modules, root } = await newProgram(t);
    await putPlatform(modules, PLATFORM, await readFile(BUILT.path));
    t.like(await failure(root, { cwd, options }), {
      code: 'ERR_TTUN_NATIVE_MISSING',
      message: `${PACKAGE} cannot be loaded: Cannot load native addon because loading addons is disabled.`,
      hint,
    });
  });
}

test('Node with --permission and --allow-addons loads the native part', async (t) => {
  const { cwd, modules, root } = await newProgram(t);
  await putPlatform(modules, PLATFORM, await readFile(BUILT.path));
  const options = [permission(), '--allow-fs-read=*', '--allow-addons'];
  t.is((await failure(root, { cwd, options })).code, 'ERR_TTUN_DEVICE_NOT_FOUND');
});

/** The option of this Node. */
function permission(): string {
  return process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission';
}
