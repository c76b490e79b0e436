import { rm } from 'node:fs/promises';
import test from 'ava';
import { addTun } from '../../testbed/additional-tun.ts';
import type { BackgroundProcess } from '../../testbed/exec.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { transferUdp } from '../../testbed/traffic/udp.ts';
import type { TunnelStats } from '../../src/index.ts';
import { BIN } from '../../testbed/tunnel.ts';
import { exchangePings, officeAtA, startOfficeAtB, UpFolder } from './up.ts';
import type { ConfigTables, Table } from './up.ts';

/** What `ttun show --json` has for each process. */
interface ShownProcess {
  readonly process: { readonly pid: number };
  readonly tunnels: readonly { readonly stats: TunnelStats }[];
}

let sites: Sites;
test.before(async () => {
  sites = await createSites();
  await addTun(sites.a, 'tun1', 1452, { ipv4: '10.0.4.1', ipv6: 'fd00:4::1' });
});
test.after.always(() => sites[Symbol.asyncDispose]());

const HOME = { device: 'tun1', local: '10.0.1.1:9100', remote: '10.0.1.2:9100' };

function config(home: Table = HOME, more: Partial<ConfigTables> = {}): ConfigTables {
  return { ...more, tunnels: { office: officeAtA(sites), home, ...more.tunnels } };
}

function servedAt(listen: string): ConfigTables {
  return config(HOME, { http: { listen } });
}

/** Numbered datagrams, so that no loss goes unnoticed. */
const BURSTS = { count: 3000, sizes: [100, 1400] };

async function startBoth(folder: UpFolder, ...args: string[]): Promise<BackgroundProcess> {
  const up = folder.up(sites.a, args);
  await Promise.all(['office', 'home'].map((name) => up.waitForLine(`${name}: attached to`)));
  return up;
}

/** Packets that tunnel `office` carried in each direction, from its summary. */
async function carriedByOffice(up: BackgroundProcess): Promise<readonly number[]> {
  await up.stop('SIGINT');
  const summary =
    /office: .*sent: ([\d,]+) packets, .* none dropped; received: ([\d,]+) packets, .* none dropped/;
  const [, out = '', back = ''] = summary.exec(up.stderr) ?? [];
  return [out, back].map((count) => Number(count.replaceAll(',', '')));
}

test.serial(
  'a reload under traffic loses no packet of an unchanged tunnel, while another is opened again',
  async (t) => {
    await using folder = await UpFolder.create(config());
    await using other = await startOfficeAtB(sites);
    await using up = await startBoth(folder);

    let sent = 0;
    for (const clampMss of [false, true, false]) {
      await folder.write(config({ ...HOME, clampMss }));
      const reloaded = new AbortController();
      const reload = folder.reload(sites.a).finally(() => reloaded.abort());
      while (!reloaded.signal.aborted) {
        const report = await transferUdp({
          from: sites.a,
          to: sites.b,
          address: sites.b.inner.ipv4,
          ...BURSTS,
        });
        t.deepEqual(report, { received: BURSTS.count, reordered: 0, duplicates: 0, corrupted: 0 });
        sent += BURSTS.count;
      }
      const { status, stderr } = await reload;
      t.is(stderr, 'ttun: configuration reloaded: changed home; 1 unchanged\n');
      t.is(status, 0);
    }

    t.is(up.lines.filter((line) => line.includes('home: attached to')).length, 4);
    t.is(up.lines.filter((line) => line.includes('office: attached to')).length, 1);
    t.deepEqual(await carriedByOffice(up), [sent, 0]);
    t.true(other.running);
  },
);

test.serial('a reload that changes nothing but the rate of a tunnel does not interrupt it', async (t) => {
  const rated = (rate?: string): ConfigTables => ({
    tunnels: { office: officeAtA(sites, rate === undefined ? {} : { rate }) },
  });
  await using folder = await UpFolder.create(rated());
  await using other = await startOfficeAtB(sites);
  await using up = folder.up(sites.a);
  await up.waitForLine('office: attached to');
  await exchangePings(sites.a, sites.b.inner.ipv4, 3);
  const stats = async (): Promise<TunnelStats | undefined> => {
    const { stdout } = await sites.a.runToEnd([process.execPath, BIN, 'show', '--json', 'office']);
    // Other test files have a tunnel of this name too.
    const documents: readonly ShownProcess[] = JSON.parse(stdout);
    const own = documents.find(({ process: { pid } }) => pid === up.pid);
    return own?.tunnels[0]?.stats;
  };
  const before = await stats();
  t.is(before?.queue.rate, null);

  for (const [rate, bitsPerSecond, isChange] of [
    ['18 Mbit/s', 18e6, true],
    ['18000 kbit/s', 18e6, false],
    [undefined, null, true],
  ] as const) {
    await folder.write(rated(rate));
    const { status, stdout } = await folder.reload(sites.a, '--json');
    t.is(status, 0);
    t.deepEqual(JSON.parse(stdout).changed, isChange ? ['office'] : []);
    await exchangePings(sites.a, sites.b.inner.ipv4, 1);
    if (!isChange) continue;
    const now = await stats();
    t.is(now?.queue.rate, bitsPerSecond);
    t.is(now?.openedAt, before?.openedAt);
    t.true((now?.encap.packets ?? 0) > (before?.encap.packets ?? 0));
  }
  t.is(up.lines.filter((line) => line.includes('attached to')).length, 1);
  t.deepEqual(await carriedByOffice(up), [6, 6]);
  t.true(other.running);
});

test.serial('SIGHUP does what ttun reload does', async (t) => {
  await using folder = await UpFolder.create(config());
  await using up = await startBoth(folder);
  await folder.write({ tunnels: { office: officeAtA(sites) } });
  up.kill('SIGHUP');
  t.is(
    await up.waitForLine('configuration reloaded'),
    'ttun: configuration reloaded: removed home; 1 unchanged',
  );
  t.regex(up.stderr, /^ttun: home: tun1 closed after/m);
  t.true(up.running);
});

test.serial('tunnels may swap their devices and ports', async (t) => {
  const [one, two] = [officeAtA(sites), HOME];
  await using folder = await UpFolder.create({ tunnels: { one, two } });
  await using up = folder.up(sites.a);
  await Promise.all(['one', 'two'].map((name) => up.waitForLine(`${name}: attached to`)));
  await folder.write({ tunnels: { one: two, two: one } });
  const { status, stdout } = await folder.reload(sites.a, '--json');
  t.is(status, 0);
  t.deepEqual(JSON.parse(stdout), {
    added: [],
    changed: ['one', 'two'],
    removed: [],
    unchanged: [],
    restored: {},
  });
  await Promise.all([up.waitForLine('one: attached to tun1'), up.waitForLine('two: attached to tun0')]);
  t.notRegex(up.stderr, /retrying/);
});

test.serial('a reload adds a tunnel, and retries a waiting one at once', async (t) => {
  const late = { device: 'tunlate', local: '10.0.1.1:9200', remote: '10.0.1.2:9200' };
  await using folder = await UpFolder.create({ tunnels: { late } });
  await using up = folder.up(sites.a);
  await up.waitForLine('late: there is no device');
  await sites.a.ip('tuntap', 'add', 'dev', 'tunlate', 'mode', 'tun');
  await folder.write({ tunnels: { late, office: officeAtA(sites) } });
  const { stderr } = await folder.reload(sites.a);
  t.is(stderr, 'ttun: configuration reloaded: added office; 1 unchanged\n');
  await Promise.all([up.waitForLine('late: attached to'), up.waitForLine('office: attached to')]);
});

test.serial('a configuration with a mistake, or a missing one, changes nothing', async (t) => {
  await using folder = await UpFolder.create(config());
  await using other = await startOfficeAtB(sites);
  await using up = await startBoth(folder);
  await exchangePings(sites.a, sites.b.inner.ipv4, 3);

  const spoil = [
    () => folder.writeText('[tunnels.office\n'),
    () => folder.write(config({ ...HOME, remote: 'nowhere', clampMss: 'perhaps' })),
    () => rm(folder.config),
  ];
  for (const [index, doSpoil] of spoil.entries()) {
    await doSpoil();
    const from = up.lines.length;
    const { status, stderr, stdout } = await folder.reload(sites.a, ...(index === 1 ? ['--json'] : []));
    t.is(status, 1);
    if (index === 1) {
      const { error } = JSON.parse(stdout);
      t.regex(error.message, /remote/);
      t.regex(error.message, /clampMss/);
    } else t.regex(stderr, /^ttun: .*ttun\.toml/);
    await up.waitForLine('the new configuration cannot be used; nothing was changed', { from });
  }
  await exchangePings(sites.a, sites.b.inner.ipv4, 4);
  t.is(up.lines.filter((line) => line.includes('attached to')).length, 2);
  t.deepEqual(await carriedByOffice(up), [7, 7]);
  t.true(other.running);
});

test.serial('overlapping reloads run one after the other', async (t) => {
  await using folder = await UpFolder.create(config());
  await using up = await startBoth(folder);
  await folder.write(config({ ...HOME, clampMss: false }));
  const reloads = await Promise.all([1, 2, 3].map(() => folder.reload(sites.a, '--json')));
  const changed = reloads.map(({ stdout }) => JSON.parse(stdout).changed);
  t.deepEqual(changed.flat(), ['home'], 'only the first finds a change');
  t.is(up.lines.filter((line) => line.includes('home: attached to')).length, 2);
});

test.serial(
  'an HTTP server moves, also to all addresses of its port, and a port in use changes nothing',
  async (t) => {
    await using folder = await UpFolder.create(servedAt('127.0.0.1:9750'));
    await using up = await startBoth(folder);
    const isServed = (url: string): Promise<boolean> => answers(sites, url);
    t.true(await isServed('http://127.0.0.1:9750/stats'));

    await folder.write(servedAt('127.0.0.1:9751'));
    t.is((await folder.reload(sites.a)).status, 0);
    t.deepEqual(
      await Promise.all(['http://127.0.0.1:9750/stats', 'http://127.0.0.1:9751/stats'].map(isServed)),
      [false, true],
    );

    await folder.write(servedAt('0.0.0.0:9751'));
    t.is((await folder.reload(sites.a)).status, 0);
    t.true(await isServed(`http://${sites.a.outer.ipv4}:9751/stats`));

    await using listener = sites.a.start(['nc', '-l', '-v', '-n', '-s', '127.0.0.1', '-p', '9752']);
    await listener.waitForLine(/listening/i);
    await folder.write(config({ ...HOME, clampMss: false }, { http: { listen: '127.0.0.1:9752' } }));
    const { status, stderr } = await folder.reload(sites.a);
    t.is(status, 1);
    t.regex(stderr, /^ttun: cannot serve HTTP at 127\.0\.0\.1:9752: another program is listening there/);
    t.true(await isServed(`http://${sites.a.outer.ipv4}:9751/stats`));
    t.notRegex(up.stderr, /closed after/);
  },
);

test.serial(
  'an HTTP server that can neither move nor go back reports the first error, and is retried at its old address',
  async (t) => {
    const address = ['10.0.1.77/32', 'dev', 'lo'];
    await sites.a.ip('address', 'add', ...address);
    await using folder = await UpFolder.create(servedAt('10.0.1.77:9760'));
    await using up = await startBoth(folder);
    await up.waitForLine('http://10.0.1.77:9760/');
    // Another program excludes all addresses of that port; without its address the old server cannot come back either.
    await using listener = sites.a.start(['nc', '-l', '-v', '-n', '-s', '127.0.0.1', '-p', '9760']);
    await listener.waitForLine(/listening/i);
    await sites.a.ip('address', 'delete', ...address);

    await folder.write(servedAt(':9760'));
    const { status, stderr } = await folder.reload(sites.a);
    t.is(status, 1);
    t.regex(
      stderr,
      /^ttun: cannot serve HTTP at port 9760 of all addresses: another program is listening there/,
    );
    await up.waitForLine(
      /^ttun: metrics and page are not served: cannot serve HTTP at 10\.0\.1\.77:9760: no interface .*; retrying$/,
    );
    const { stdout } = await sites.a.runToEnd([process.execPath, BIN, 'show', 'office']);
    t.regex(stdout, /^ {2}http: cannot serve HTTP at 10\.0\.1\.77:9760: no interface/m);
    t.notRegex(up.stderr, /closed after/);

    // The tunnels can be changed meanwhile.
    await folder.write(config({ ...HOME, clampMss: false }, { http: { listen: '10.0.1.77:9760' } }));
    t.is((await folder.reload(sites.a)).status, 0);

    const from = up.lines.length;
    await sites.a.ip('address', 'add', ...address);
    await up.waitForLine('serving metrics and a page at http://10.0.1.77:9760/', { from });
    t.true(await answers(sites, 'http://10.0.1.77:9760/stats'));
    t.is(up.lines.filter((line) => line.includes('are not served')).length, 1);
  },
);

/** Whether a request inside the site succeeds. */
async function answers({ a }: Sites, url: string): Promise<boolean> {
  const program = `process.exitCode = (await fetch('${url}')).ok ? 0 : 1`;
  return (await a.runToEnd([process.execPath, '--input-type=module', '-e', program])).status === 0;
}

test.serial('ttun reload fails if no process matches, or several do', async (t) => {
  await using folder = await UpFolder.create(config());
  const none = await folder.reload(sites.a);
  t.is(none.status, 1);
  t.regex(none.stderr, /^ttun: no such ttun up is running/);

  await using first = await startBoth(folder);
  await using second = folder.up(sites.a);
  await second.waitForLine('home:');
  const both = await folder.reload(sites.a);
  t.is(both.status, 1);
  t.regex(
    both.stderr,
    new RegExp(`^ttun: 2 processes are running: .*\\(process (?:${first.pid}|${second.pid})\\)`),
  );
  const one = await sites.a.runToEnd([process.execPath, BIN, 'reload', '--pid', `${first.pid}`]);
  t.is(one.status, 0);
  t.regex(first.stderr, /configuration reloaded/);
  t.notRegex(second.stderr, /configuration reloaded/);
  const wrong = await sites.a.runToEnd([process.execPath, BIN, 'reload', '--pid', 'one']);
  t.is(wrong.status, 2);
});
