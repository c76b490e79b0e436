/** Each command that needs the native part says in one line that it is missing, and what to type. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { VERSION, fileFor, newProgram, ttun } from './layout.ts';

const MISSING = { cpu: 'x64' };

const message = (root: string): string =>
  `the native part for this Node was not found: tried @ttun/binding-linux-x64-gnu and ${join(root, fileFor('x64-gnu'))}`;
const HINT = `install it with: npm install --include=optional ttun@${VERSION}`;

const CONFIGURATION = `
[tunnels.office]
device = "tun0"
local = ":8000"
remote = "192.0.2.2:8000"
`;

for (const args of [
  ['tun0', '192.0.2.1', '8000', '192.0.2.2', '8000'],
  ['--json', 'tun0', '192.0.2.1', '8000', '192.0.2.2', '8000'],
  ['--version'],
  ['up'],
  ['capture', 'tun0'],
]) {
  test(`ttun ${args.join(' ')}`, async (t) => {
    const { cwd, root } = await newProgram(t);
    await writeFile(join(cwd, 'ttun.toml'), CONFIGURATION);
    const { status, stderr } = await ttun(root, args, { cwd, ...MISSING });
    t.deepEqual({ status, stderr }, { status: 1, stderr: `ttun: ${message(root)}; ${HINT}\n` });
  });
}

test('ttun lab, before it creates anything', async (t) => {
  const { cwd, root } = await newProgram(t);
  const { status, stdout, stderr } = await ttun(root, ['lab'], { cwd, ...MISSING });
  t.deepEqual(
    { status, stdout, stderr },
    { status: 1, stdout: '', stderr: `ttun lab: ${message(root)}; ${HINT}\n` },
  );
});

test('ttun doctor, as its first finding', async (t) => {
  const { cwd, root } = await newProgram(t);
  const { status, stdout, stderr } = await ttun(root, ['doctor', '--json'], { cwd, ...MISSING });
  t.deepEqual({ status, stderr }, { status: 1, stderr: '' });
  t.like(JSON.parse(stdout).findings[0], { code: 'native-missing', what: message(root), advice: HINT });
});

test('ttun check, show and help work without it', async (t) => {
  const { cwd, root } = await newProgram(t);
  await writeFile(join(cwd, 'ttun.toml'), CONFIGURATION);
  for (const args of [['check'], ['show'], ['help']]) {
    const { status, stderr } = await ttun(root, args, { cwd, ...MISSING });
    t.is(status, 0, stderr);
  }
});
