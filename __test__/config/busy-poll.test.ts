/** The option `busyPoll`: in programs, in files, and on the command line. */
import test from 'ava';
import { UsageError } from '../../src/cli/args.ts';
import { parseCommandLine } from '../../src/cli/tunnel-arguments.ts';
import { resolveOptions } from '../../src/config/resolve.ts';
import { TtunError } from '../../src/errors.ts';
import { problemsOf } from './refusal.ts';

const GOOD = { device: 'tun0', local: '192.0.2.1:8000', remote: '192.0.2.2:8000' };
const ARGUMENTS = ['tun0', '192.0.2.1', '8000', '192.0.2.2', '8000'];

function typed(...args: readonly string[]): number | null {
  const command = parseCommandLine([...args, ...ARGUMENTS]);
  return command.name === 'tunnel' ? command.options.busyPoll : null;
}

test('a time of busy polling has a unit, or is a number of milliseconds', (t) => {
  for (const busyPoll of ['50us', '50 us', '0.05ms', '0.05 ms']) {
    t.is(resolveOptions({ ...GOOD, busyPoll }).busyPoll, 0.05, busyPoll);
    t.is(typed('--busy-poll', busyPoll), 0.05, busyPoll);
    t.is(typed(`--busy-poll=${busyPoll}`), 0.05, busyPoll);
  }
  t.is(resolveOptions({ ...GOOD, busyPoll: 0.05 }).busyPoll, 0.05);
  t.is(resolveOptions({ ...GOOD, busyPoll: '1us' }).busyPoll, 0.001);
  t.is(resolveOptions({ ...GOOD, busyPoll: '1ms' }).busyPoll, 1);
  t.is(resolveOptions(GOOD).busyPoll, null);
  t.is(typed(), null);
});

/** The problems of a file with this line, which is the fifth. */
function inFile(line: string): string {
  return problemsOf(`[tunnels.a]\ndevice = "tun0"\nlocal = ":1"\nremote = "b:1"\n${line}\n`).join();
}

const HINT = "give a time from 1us to 1ms, such as '50us'";

/** The same message and hint in programs, in files with the line, and on the command line, where all is text. */
const WRONG: readonly (readonly [busyPoll: string | number, problem: string, hint?: string])[] = [
  ['fast', "'fast' is not a duration"],
  ['50', "'50' is not a duration", "add a unit: '50us'"],
  ['50 µs', "'50 µs' is not a duration"],
  ['-1', "'-1' is not a duration"],
  ['-1us', "'-1us' is not a duration"],
  ['0us', '0us is too short a time'],
  ['0.9us', '0.9us is too short a time'],
  ['1.1ms', '1.1ms is too long a time'],
  ['1s', '1s is too long a time'],
  [0, '0 ms is too short a time'],
  [-1, '-1 ms is too short a time'],
  [50_000, '50000 ms is too long a time'],
];

for (const [busyPoll, problem, hint = HINT] of WRONG) {
  test(`the time ${JSON.stringify(busyPoll)} is refused in the same words everywhere`, (t) => {
    const error = t.throws(() => resolveOptions({ ...GOOD, busyPoll }), { instanceOf: TtunError });
    t.is(error?.message, `busyPoll: ${problem}`);
    t.is(error?.hint, hint);
    t.is(inFile(`busyPoll = ${JSON.stringify(busyPoll)}`), `5: tunnels.a.busyPoll: ${problem}\n  ${hint}`);
    if (typeof busyPoll === 'number') return;
    t.throws(() => typed(`--busy-poll=${busyPoll}`), {
      instanceOf: UsageError,
      message: `--busy-poll: ${problem}; ${hint}`,
    });
  });
}

test('other types are refused, with their line', (t) => {
  t.regex(inFile('busyPoll = true'), /^5: tunnels\.a\.busyPoll: true is not a string or a number\n/);
  t.regex(inFile('busyPoll = ["50us"]'), /^5: tunnels\.a\.busyPoll: .* is not a string or a number\n/);
});
