import { mkdtemp, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { BIN } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { startPair } from './pair.ts';
import { Room } from './room.ts';
import { Terminal } from './terminal.ts';

let sites: Sites;
let folder: string;
test.before(async () => {
  sites = await createSites();
  folder = await mkdtemp('/tmp/control-test-');
});
test.after.always(async () => {
  await sites[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const WATCH = [process.execPath, BIN, 'show', '--watch', '--interval', '100'];

test('it shows current rates in as many columns as fit', async (t) => {
  await using room = await Room.open();
  const { a } = await startPair(room, sites, '-q');
  await using terminal = await Terminal.open(folder, 132, 12);
  await terminal.enter(room.inside(WATCH));
  const pings = sites.a.start(['ping', '-i', '0.002', sites.b.inner.ipv4]);
  const name = `tun0 \\(${sites.a.namespace}\\)`;
  const wide = await terminal.waitFor(new RegExp(`${name} +up +\\d[\\d.]* kbit/s .*[▂▃▄▅▆▇█]`));
  t.regex(wide, /^ttun {2}2 tunnels, every 0\.1 s +\d\d:\d\d:\d\d\n/);
  t.regex(wide, /^TUNNEL +STATE +RECEIVED +SENT +RECV PKT\/S +SENT PKT\/S +DROPS\/S +HEARD {2}LAST MINUTE$/m);
  t.regex(wide, /\nq quit {2}space pause\n*$/);
  t.true((await terminal.colours()).includes('\u001B[32mup'));

  await terminal.resize(60, 12);
  const narrow = await terminal.waitFor(/^TUNNEL +STATE +RECEIVED +SENT(?: +DROPS\/S)?$/m);
  t.true(narrow.split('\n').every((line) => line.length <= 60));
  await terminal.resize(30, 4);
  await terminal.waitFor(/^TUNNEL +RECEIVED$/m);
  await terminal.resize(132, 12);
  await terminal.waitFor(/LAST MINUTE/);

  await pings.stop('SIGINT');
  await terminal.waitFor(new RegExp(`${name} +up +0 bit/s +0 bit/s +0 +0 +0 `));
  await a.stop('SIGINT');
  await terminal.waitFor(/1 tunnel, every/);
});

test('tunnels come and go while it watches', async (t) => {
  await using room = await Room.open();
  await using terminal = await Terminal.open(folder, 100, 12);
  await terminal.enter(room.inside([...WATCH, 'tunnel01', 'tunnel02']));
  await terminal.waitFor(/^No tunnel tunnel01, tunnel02 is running\.$/m);
  const crowd = startCrowd(room);
  await terminal.waitFor(/^tunnel01 .*\ntunnel02 /m);
  crowd.kill('SIGSTOP');
  await terminal.waitFor(/^tunnel01 +no answer/m);
  crowd.kill('SIGCONT');
  await terminal.waitFor(/^tunnel01 +up/m);
  await crowd.stop('SIGKILL');
  t.notRegex(await terminal.waitFor(/^No tunnel /m), /STATE/);
});

test('tunnels that do not fit can be scrolled to, and problems are shown', async (t) => {
  await using room = await Room.open();
  await startCrowd(room).waitForLine('ready');
  await using terminal = await Terminal.open(folder, 100, 14);
  await terminal.enter(room.inside(WATCH));
  await terminal.waitFor(/^tunnel10 [^]*1–10 of 30/m);
  await terminal.press('j', 'Down', 'Down', 'k');
  await terminal.waitFor(/^tunnel12 [^]*3–12 of 30/m);
  await terminal.press('NPage');
  await terminal.waitFor(/13–22 of 30/);
  await terminal.press('G');
  const end = await terminal.waitFor(/21–30 of 30/);
  t.regex(end, /^broken +down, retrying +there is no device tun9$/m);
  t.regex(end, /^fresh +opening +–/m);
  await terminal.press('Home');
  await terminal.waitFor(/1–10 of 30/);
  await terminal.press('G');
  await terminal.resize(100, 40);
  t.notRegex(await terminal.waitFor(/^tunnel01 [^]*^fresh /m), / of 30/);
});

test('space pauses and continues', async (t) => {
  await using room = await Room.open();
  await using terminal = await Terminal.open(folder, 100, 12);
  await terminal.enter(room.inside(WATCH));
  await terminal.waitFor(/No tunnel is running\./);
  await terminal.press('Space');
  const paused = await terminal.waitFor(/paused/);
  t.regex(paused, /space continue/);
  await startCrowd(room).waitForLine('ready');
  t.is(await terminal.screen(), paused);
  await terminal.press('Space');
  t.notRegex(await terminal.waitFor(/^tunnel01 /m), /paused/);
});

test('the terminal is restored however it ends', async (t) => {
  await using room = await Room.open();
  await using terminal = await Terminal.open(folder, 100, 12);
  await terminal.enter(['echo', 'earlier']);
  for (const key of ['q', 'Escape', 'C-c']) {
    await terminal.enter(room.inside(WATCH));
    await terminal.waitFor(/No tunnel is running\./);
    t.false(await terminal.isUsual());
    t.notRegex(await terminal.screen(), /earlier/);
    await terminal.press(key);
    await isAsItWas(terminal, 0);
  }
  t.pass();
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`the terminal is restored after ${signal}`, async (t) => {
    await using room = await Room.open();
    await using terminal = await Terminal.open(folder, 100, 12);
    await terminal.enter(['echo', 'earlier']);
    await terminal.enter(room.inside(WATCH));
    await terminal.waitFor(/No tunnel is running\./);
    process.kill(await terminal.program(), signal);
    await isAsItWas(terminal, 0);
    t.pass();
  });
}

test('the terminal is restored after an unexpected error', async (t) => {
  const screen = new URL('../../dist/cli/screen.js', import.meta.url).href;
  const program = `
    import { Screen } from '${screen}';
    const screen = new Screen(process.stdout);
    screen.open();
    screen.draw([[{ text: 'drawn' }]]);
    process.stdin.once('data', () => { throw new Error('unexpected'); });
  `.replaceAll(/\s+/g, ' ');
  await using terminal = await Terminal.open(folder, 100, 12);
  await terminal.enter(['echo', 'earlier']);
  await terminal.enter([process.execPath, '--input-type=module', '-e', program.replaceAll("'", '"')]);
  await terminal.waitFor(/^drawn/m);
  t.false(await terminal.isUsual());
  await terminal.press('Enter');
  await isAsItWas(terminal, 1);
});

test('Ctrl-Z restores the terminal until it is continued', async (t) => {
  await using room = await Room.open();
  await using terminal = await Terminal.open(folder, 100, 12);
  await terminal.enter(room.inside(WATCH));
  await terminal.waitFor(/No tunnel is running\./);
  await terminal.press('C-z');
  await terminal.waitFor(/Stopped/);
  t.true(await terminal.isUsual());
  await terminal.enter(['fg']);
  await terminal.waitFor(/No tunnel is running\./);
  t.false(await terminal.isUsual());
  await terminal.press('q');
  await isAsItWas(terminal, 0);
});

test('there are no colors with NO_COLOR', async (t) => {
  await using room = await Room.open();
  await startCrowd(room).waitForLine('ready');
  await using terminal = await Terminal.open(folder, 100, 12);
  await terminal.enter(room.inside(['env', 'NO_COLOR=1', ...WATCH]));
  await terminal.waitFor(/^tunnel01 +up/m);
  t.false((await terminal.colours()).includes('\u001B['));
});

function startCrowd(room: Room): ReturnType<Room['start']> {
  const register = fileURLToPath(import.meta.resolve('@oxc-node/core/register'));
  return room.start([
    process.execPath,
    '--import',
    register,
    fileURLToPath(new URL('crowd.ts', import.meta.url)),
  ]);
}

/** Checks that the shell is back with its screen, and echoes input. */
async function isAsItWas(terminal: Terminal, status: number): Promise<void> {
  await waitFor('the usual screen', () => terminal.isUsual());
  await terminal.press('C-u');
  await terminal.press('echo ended with $?', 'Enter');
  await terminal.waitFor(new RegExp(`^\\$ echo ended with \\$\\?\\nended with ${status}$`, 'm'));
  await terminal.press('clear', 'Enter');
  await terminal.enter(['echo', 'earlier']);
}
