import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { run } from '../../testbed/exec.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const { dependencies }: { readonly dependencies: Readonly<Record<string, string>> } = createRequire(
  import.meta.url,
)('../../package.json');
const DEPENDENCIES = Object.keys(dependencies);
const OPTIONS = JSON.stringify({ device: 'tun0', local: '192.0.2.1:8000', remote: '192.0.2.2:8000' });

/** Runs a program that imports a copy of the package as `ttun`, and returns what it prints, parsed. */
async function runWith(packageRoot: string, program: string): Promise<unknown> {
  const index = pathToFileURL(join(packageRoot, 'dist', 'index.js')).href;
  const source = `const open = async () => (await import('${index}')).createTunnel(${OPTIONS});\n${program}`;
  const { stdout } = await run([process.execPath, '--input-type=module', '-e', source]);
  return JSON.parse(stdout);
}

/** Tells how opening a tunnel fails. */
const TELL_FAILURE = `
  open().catch(({ name, code, message, hint }) => console.log(JSON.stringify({ name, code, message, hint })));
`;

interface CopyOptions {
  readonly manifest: object;
  /** Files and folders of the checkout to have besides `dist`. */
  readonly besides?: readonly string[];
}

/** The built package in a folder of its own, with what it depends on, without its native part. */
async function copyOfPackage(t: ExecutionContext, { manifest, besides = [] }: CopyOptions): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-native-'));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const part of ['dist', ...besides])
    await cp(join(ROOT, part), join(folder, part), { recursive: true });
  await mkdir(join(folder, 'node_modules'));
  for (const dependency of DEPENDENCIES) {
    await symlink(join(ROOT, 'node_modules', dependency), join(folder, 'node_modules', dependency));
  }
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ type: 'module', version: '1.2.3', ...manifest }),
  );
  return folder;
}

test('importing the package loads no native code and starts no thread', async (t) => {
  const index = pathToFileURL(join(ROOT, 'dist', 'index.js')).href;
  const seen = await runWith(
    ROOT,
    `
    import { readdirSync, readFileSync } from 'node:fs';
    import { readFile } from 'node:fs/promises';
    await readFile('/dev/null'); // Node's own threads start with the first use of them.
    const threads = () => readdirSync('/proc/self/task').length;
    const before = threads();
    await import('${index}');
    const addons = readFileSync('/proc/self/maps', 'utf8').includes('.node\\n');
    console.log(JSON.stringify({ threadsStarted: threads() - before, addons }));
    `,
  );
  t.deepEqual(seen, { threadsStarted: 0, addons: false });
});

test('on another platform the package can be imported, and opening a tunnel says that it needs Linux', async (t) => {
  const failure = await runWith(
    ROOT,
    `Object.defineProperty(process, 'platform', { value: 'darwin' });\n${TELL_FAILURE}`,
  );
  t.deepEqual(failure, {
    name: 'TtunError',
    code: 'ERR_TTUN_UNSUPPORTED_PLATFORM',
    message: 'ttun needs Linux, and this is darwin',
    hint: 'run it on a Linux host, in a virtual machine or in a container',
  });
});

test('without the platform package, the error lists what was tried and the command that installs it', async (t) => {
  const prebuilt = `@ttun/binding-linux-${process.arch}-gnu`;
  const folder = await copyOfPackage(t, {
    manifest: { optionalDependencies: { [prebuilt]: '1.2.3' } },
    besides: ['binding.cjs'],
  });
  const failure = await runWith(folder, TELL_FAILURE);
  t.like(failure, {
    code: 'ERR_TTUN_NATIVE_MISSING',
    hint: `install it with: npm install ${prebuilt}@1.2.3`,
  });
  const { message } = Object(failure);
  t.regex(message, new RegExp(`Cannot find module '\\./ttun\\.linux-${process.arch}-gnu\\.node'`));
  t.regex(message, new RegExp(`Cannot find module '${prebuilt}'`));
  t.notRegex(message, /wasm|npm has a bug|\n/);
});

test('where there is no platform package, the error says to build from the sources', async (t) => {
  const folder = await copyOfPackage(t, { manifest: {}, besides: ['binding.cjs'] });
  const { hint } = Object(await runWith(folder, TELL_FAILURE));
  t.regex(hint, /^there is no @ttun\/binding-linux-.*: build ttun from its sources on this machine$/);
});

test('in a checkout that was not built, the error names the command that builds it', async (t) => {
  const folder = await copyOfPackage(t, { manifest: {} });
  await mkdir(join(folder, 'crates'));
  t.like(await runWith(folder, TELL_FAILURE), {
    code: 'ERR_TTUN_NATIVE_MISSING',
    message: "the native part of ttun cannot be loaded: Cannot find module '../binding.cjs'",
    hint: 'build it with: npm run build:native',
  });
});

test('options are checked before the native part is needed', async (t) => {
  const folder = await copyOfPackage(t, { manifest: {} });
  const index = pathToFileURL(join(folder, 'dist', 'index.js')).href;
  const failure = await runWith(
    folder,
    `
    const { createTunnel } = await import('${index}');
    createTunnel({}).catch(({ code }) => console.log(JSON.stringify({ code })));
    `,
  );
  t.deepEqual(failure, { code: 'ERR_TTUN_INVALID_OPTIONS' });
});
