/** The option `busyPoll`: in programs, in files, and on the command line. */
import test from 'ava';
import { inFile, programmed, refusedEverywhere, typed } from './everywhere.ts';

test('a time of busy polling has a unit, or is a number of milliseconds', (t) => {
  for (const busyPoll of ['50us', '50 us', '0.05ms', '0.05 ms', '.05 ms']) {
    t.is(programmed({ busyPoll }).busyPoll, 0.05, busyPoll);
    t.is(typed('--busy-poll', busyPoll).busyPoll, 0.05, busyPoll);
    t.is(typed(`--busy-poll=${busyPoll}`).busyPoll, 0.05, busyPoll);
  }
  t.is(programmed({ busyPoll: 0.05 }).busyPoll, 0.05);
  t.is(programmed({ busyPoll: '1us' }).busyPoll, 0.001);
  t.is(programmed({ busyPoll: '1ms' }).busyPoll, 1);
  t.is(programmed().busyPoll, null);
  t.is(typed().busyPoll, null);
});

const HINT = "give a time from 1us to 1ms, such as '50us'";

/** The same message and hint in programs, in files with the line, and on the command line, where all is text. */
const WRONG: readonly (readonly [busyPoll: string | number, problem: string, hint?: string])[] = [
  ['fast', "'fast' is not a duration"],
  ['50', "'50' has no unit", "write it as '50us'"],
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

for (const [value, problem, hint = HINT] of WRONG) {
  test(`the time ${JSON.stringify(value)} is refused in the same words everywhere`, (t) => {
    refusedEverywhere(t, { name: 'busyPoll', argument: '--busy-poll', value }, { problem, hint });
  });
}

test('other types are refused, with their line', (t) => {
  t.regex(inFile('busyPoll = true'), /^5: tunnels\.a\.busyPoll: true is not a string or a number\n/);
  t.regex(inFile('busyPoll = ["50us"]'), /^5: tunnels\.a\.busyPoll: .* is not a string or a number\n/);
});
