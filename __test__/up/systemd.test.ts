import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { run, runToEnd } from '../../testbed/exec.ts';

const UNIT = new URL('../../contrib/systemd/ttun@.service', import.meta.url);

let directory: string;
/** An instance of the unit with existing paths, because ttun need not be installed here. */
let instance: string;
test.before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ttun-unit-'));
  const program = join(directory, 'ttun');
  await copyFile('/bin/true', program);
  instance = join(directory, 'ttun@office.service');
  const unit = await readFile(UNIT, 'utf8');
  await writeFile(instance, unit.replaceAll(/^(Exec\w+)=ttun /gm, `$1=${program} `));
});
test.after.always(() => rm(directory, { recursive: true }));

test('systemd accepts the unit', async (t) => {
  const { stdout, stderr } = await run(['systemd-analyze', 'verify', '--man=no', instance]);
  t.is(stdout + stderr, '');
});

test('systemd reports a mistake in a unit', async (t) => {
  const wrong = join(directory, 'ttun@wrong.service');
  await writeFile(wrong, (await readFile(instance, 'utf8')).replace('WatchdogSec=', 'WatchdogSeconds='));
  const { stdout, stderr } = await runToEnd(['systemd-analyze', 'verify', '--man=no', wrong]);
  t.regex(stdout + stderr, /WatchdogSeconds/);
});

test('systemd rates the exposure of the service as OK', async (t) => {
  const rate = ['systemd-analyze', 'security', '--offline=true', '--no-pager', '--threshold=25', instance];
  const { status, stdout } = await runToEnd(rate);
  t.is(status, 0, stdout);
});
