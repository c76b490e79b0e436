import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { BackgroundProcess } from '../../testbed/exec.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { BIN } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { officeAtA, UpFolder } from './up.ts';

let sites: Sites;
test.before(async () => {
  sites = await createSites();
});
test.after.always(() => sites[Symbol.asyncDispose]());

/**
 * `ttun up` in a terminal of script(1). Its shell hands SIGHUP on, as shells do, and leaves the exit status in a file.
 *
 * @param redirect where input and output go, unless it is the terminal
 */
function startInTerminal(folder: UpFolder, redirect: string): BackgroundProcess {
  const up = `${process.execPath} ${BIN} up -c ${folder.config}`;
  const shell = [
    `${up} ${redirect} & pid=$!`,
    `trap 'kill -HUP $pid' HUP`,
    `echo $pid > ${join(folder.directory, 'pid')}`,
    // wait returns early when the trap interrupts it.
    `until wait $pid; status=$?; ! kill -0 $pid; do :; done`,
    `echo $status > ${join(folder.directory, 'status')}`,
  ].join('\n');
  return sites.a.start(['script', '--quiet', '--flush', '--command', shell, '/dev/null']);
}

async function pidOf(folder: UpFolder): Promise<number> {
  return waitFor('its process id', async () => Number(await read(join(folder.directory, 'pid'))) || null);
}

async function statusOf(folder: UpFolder): Promise<number> {
  return waitFor('its exit status', async () => Number(await read(join(folder.directory, 'status'))) || null);
}

const SIGHUP = 1;

for (const [where, redirect] of [
  ['all its output is there', '< /dev/tty'],
  ['only its messages are there', '> /dev/null'],
  ['only its input is there', '< /dev/tty > LOG 2>&1'],
] as const) {
  test.serial(`it shuts down when its terminal is closed, and ${where}`, async (t) => {
    await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
    const log = join(folder.directory, 'log');
    await using terminal = startInTerminal(folder, redirect.replace('LOG', log));
    if (redirect.includes('LOG'))
      await waitFor('the tunnel', async () => (await read(log)).includes('attached'));
    else await terminal.waitForLine('office: attached to');
    terminal.kill('SIGKILL');
    // By the signal: Node would abort while it resets the closed terminal.
    t.is(await statusOf(folder), 128 + SIGHUP);
    if (redirect.includes('LOG')) t.regex(await read(log), /^ttun: office: tun0 closed after/m);
  });
}

test.serial('SIGHUP in a terminal that is still open reloads the configuration', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
  await using terminal = startInTerminal(folder, '');
  await terminal.waitForLine('office: attached to');
  process.kill(await pidOf(folder), 'SIGHUP');
  await terminal.waitForLine('configuration reloaded: 1 unchanged');
  // The next test needs the device, which is free once this has ended.
  terminal.kill('SIGKILL');
  t.is(await statusOf(folder), 128 + SIGHUP);
});

test.serial('with all its output redirected, as by nohup, it outlives the terminal', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
  const log = join(folder.directory, 'log');
  await using terminal = startInTerminal(folder, `< /dev/null > ${log} 2>&1`);
  await waitFor('the tunnel', async () => (await read(log)).includes('attached to'));
  terminal.kill('SIGKILL');
  await waitFor('the reload', async () => (await read(log)).includes('configuration reloaded: 1 unchanged'));
  process.kill(await pidOf(folder), 'SIGINT');
  await waitFor('its end', async () => (await read(log)).includes('tun0 closed after'));
  t.is(
    await waitFor(
      'its exit status',
      async () => (await read(join(folder.directory, 'status'))).trim() || null,
    ),
    '0',
  );
});

async function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
