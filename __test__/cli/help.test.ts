import test from 'ava';
import { run, runToEnd } from '../../testbed/exec.ts';
import { BIN } from '../../testbed/tunnel.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { formatHelp } from '../../src/cli/help.ts';
import type { CommandSpec } from '../../src/cli/args.ts';

const SPEC: CommandSpec = {
  name: 'greet',
  usage: ['[options] <name> [more…]', '--list'],
  description: ['Greets people, at some length.', 'And does nothing else.'],
  operands: [
    { label: '<name>', description: 'who is greeted' },
    { label: '[more…]', description: 'who else is greeted' },
  ],
  options: {
    loud: { short: 'l', description: 'greet in a voice that carries over the whole yard' },
    language: { value: '<code>', description: 'the language' },
  },
  examples: [{ does: 'Greet Ann', command: 'ttun greet Ann' }],
  exitCodes: { 3: 'no one was at home' },
};

const AT_WIDTH_60 = `\
Usage: ttun greet [options] <name> [more…]
       ttun greet --list

Greets people, at some length.

And does nothing else.

Arguments
  <name>   who is greeted
  [more…]  who else is greeted

Options
  -l, --loud  greet in a voice that carries over the whole
              yard
      --language <code>
              the language
  -h, --help  print this help

Examples
  Greet Ann:
    ttun greet Ann

Exit codes
  0  success
  1  failure; a message on standard error says why and what
     to do
  2  invalid arguments
  3  no one was at home
`;

test('the help of a command has usage, arguments, options, examples and exit codes', (t) => {
  t.is(formatHelp(SPEC, { width: 60, heading: (text) => text }), AT_WIDTH_60);
});

function ttun(...args: string[]): Promise<{ stdout: string }> {
  return run([process.execPath, BIN, ...args]);
}

test('ttun --help shows the usage for a tunnel and each command with its summary', async (t) => {
  const { stdout } = await ttun('--help');
  t.regex(stdout, /^Usage: ttun \[options\] <tun> <local-ip> <local-port> <remote-ip> <remote-port>$/m);
  for (const [name, { summary }] of COMMANDS) t.regex(stdout, new RegExp(`^  ${name} +${summary}$`, 'm'));
  t.is((await ttun('help')).stdout, stdout);
  t.is((await ttun('-h')).stdout, stdout);
});

/** Commands are never wrapped. */
function isExample(line: string): boolean {
  return line.startsWith('    ');
}

// One after the other: the limit for a process is too short for dozens that start at once on a busy machine.
for (const name of COMMANDS.keys()) {
  test.serial(`ttun ${name} --help explains the command, in lines that fit a terminal`, async (t) => {
    const { stdout } = await ttun(name, '--help');
    t.true(stdout.startsWith(`Usage: ttun ${name}`));
    t.deepEqual(
      stdout.split('\n').filter((line) => line.length > 80 && !isExample(line)),
      [],
    );
    t.is((await ttun('help', name)).stdout, stdout);
    t.is((await ttun(name, '-h')).stdout, stdout);
  });
}

test('the help is as wide as the terminal, within limits, and its headings are bold', async (t) => {
  const inTerminal = async (columns: number): Promise<string[]> => {
    const typed = `stty cols ${columns}; ${process.execPath} ${BIN} --help`;
    const { stdout } = await run(['script', '--quiet', '--return', '--command', typed, '/dev/null'], {
      env: { ...process.env, TERM: 'xterm', NO_COLOR: '' },
    });
    t.true(stdout.includes('\u001B[1mOptions\u001B[22m'));
    return stdout.split('\r\n').filter((line) => line.startsWith('Prints') || line.startsWith('Packets'));
  };
  const [narrow, wide, huge] = await Promise.all([60, 95, 300].map(inTerminal));
  t.true(longest(narrow) <= 60);
  t.true(longest(wide) > 80 && longest(wide) <= 95);
  t.true(longest(huge) > 80 && longest(huge) <= 100);
});

function longest(lines: readonly string[] | undefined): number {
  return Math.max(...(lines ?? []).map((line) => line.length));
}

test('each command says what it does in one short line without a full stop', async (t) => {
  for (const [name, { summary, load }] of COMMANDS) {
    t.is((await load()).SPEC.name, name);
    t.regex(summary, /^[^\n]{1,60}(?<!\.)$/, name);
  }
});

const MISTYPED: readonly (readonly [args: string, answer: string])[] = [
  ['hepl', "there is no command 'hepl'; did you mean help? (see ttun --help)"],
  ['lba --keep', "there is no command 'lba'; did you mean lab? (see ttun --help)"],
  ['lba --help', "there is no command 'lba'; did you mean lab? (see ttun --help)"],
  ['help lba', "there is no command 'lba'; did you mean lab? (see ttun --help)"],
  ['--json lab', 'options come after the command; type: ttun lab --json (see ttun --help)'],
  [
    'status',
    "there is no command 'status'; for a tunnel on a device of this name: ttun status <local-ip> <local-port> <remote-ip> <remote-port> (see ttun --help)",
  ],
  ['help lab up', "unexpected argument 'up'; usage: ttun help [command] (see ttun --help)"],
  ['lab --kep', 'there is no option --kep; did you mean --keep? (see ttun lab --help)'],
];

for (const [args, answer] of MISTYPED) {
  test(`'ttun ${args}' is answered with a suggestion`, async (t) => {
    const { status, stdout, stderr } = await runToEnd([process.execPath, BIN, ...args.split(' ')]);
    t.deepEqual([status, stdout, stderr], [2, '', `ttun: ${answer}\n`]);
  });
}

test('a device may have the same name as a command', async (t) => {
  const { status, stderr } = await runToEnd([
    process.execPath,
    BIN,
    ...'lab 192.0.2.1 8000 192.0.2.2 8000'.split(' '),
  ]);
  t.is(status, 1);
  t.regex(stderr, /^ttun: there is no device lab; /);
});
