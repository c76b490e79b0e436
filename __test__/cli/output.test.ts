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

/** The exit code of ttun itself, and its standard error. */
async function piped(command: string, into: string): Promise<[exitCode: string, messages: string]> {
  const script = `'${process.execPath}' '${BIN}' ${command} ${into}; echo "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = await runToEnd(['bash', '-c', script]);
  return [stdout.trim(), stderr];
}

for (const command of COMMANDS) {
  test(`'ttun ${command}' succeeds when its reader has seen enough`, async (t) => {
    const [exitCode, messages] = await piped(command, '| true');
    t.is(exitCode, command.startsWith('check') ? '1' : '0');
    t.is(messages, '');
  });
}

test('a full disk is a failure, reported in one line', async (t) => {
  for (const command of COMMANDS) {
    const [exitCode, messages] = await piped(command, '>/dev/full');
    t.is(exitCode, '1', command);
    t.regex(messages, /^ttun: cannot write to standard output: ENOSPC: [^\n]+\n$/, command);
  }
});
