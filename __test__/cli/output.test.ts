import test from 'ava';
import { runToEnd } from '../../testbed/exec.ts';
import { BIN } from '../../testbed/tunnel.ts';

const COMMANDS = [
  '--help',
  '--version --json',
  'completion bash',
  'help lab',
  'show --json',
  'check --json none.toml',
];

/** What is on standard error, and the exit code of ttun itself. */
async function piped(command: string, into: string): Promise<[exitCode: string, talk: string]> {
  const script = `'${process.execPath}' '${BIN}' ${command} ${into}; echo "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = await runToEnd(['bash', '-c', script]);
  return [stdout.trim(), stderr];
}

for (const command of COMMANDS) {
  test(`'ttun ${command}' minds no reader that has seen enough`, async (t) => {
    const [exitCode, talk] = await piped(command, '| true');
    t.is(exitCode, command.startsWith('check') ? '1' : '0');
    t.is(talk, '');
  });
}

test('a disk without room is a failure, told in one line', async (t) => {
  for (const command of COMMANDS) {
    const [exitCode, talk] = await piped(command, '>/dev/full');
    t.is(exitCode, '1', command);
    t.regex(talk, /^ttun: standard output cannot be written: ENOSPC: [^\n]+\n$/, command);
  }
});
