import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { addTun } from '../../testbed/additional-tun.ts';
import { run } from '../../testbed/exec.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { startTtun } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { eventsOf, exchangePings, officeAtA, startOfficeAtB, UpFolder } from './up.ts';

const HOME = {
  a: { ipv4: '10.0.4.1', ipv6: 'fd00:4::1' },
  b: { ipv4: '10.0.4.2', ipv6: 'fd00:4::2' },
};

let sites: Sites;
test.before(async () => {
  sites = await createSites();
  await addTun(sites.a, 'tun1', 1452, HOME.a);
  await addTun(sites.b, 'tun1', 1452, HOME.b);
});
test.after.always(() => sites[Symbol.asyncDispose]());

const home = { device: 'tun1', local: '10.0.1.1:9100', remote: '10.0.1.2:9100' };
const homeAtB = ['-q', 'tun1', '10.0.1.2', '9100', '10.0.1.1', '9100'];

test.serial('two tunnels of one file carry packets, and each has a summary line at the end', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites), home } });
  await using otherOffice = await startOfficeAtB(sites);
  await using otherHome = startTtun(sites.b, homeAtB);
  await otherHome.waitForLine('attached to');
  await using up = folder.up(sites.a);
  await Promise.all(['office', 'home'].map((name) => up.waitForLine(`${name}: attached to`)));

  await exchangePings(sites.a, sites.b.inner.ipv4, 7);
  await exchangePings(sites.a, HOME.b.ipv4, 11);

  t.true(otherOffice.running && otherHome.running);
  t.deepEqual(await up.stop('SIGINT'), { status: 0, signal: null });
  t.is(up.stdout, '');
  const closed = up.stderr.split('\n').filter((line) => line.includes(' closed after '));
  t.is(closed.length, 2);
  t.regex(
    closed.find((line) => line.startsWith('ttun: office: ')) ?? '',
    /^ttun: office: tun0 closed after \d+\.\d s; sent: 7 packets, 588 bytes, none dropped; received: 7 packets, /,
  );
  t.regex(
    closed.find((line) => line.startsWith('ttun: home: ')) ?? '',
    /^ttun: home: tun1 closed after \d+\.\d s; sent: 11 packets, 924 bytes, none dropped; received: 11 packets, /,
  );
});

test.serial('SIGTERM ends it as Ctrl-C does', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
  await using up = folder.up(sites.a);
  await up.waitForLine('office: attached to');
  t.deepEqual(await up.stop('SIGTERM'), { status: 0, signal: null });
  t.regex(up.stderr, /^ttun: office: tun0 closed after/m);
});

for (const [first, second] of [
  ['INT', 'TERM'],
  ['TERM', 'HUP'],
] as const) {
  test.serial(`SIG${second} right after SIG${first} does not cut the summary`, async (t) => {
    await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites), home } });
    for (let round = 0; round < 5; round += 1) {
      await using up = folder.up(sites.a);
      await Promise.all(['office: attached to', 'home: attached to'].map((line) => up.waitForLine(line)));
      await run(['bash', '-c', `kill -${first} ${up.pid}; kill -${second} ${up.pid}`]);
      t.deepEqual(await up.exited, { status: 0, signal: null });
      for (const name of ['office', 'home'])
        t.regex(up.stderr, new RegExp(`^ttun: ${name}: .* closed after`, 'm'));
    }
  });
}

test.serial(
  'a tunnel whose device is missing does not affect others, and opens when the device is created',
  async (t) => {
    const late = { device: 'tunlate', local: '10.0.1.1:9200', remote: '10.0.1.2:9200' };
    await using folder = await UpFolder.create({ tunnels: { late, office: officeAtA(sites) } });
    await using otherOffice = await startOfficeAtB(sites);
    await using up = folder.up(sites.a);
    t.is(
      await up.waitForLine('ttun: late:'),
      'ttun: late: there is no device tunlate; create it: ip tuntap add dev tunlate mode tun; retrying',
    );
    await up.waitForLine('office: attached to');
    await exchangePings(sites.a, sites.b.inner.ipv4, 5);

    await sites.a.ip('tuntap', 'add', 'dev', 'tunlate', 'mode', 'tun');
    await up.waitForLine('late: attached to tunlate', { timeoutMs: 40_000 });
    t.is(up.lines.filter((line) => line.includes('there is no device')).length, 1, 'it is reported once');
    t.true(otherOffice.running);
    t.deepEqual(await up.stop('SIGINT'), { status: 0, signal: null });
  },
);

test.serial('a tunnel waits for a port in use', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
  await using blocker = startTtun(sites.a, ['-q', 'tun1', '10.0.1.1', '9000', '10.0.1.2', '9000']);
  await blocker.waitForLine('attached to');
  await using up = folder.up(sites.a);
  await up.waitForLine(/^ttun: office: .*9000.*; retrying$/);
  await blocker.stop();
  await up.waitForLine('office: attached to tun0');
  t.pass();
});

test.serial('a second ttun up of the same file waits for the devices of the first', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
  await using first = folder.up(sites.a);
  await first.waitForLine('office: attached to');
  await using second = folder.up(sites.a);
  await second.waitForLine(/^ttun: office: .*; retrying$/);
  await first.stop();
  await second.waitForLine('office: attached to');
  t.pass();
});

test.serial(
  'only the named tunnels run, and an unknown name is an error that lists the known ones',
  async (t) => {
    await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites), home } });
    await using up = folder.up(sites.a, ['home']);
    await up.waitForLine('home: attached to');
    await up.stop('SIGINT');
    t.notRegex(up.stderr, /office/);

    await using wrong = folder.up(sites.a, ['hone']);
    t.deepEqual(await wrong.exited, { status: 2, signal: null });
    t.is(
      wrong.stderr,
      'ttun: the file has no tunnel hone, only office, home; did you mean home? (see ttun up --help)\n',
    );
  },
);

test.serial('--json prints all events', async (t) => {
  const late = { device: 'tunnever', local: '10.0.1.1:9200', remote: '10.0.1.2:9200' };
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites), late } });
  await using up = folder.up(sites.a, ['--json']);
  await waitFor('both to be tried', () => eventsOf(up).length === 2);
  const [attached, failed] = ['attached', 'failed'].map((name) =>
    eventsOf(up).find(({ event }) => event === name),
  );
  t.like(attached, { event: 'attached', tunnel: 'office', stats: { device: { name: 'tun0' } } });
  t.like(failed, {
    event: 'failed',
    tunnel: 'late',
    error: { code: 'ERR_TTUN_DEVICE_NOT_FOUND', message: 'there is no device tunnever' },
    retryInMs: 1000,
    stats: null,
  });
  await up.stop('SIGINT');
  const closed = eventsOf(up).slice(2);
  t.is(closed.length, 2);
  t.like(
    closed.find(({ tunnel }) => tunnel === 'office'),
    { event: 'closed', stats: { state: 'closed' } },
  );
  t.like(
    closed.find(({ tunnel }) => tunnel === 'late'),
    { event: 'closed', stats: null },
  );
});

test.serial('a file that cannot be read, or has mistakes, is reported, and nothing is opened', async (t) => {
  await using folder = await UpFolder.create({
    tunnels: { office: officeAtA(sites, { remote: 'nowhere' }) },
  });
  await using wrong = folder.up(sites.a);
  t.deepEqual(await wrong.exited, { status: 1, signal: null });
  t.regex(wrong.stderr, /^ttun: .*remote/s);
  t.notRegex(wrong.stderr, /attached/);

  await using missing = sites.a.start([...wrong.command.slice(4, -1), '/nowhere/ttun.toml']);
  t.deepEqual(await missing.exited, { status: 1, signal: null });
  t.regex(missing.stderr, /^ttun: .*\/nowhere\/ttun\.toml/);
});

test.serial('an HTTP port in use is reported before any tunnel is opened', async (t) => {
  await using folder = await UpFolder.create({
    http: { listen: '127.0.0.1:9750' },
    tunnels: { office: officeAtA(sites) },
  });
  await using listener = sites.a.start(['nc', '-l', '-v', '-n', '-s', '127.0.0.1', '-p', '9750']);
  await listener.waitForLine(/listening/i);
  await using up = folder.up(sites.a);
  t.deepEqual(await up.exited, { status: 1, signal: null });
  t.regex(
    up.stderr,
    /^ttun: cannot serve HTTP at 127\.0\.0\.1:9750: another program is listening there; .*\n$/,
  );
});

test.serial('--http overrides the file, and an invalid address is reported', async (t) => {
  await using folder = await UpFolder.create({
    http: { listen: '127.0.0.1:9750' },
    tunnels: { office: officeAtA(sites) },
  });
  await using up = folder.up(sites.a, ['--http', '9751']);
  t.is(
    await up.waitForLine('metrics and a page'),
    'ttun: serving metrics and a page at http://127.0.0.1:9751/',
  );
  await up.stop('SIGINT');
  await using wrong = folder.up(sites.a, ['--http', 'nowhere']);
  t.deepEqual(await wrong.exited, { status: 2, signal: null });
  t.regex(wrong.stderr, /^ttun: cannot serve HTTP: 'nowhere' .* \(see ttun up --help\)\n$/);
});

test.serial('a bug has its own exit code, after which a service is restarted', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
  const bug = join(folder.directory, 'bug.mjs');
  await writeFile(bug, "process.on('SIGUSR2', () => { throw new Error('a bug'); });");
  await using up = folder.up(sites.a, [], { NODE_OPTIONS: `--import ${bug}` });
  await up.waitForLine('office: attached to');
  up.kill('SIGUSR2');
  t.deepEqual(await up.exited, { status: 70, signal: null });
  t.regex(up.stderr, /Error: a bug/);
});

test.serial('a likely mistake is reported as a warning', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
  await chmod(folder.config, 0o666);
  await using up = folder.up(sites.a);
  t.is(
    await up.waitForLine('every user'),
    `ttun: ${folder.config}: warning: every user can write the file, and so control what ttun does`,
  );
  await up.waitForLine('office: attached to');
});

test.serial('a reload during shutdown has no effect', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
  await using up = folder.up(sites.a);
  await up.waitForLine('office: attached to');
  up.kill('SIGINT');
  up.kill('SIGHUP');
  t.deepEqual(await up.exited, { status: 0, signal: null });
  t.is(up.lines.filter((line) => line.includes('attached to')).length, 1);
});
