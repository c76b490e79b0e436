import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { waitFor } from '../../testbed/wait.ts';
import type { Table } from './up.ts';
import { eventsOf, exchangePings, officeAtA, startOfficeAtB, UpFolder } from './up.ts';

let sites: Sites;
test.before(async () => {
  sites = await createSites();
});
test.after.always(() => sites[Symbol.asyncDispose]());

async function addressesOf(device: string): Promise<readonly string[]> {
  const { stdout } = await sites.a.runToEnd(['ip', '-json', 'address', 'show', 'dev', device]);
  interface Link {
    readonly addr_info: readonly { readonly local: string; readonly prefixlen: number }[];
  }
  const links: readonly Link[] = stdout === '' ? [] : JSON.parse(stdout);
  return links.flatMap(({ addr_info: found }) =>
    found.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  );
}

/** A tunnel that sets up all of its device. */
function made(address: string): Table {
  return {
    device: 'tunmade',
    local: '10.0.1.1:9300',
    remote: '10.0.1.2:9300',
    interface: { create: true, addresses: [address], routes: ['10.99.0.0/16'], mtu: 'auto' },
  };
}

test.serial(
  'devices are created as the file says, created again when it changes, and deleted at the end',
  async (t) => {
    await using folder = await UpFolder.create({ tunnels: { made: made('10.0.9.1/24') } });
    await using up = folder.up(sites.a);
    await up.waitForLine('made: attached to tunmade (mtu 1472,');
    t.true((await addressesOf('tunmade')).includes('10.0.9.1/24'));
    t.regex(await sites.a.ip('route', 'show', '10.99.0.0/16'), /dev tunmade/);

    await folder.write({ tunnels: { made: made('10.0.9.7/24') } });
    t.is((await folder.reload(sites.a)).status, 0);
    t.true((await addressesOf('tunmade')).includes('10.0.9.7/24'));
    t.false((await addressesOf('tunmade')).includes('10.0.9.1/24'));

    t.deepEqual(await up.stop('SIGINT'), { status: 0, signal: null });
    t.deepEqual(await addressesOf('tunmade'), []);
    t.is(await sites.a.ip('route', 'show', '10.99.0.0/16'), '');
  },
);

test.serial('a tunnel waits for its deleted device, and keeps its counters', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
  await using other = await startOfficeAtB(sites);
  await using up = folder.up(sites.a, ['--json']);
  await up.waitForLine('office: attached to tun0');
  await exchangePings(sites.a, sites.b.inner.ipv4, 3);

  await sites.a.ip('link', 'delete', 'tun0');
  await up.waitForLine('office: the device tun0 was deleted');
  const from = up.lines.length;
  await sites.a.ipBatch(
    'tuntap add dev tun0 mode tun',
    'address add 10.0.2.1/24 dev tun0',
    'link set tun0 mtu 1452 up',
  );
  await up.waitForLine('office: attached to tun0 (', { from });
  await exchangePings(sites.a, sites.b.inner.ipv4, 4);

  await up.stop('SIGINT');
  t.deepEqual(
    eventsOf(up)
      .map(({ event }) => event)
      .filter((event) => event !== 'change'),
    ['attached', 'impaired', 'attached', 'closed'],
  );
  t.like(eventsOf(up).find(({ event }) => event === 'impaired') ?? {}, {
    tunnel: 'office',
    error: { code: 'ERR_TTUN_DEVICE_GONE' },
  });
  t.like(eventsOf(up).at(-1), { stats: { encap: { packets: 7 }, decap: { packets: 7 } } });
  t.true(other.running);
});

test.serial('with reattach = false it fails instead, and is opened again', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites, { reattach: false }) } });
  await using up = folder.up(sites.a, ['--json']);
  await up.waitForLine('office: attached to tun0');
  await sites.a.ip('link', 'delete', 'tun0');
  await waitFor('the failure', () => eventsOf(up).some(({ event }) => event === 'failed'));
  await sites.a.ip('tuntap', 'add', 'dev', 'tun0', 'mode', 'tun');
  await waitFor('it to be open again', () => eventsOf(up).at(-1)?.['event'] === 'attached');
  t.like(
    eventsOf(up).find(({ event }) => event === 'failed'),
    { error: { code: 'ERR_TTUN_DEVICE_GONE' }, retryInMs: 1000, stats: { state: 'closed' } },
  );
});
