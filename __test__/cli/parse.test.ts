import test from 'ava';
import { parseArguments, UsageError } from '../../src/cli/args.ts';
import type { CommandSpec } from '../../src/cli/args.ts';

const SPEC = {
  name: 'greet',
  usage: ['[--loud] [--language <code>] <name> [place]'],
  description: [],
  operands: [
    { label: '<name>', description: 'who is greeted' },
    { label: '[place]', description: 'where' },
  ],
  options: {
    loud: { short: 'l', description: 'greet in a loud voice' },
    language: { short: 'L', value: '<code>', description: 'the language' },
  },
  examples: [],
} as const satisfies CommandSpec;

test('options may be anywhere, with their values separate or joined', (t) => {
  const asked = { values: { loud: true, language: 'fr' }, operands: ['Ann', 'here'] };
  for (const args of [
    '--loud --language fr Ann here',
    'Ann here -l -L fr',
    'Ann --language=fr here --loud',
    '-lLfr Ann here',
  ]) {
    t.deepEqual(parseArguments(SPEC, args.split(' ')), asked, args);
  }
});

test('options that were not given are absent', (t) => {
  t.deepEqual(parseArguments(SPEC, ['Ann']), { values: {}, operands: ['Ann'] });
});

test('if an option is given twice, the last one counts', (t) => {
  t.is(parseArguments(SPEC, ['-L', 'fr', 'Ann', '-L', 'de']).values.language, 'de');
});

test('a single - is an operand, and options end at --', (t) => {
  t.deepEqual(parseArguments(SPEC, ['-L', '-', '-']), { values: { language: '-' }, operands: ['-'] });
  t.deepEqual(parseArguments(SPEC, ['--', '--loud', '-x']).operands, ['--loud', '-x']);
});

test('a name with … takes any number of words', (t) => {
  const many = { ...SPEC, operands: [{ label: '[name…]', description: 'who' }] } as const;
  t.deepEqual(parseArguments(many, []).operands, []);
  t.deepEqual(parseArguments(many, ['a', 'b', 'c']).operands, ['a', 'b', 'c']);
});

const FORM = 'ttun greet [--loud] [--language <code>] <name> [place]';
const WRONG: readonly (readonly [args: string, message: string])[] = [
  ['', `<name> is missing; usage: ${FORM}`],
  ['Ann here today', `unexpected argument 'today'; usage: ${FORM}`],
  ['--lout Ann', 'there is no option --lout; did you mean --loud?'],
  ['--lang fr Ann', 'there is no option --lang; did you mean --language?'],
  ['--hlep', 'there is no option --hlep; did you mean --help?'],
  ['--whatever Ann', 'there is no option --whatever'],
  ['--constructor Ann', 'there is no option --constructor'],
  ['--__proto__ Ann', 'there is no option --__proto__'],
  ['-x Ann', 'there is no option -x'],
  ['--loud=very Ann', '--loud takes no value'],
  ['Ann --language', '--language needs a value: --language <code>'],
  ['Ann --language=', '--language needs a value: --language <code>'],
  [
    '-L --loud Ann',
    '-L needs a value, and --loud looks like an option; if it is the value: --language=--loud',
  ],
];

for (const [args, message] of WRONG) {
  test(`'greet ${args}' gives an error and the usage`, (t) => {
    t.throws(() => parseArguments(SPEC, args.split(' ').filter(Boolean)), {
      instanceOf: UsageError,
      message,
    });
  });
}
