/** The options of the queue before the socket: in programs, in files, and on the command line. */
import test from 'ava';
import { parseCommandLine } from '../../src/cli/tunnel-arguments.ts';
import { rateOf } from '../../src/quantity.ts';
import { inFile, programmed, refusedEverywhere, typed } from './everywhere.ts';

test('a rate has any unit of bits per second', (t) => {
  for (const rate of ['18 Mbit/s', '18mbit', '18 Mbps', '18000 kbit/s', '.018 Gbit/s', '18000000 bit/s']) {
    t.is(programmed({ rate }).rate, 18e6, rate);
    t.is(typed('--rate', rate).rate, 18e6, rate);
    t.is(typed(`--rate=${rate}`).rate, 18e6, rate);
  }
  t.is(programmed({ rate: 18e6 }).rate, 18e6);
  t.is(typed().rate, null);
});

const HINT = "give a rate from 64 kbit/s to 100 Gbit/s, such as '18 Mbit/s'";

/** The same message and hint in programs, in files with the line, and on the command line, where all is text. */
const WRONG: readonly (readonly [rate: string | number, problem: string, hint?: string])[] = [
  ['fast', "'fast' is not a rate"],
  ['0', "'0' is not a rate"],
  ['18', "'18' has no unit", "write it as '18 Mbit/s'"],
  ['18000000', "'18000000' has no unit", "write it as '18000000 bit/s'"],
  ['0.01', "'0.01' is not a rate"],
  ['18 MB/s', "'18 MB/s' is not a rate"],
  ['18 Mbit/h', "'18 Mbit/h' is not a rate"],
  ['1e3 Mbit/s', "'1e3 Mbit/s' is not a rate"],
  ['-5', "'-5' is not a rate"],
  ['-5 Mbit/s', "'-5 Mbit/s' is not a rate"],
  ['Infinity', "'Infinity' is not a rate"],
  ['0 Mbit/s', '0 Mbit/s is too low a rate'],
  ['1 bit/s', '1 bit/s is too low a rate'],
  ['63.9 kbit/s', '63.9 kbit/s is too low a rate'],
  ['10 Tbit/s', '10 Tbit/s is too high a rate'],
  ['100.1 Gbit/s', '100.1 Gbit/s is too high a rate'],
  [0, '0 bit/s is too low a rate'],
  [-5e6, '-5000000 bit/s is too low a rate'],
  [1e13, '10000000000000 bit/s is too high a rate'],
];

for (const [value, problem, hint = HINT] of WRONG) {
  test(`the rate ${JSON.stringify(value)} is refused in the same words everywhere`, (t) => {
    refusedEverywhere(t, { name: 'rate', argument: '--rate', value }, { problem, hint });
  });
}

test('what is neither text nor a number is refused where a program sets the rate', (t) => {
  for (const [rate, shown] of [
    [['18 Mbit/s'], 'a list'],
    [{}, 'an object'],
    [true, 'true'],
    [undefined, 'undefined'],
    [18n, '18n'],
  ] as const) {
    const message = `${shown} is not a string or a number`;
    t.like(
      t.throws(() => rateOf(rate)),
      { message, hint: HINT },
    );
  }
  t.throws(() => rateOf(Number.NaN), { message: 'NaN bit/s is not a rate' });
});

test('a rate without a value, or with a value that looks like an option, is refused', (t) => {
  t.throws(() => parseCommandLine(['--rate']), { message: '--rate needs a value: --rate <rate>' });
  t.throws(() => typed('--rate', '-5'), { message: /^--rate needs a value, and -5 looks like an option/ });
});

test('the other options of the queue are checked too, with their line', (t) => {
  t.is(inFile('queue = "no"'), '5: tunnels.a.queue: "no" is not a boolean\n  give true or false');
  t.regex(inFile('rate = true'), /^5: tunnels\.a\.rate: true is not a string or a number\n/);
  t.regex(inFile('sendBuffer = 100'), /^5: tunnels\.a\.sendBuffer: 100 is not the size of a send buffer\n/);
  t.regex(inFile('sendBuffer = "1 MB"'), /^5: tunnels\.a\.sendBuffer: /);
});
