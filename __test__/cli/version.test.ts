import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { run } from '../../testbed/exec.ts';
import { BIN } from '../../testbed/tunnel.ts';
import { VERSION, newFolder, putTtun, ttun } from '../native/layout.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

async function packageVersion(): Promise<string> {
  const { version }: { version: string } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  return version;
}

test('--version prints the version, then the build, Node and the kernel', async (t) => {
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

test('--version --json prints the same as JSON', async (t) => {
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

test('without a native part, --version still prints the rest, and the reason', async (t) => {
  const folder = await newFolder(t);
  await putTtun(folder);
  const { status, stdout, stderr } = await ttun(folder, ['--version', '--json']);
  t.is(status, 1);
  const { problem, ...about } = JSON.parse(stdout);
  t.like(about, { version: VERSION, native: null, node: process.versions.node });
  t.like(problem, { code: 'ERR_TTUN_NATIVE_MISSING' });
  t.is(stderr, `ttun: ${problem.message}; ${problem.hint}\n`);
  const text = await ttun(folder, ['--version']);
  t.true(text.stdout.startsWith(`ttun ${VERSION}\nnative part: none\nNode `), text.stdout);
});
