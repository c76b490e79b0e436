/** `ttun check`, as it is typed. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { runToEnd } from '../../testbed/exec.ts';
import type { RunResult } from '../../testbed/exec.ts';
import { BIN } from '../../testbed/tunnel.ts';

const GOOD = '[tunnels.a]\ndevice = "tun0"\nlocal = ":1"\nremote = "b:1"\n';
const WRONG = `${GOOD}mtu = 1\n[http]\n`;

/** Runs it in a directory with these files. */
async function check(
  t: ExecutionContext,
  files: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<RunResult> {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-check-'));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files))
    await writeFile(join(folder, name), text, { mode: 0o644 });
  return runToEnd(['env', '-C', folder, process.execPath, BIN, 'check', ...args]);
}

test('a valid file is reported as such, with the number of its tunnels', async (t) => {
  const one = await check(t, { 'ttun.toml': GOOD });
  t.deepEqual(one, { status: 0, signal: null, stdout: 'ttun.toml: 1 tunnel, no problems\n', stderr: '' });
  const two = GOOD + GOOD.replace('.a]', '.b]').replace('tun0', 'tun1').replace('":1"', '":2"');
  t.is((await check(t, { 'x.toml': two }, 'x.toml')).stdout, 'x.toml: 2 tunnels, no problems\n');
});

test('problems are reported in the format that editors understand, each with a hint', async (t) => {
  const { status, stdout, stderr } = await check(t, { 'ttun.toml': WRONG });
  t.is(
    stdout,
    `ttun.toml:5:1: tunnels.a.mtu: unknown option
    did you mean interface.mtu?
ttun.toml:6:2: http.listen: is missing
    give a string such as '127.0.0.1:9750'
ttun.toml: 2 problems
`,
  );
  t.is(status, 1);
  t.is(stderr, '');
});

test('warnings are reported, and do not change the exit code', async (t) => {
  const { status, stdout } = await check(t, { 'ttun.toml': `${GOOD}interface.addresses = ["10.0.2.0/24"]` });
  t.is(
    stdout,
    `ttun.toml:5:24: warning: tunnels.a.interface.addresses[0]: 10.0.2.0/24 is a network, not an address in it
    give each end its own address in it, such as 10.0.2.1/24 and 10.0.2.2/24
ttun.toml: 1 tunnel, no problems, 1 warning
`,
  );
  t.is(status, 0);
});

test('--json reports the same as JSON', async (t) => {
  const right = await check(t, { 'ttun.toml': GOOD }, '--json');
  t.deepEqual(JSON.parse(right.stdout), { file: 'ttun.toml', tunnels: ['a'], problems: [], warnings: [] });
  const wrong = await check(t, { 'ttun.toml': WRONG }, '--json', 'ttun.toml');
  t.is(wrong.status, 1);
  t.deepEqual(JSON.parse(wrong.stdout), {
    file: 'ttun.toml',
    tunnels: null,
    problems: [
      {
        file: 'ttun.toml',
        line: 5,
        column: 1,
        path: 'tunnels.a.mtu',
        message: 'unknown option',
        hint: 'did you mean interface.mtu?',
      },
      {
        file: 'ttun.toml',
        line: 6,
        column: 2,
        path: 'http.listen',
        message: 'is missing',
        hint: "give a string such as '127.0.0.1:9750'",
      },
    ],
    warnings: [],
  });
});

test('without a file, it reads ttun.toml or ttun.json in the working directory if only one exists', async (t) => {
  const json = '{"tunnels":{"a":{"device":"tun0","local":":1","remote":"b:1"}}}';
  t.is((await check(t, { 'ttun.json': json })).stdout, 'ttun.json: 1 tunnel, no problems\n');
  const none = await check(t, {});
  t.regex(
    none.stdout,
    /^there is no ttun\.toml or ttun\.json in .*\n {4}give the path of the file, or create one\n$/,
  );
  t.is(none.status, 1);
  const both = await check(t, { 'ttun.json': json, 'ttun.toml': GOOD });
  t.is(both.stdout, 'ttun.toml and ttun.json both exist\n    give the path of the one to use\n');
  t.is(both.status, 1);
});

test('a missing file, and more than one, are reported', async (t) => {
  const missing = await check(t, {}, 'other.toml');
  t.is(missing.status, 1);
  t.regex(missing.stdout, /^other\.toml: no such file\n/);
  t.is((await check(t, {}, 'a.toml', 'b.toml')).status, 2);
});
