import test from 'ava';
import { LabRun } from './lab-run.ts';

test('--help describes the lab and its options', async (t) => {
  const { exitCode, stdout, stderr } = await new LabRun(['--help']).ended;
  t.is(exitCode, 0);
  t.regex(stdout, /^Usage: ttun lab \[--keep\] \[--json\]\n/);
  t.is(stderr, '');
});

for (const [args, problem] of [
  [['--kep'], /--kep/],
  [['siteC'], /siteC/],
] as const) {
  test(`\`ttun lab ${args.join(' ')}\` is refused with exit code 2, and nothing is done`, async (t) => {
    const { exitCode, stdout, stderr } = await new LabRun(args).ended;
    t.is(exitCode, 2);
    t.is(stdout, '');
    t.regex(stderr, problem);
    t.regex(stderr, /ttun lab --help/);
  });
}
