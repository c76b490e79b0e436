/** Each command that needs the native part tells in one line that it is missing, and what to type. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { newProgram, ttun } from './layout.ts';

const LINE =
  'the native part for this Node (x64 with glibc), @ttun/binding-linux-x64-gnu, is not installed, nor is one for any other; ' +
  'install it with: npm install --include=optional ttun@1.2.3';
const MISSING = { cpu: 'x64' };

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
    t.deepEqual({ status, stderr }, { status: 1, stderr: `ttun: ${LINE}\n` });
  });
}

test('ttun lab, before it has made anything', async (t) => {
  const { cwd, root } = await newProgram(t);
  const { status, stdout, stderr } = await ttun(root, ['lab'], { cwd, ...MISSING });
  t.deepEqual({ status, stdout, stderr }, { status: 1, stdout: '', stderr: `ttun lab: ${LINE}\n` });
});

test('ttun doctor, as the first that it finds', async (t) => {
  const { cwd, root } = await newProgram(t);
  const { status, stdout, stderr } = await ttun(root, ['doctor', '--json'], { cwd, ...MISSING });
  t.deepEqual({ status, stderr }, { status: 1, stderr: '' });
  const [message, hint] = LINE.split('; ');
  t.like(JSON.parse(stdout).findings[0], { code: 'native-missing', what: message, advice: hint });
});

test('ttun check, show and help do without', async (t) => {
  const { cwd, root } = await newProgram(t);
  await writeFile(join(cwd, 'ttun.toml'), CONFIGURATION);
  for (const args of [['check'], ['show'], ['help']]) {
    const { status, stderr } = await ttun(root, args, { cwd, ...MISSING });
    t.is(status, 0, stderr);
  }
});
