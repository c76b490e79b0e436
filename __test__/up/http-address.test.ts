import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { BIN, startTtun } from '../../testbed/tunnel.ts';
import type { Table } from './up.ts';
import { eventsOf, UpFolder } from './up.ts';

let sites: Sites;
test.before(async () => {
  sites = await createSites();
});
test.after.always(() => sites[Symbol.asyncDispose]());

/** A tunnel that creates its device with these addresses. */
function made(...addresses: string[]): Table {
  return {
    device: 'tunmade',
    local: `${sites.a.outer.ipv4}:9300`,
    remote: `${sites.b.outer.ipv4}:9300`,
    interface: { create: true, addresses },
  };
}

/** Whether a request inside site A succeeds. */
async function answers(url: string): Promise<boolean> {
  const program = `process.exitCode = (await fetch('${url}')).ok ? 0 : 1`;
  return (await sites.a.runToEnd([process.execPath, '--input-type=module', '-e', program])).status === 0;
}

test.serial('metrics can be served at the address of a tunnel that ttun up creates', async (t) => {
  for (const [address, listen] of [
    ['10.0.9.1/24', '10.0.9.1:9750'],
    ['fd00:9::1/64', '[fd00:9::1]:9750'],
  ] as const) {
    await using folder = await UpFolder.create({ http: { listen }, tunnels: { made: made(address) } });
    await using up = folder.up(sites.a, ['--json']);
    await up.waitForLine(`serving metrics and a page at http://${listen}/`);
    t.true(await answers(`http://${listen}/metrics`));
    // The kernel may report the address before the tunnel is known to be open.
    const kinds = eventsOf(up).map(({ event }) => event);
    t.is(kinds.length, 2);
    for (const kind of ['attached', 'serving']) t.true(kinds.includes(kind));
    t.deepEqual(await up.stop('SIGINT'), { status: 0, signal: null });
  }
});

test.serial('the HTTP server waits for its address, and the tunnels run meanwhile', async (t) => {
  for (const [address, listen] of [
    ['10.0.1.78/32', '10.0.1.78:9750'],
    ['fd00:78::1/128', '[fd00:78::1]:9750'],
  ] as const) {
    await using folder = await UpFolder.create({ http: { listen }, tunnels: { made: made() } });
    await using up = folder.up(sites.a, ['--json']);
    await up.waitForLine(
      /^ttun: metrics and page are not served: .*: no interface of this host has .*; retrying$/,
    );
    await up.waitForLine('made: attached to');
    const { stdout } = await sites.a.runToEnd([process.execPath, BIN, 'show', 'made']);
    t.regex(stdout, /^ {2}http: cannot serve HTTP at .*: no interface/m);

    await sites.a.ip('address', 'add', address, 'dev', 'lo');
    await up.waitForLine(`serving metrics and a page at http://${listen}/`);
    t.true(await answers(`http://${listen}/stats`));
    const kinds = eventsOf(up).map(({ event }) => event);
    t.is(kinds.length, 3);
    for (const kind of ['attached', 'http-failed', 'serving']) t.true(kinds.includes(kind));
    await sites.a.ip('address', 'delete', address, 'dev', 'lo');
  }
});

test.serial('a reload adds a tunnel together with an HTTP address on it', async (t) => {
  await using folder = await UpFolder.create({
    http: { listen: '127.0.0.1:9750' },
    tunnels: { made: made() },
  });
  await using up = folder.up(sites.a, ['--json']);
  await up.waitForLine('serving metrics and a page at http://127.0.0.1:9750/');
  await folder.write({ http: { listen: '10.0.9.1:9750' }, tunnels: { made: made('10.0.9.1/24') } });
  t.is((await folder.reload(sites.a)).status, 0);
  t.true(await answers('http://10.0.9.1:9750/metrics'));
  t.false(await answers('http://127.0.0.1:9750/metrics'));
});

test.serial(
  'a port in use prevents the start, even on the address of a tunnel that was not opened',
  async (t) => {
    await using listener = sites.a.start(['nc', '-l', '-v', '-n', '-s', '127.0.0.1', '-p', '9753']);
    await listener.waitForLine(/listening/i);
    await using folder = await UpFolder.create({
      http: { listen: '127.0.0.1:9753' },
      tunnels: { made: made('10.0.9.1/24') },
    });
    await using up = folder.up(sites.a, ['--json']);
    t.is((await up.exited).status, 1);
    t.is(up.stdout, '');
  },
);

test.serial('a single tunnel waits for its HTTP address too', async (t) => {
  const [device, local, remote] = [sites.a.tun, sites.a.outer.ipv4, sites.b.outer.ipv4];
  const args = ['-q', '--http', '10.0.1.79:9750', device, local, '9301', remote, '9301'];
  await using ttun = startTtun(sites.a, args);
  await ttun.waitForLine(`attached to ${device}`);
  await ttun.waitForLine(
    /^ttun: metrics and page are not served: .*no interface of this host has the address/,
  );
  await sites.a.ip('address', 'add', '10.0.1.79/32', 'dev', 'lo');
  await ttun.waitForLine('serving metrics and a page at http://10.0.1.79:9750/');
  t.true(await answers('http://10.0.1.79:9750/metrics'));
  t.is((await ttun.stop('SIGINT')).status, 0);
});
