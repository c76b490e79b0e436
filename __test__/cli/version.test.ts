import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { run, runToEnd } from '../../testbed/exec.ts';
import { BIN } from '../../testbed/tunnel.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

async function packageVersion(): Promise<string> {
  const { version }: { version: string } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  return version;
}

test('--version tells the version in its first line, then the build, Node and the kernel', async (t) => {
  const { stdout, stderr } = await run([process.execPath, BIN, '--version']);
  const [first, native, system, ...rest] = stdout.split('\n');
  t.is(first, `ttun ${await packageVersion()}`);
  t.regex(
    native ?? '',
    /^native part: [a-z0-9_]+-unknown-linux-\w+, (debug|release), commit (unknown|[0-9a-f]+(-dirty)?)$/,
  );
  t.is(system, `Node ${process.versions.node}, linux ${release()}`);
  t.deepEqual(rest, ['']);
  t.is(stderr, '');
  t.is((await run([process.execPath, BIN, '-V'])).stdout, stdout);
});

test('--version --json tells the same to programs', async (t) => {
  const { stdout } = await run([process.execPath, BIN, '--version', '--json']);
  const version = await packageVersion();
  t.like(JSON.parse(stdout), {
    version,
    native: { version },
    problem: null,
    node: process.versions.node,
    kernel: release(),
  });
});

/** The program of a checkout in a folder of its own, with this native part. */
async function withBinding(t: ExecutionContext, binding: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-version-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await cp(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true });
  await mkdir(join(folder, 'crates'));
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module', version: '1.2.3' }));
  await writeFile(join(folder, 'binding.cjs'), binding);
  return join(folder, 'dist', 'bin.js');
}

test('a native part of another version is refused, with what to do', async (t) => {
  const bin = await withBinding(t, "exports.version = () => '1.2.2';");
  const problem =
    'ttun: the native part is of ttun 1.2.2, and this is ttun 1.2.3; build it with: npm run build:native\n';
  const version = await runToEnd([process.execPath, bin, '--version']);
  t.deepEqual([version.status, version.stderr], [1, problem]);
  t.regex(version.stdout, /^ttun 1\.2\.3\nnative part: none\n/);
  const tunnel = await runToEnd([process.execPath, bin, ...'tun0 192.0.2.1 8000 192.0.2.2 8000'.split(' ')]);
  t.deepEqual([tunnel.status, tunnel.stderr], [1, problem]);
});

test('where the native part does not load, --version still tells the rest, and why', async (t) => {
  const bin = await withBinding(t, "throw new Error('no such luck');");
  const { status, stdout, stderr } = await runToEnd([process.execPath, bin, '--version', '--json']);
  t.is(status, 1);
  t.like(JSON.parse(stdout), {
    version: '1.2.3',
    native: null,
    problem: { code: 'ERR_TTUN_NATIVE_MISSING' },
  });
  t.regex(stderr, /^ttun: the native part of ttun cannot be loaded: no such luck; /);
});
