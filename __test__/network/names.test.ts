/** A peer given by name, with addresses of both families that do not all work. */
import test from 'ava';
import { Capture } from '../../testbed/probe.ts';
import type { CapturedPacket } from '../../testbed/probe.ts';
import type { Family } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { transferTcp } from '../../testbed/traffic/tcp.ts';
import { RemoteTunnel, socketAddress } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { SiteNames } from '../../testbed/site-names.ts';

const PORT = 9000;
const NAME = 'gateway.example';
const FAMILIES = ['ipv4', 'ipv6'] as const;

/** What fits an underlay of 1500 bytes. */
const MTU = { ipv4: 1472, ipv6: 1452 } as const;

/** The search's clock goes a hundred times as fast; the packet path has its own. */
const HASTE = 'const now=performance.now.bind(performance);performance.now=()=>now()*100';
const ENV = { ...process.env, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(HASTE)}` };

/** Sites with names for the first one. */
async function namedSites(): Promise<{ sites: Sites; names: SiteNames } & AsyncDisposable> {
  const sites = await createSites({ tunMtu: 1500 });
  const names = await SiteNames.of(sites.a);
  return {
    sites,
    names,
    async [Symbol.asyncDispose]() {
      await sites[Symbol.asyncDispose]();
      await names[Symbol.asyncDispose]();
    },
  };
}

/** The end that searches. */
function searching(
  sites: Sites,
  { local = `:${PORT}`, mtu = 1500 }: { local?: string; mtu?: number | 'auto' } = {},
): Promise<RemoteTunnel> {
  const options = { device: sites.a.tun, local, remote: `${NAME}:${PORT}`, interface: { mtu } };
  return RemoteTunnel.open(sites.a, options, { env: ENV });
}

/** The other end, which is at its address of this family only. */
function at(sites: Sites, family: Family): Promise<RemoteTunnel> {
  const remote = socketAddress(sites.a.outer[family], PORT);
  return RemoteTunnel.open(sites.b, { device: sites.b.tun, local: `:${PORT}`, remote });
}

async function isHeard(tunnel: RemoteTunnel, sites: Sites, family: Family): Promise<void> {
  await waitFor(`the peer to be heard over ${family}`, async () => {
    const { state, socket } = await tunnel.stats();
    return state === 'up' && socket.remote === socketAddress(sites.b.outer[family], PORT);
  });
}

function startPing(sites: Sites): void {
  sites.a.start(['ping', '-i', '0.1', sites.b.inner.ipv4]);
}

/** The sites drop the datagrams of a family as they arrive, without an answer. */
async function filter(sites: Sites, family: Family | null): Promise<void> {
  const rule = `table inet t { chain i { type filter hook input priority 0; meta nfproto ${family} udp dport ${PORT} drop; }; }`;
  for (const site of [sites.a, sites.b]) {
    await site.run(['sh', '-c', 'nft flush ruleset && nft "$0"', family === null ? 'list tables' : rule]);
  }
}

/** In IPv4. */
function isTcp({ bytes }: CapturedPacket): boolean {
  return bytes[9] === 6;
}

/** The MSS that a connection through the tunnel begins with. */
async function mssOfSyn(sites: Sites): Promise<number> {
  await using capture = await Capture.start(sites.b, sites.b.tun);
  await transferTcp({ from: sites.a, to: sites.b, address: sites.b.inner.ipv4, bytes: 1 });
  const syn = await waitFor('the SYN', () => capture.packets('in').find(isTcp));
  return syn.bytes.readUInt16BE(20 + 20 + 2);
}

test.serial(
  'if one family refuses, the other is used, in both directions, and the MSS follows',
  async (t) => {
    await using setup = await namedSites();
    const { sites, names } = setup;
    await names.set({ [NAME]: FAMILIES.map((family) => sites.b.outer[family]) });
    await using tunnel = await searching(sites);
    startPing(sites);
    for (const family of ['ipv4', 'ipv6'] as const) {
      await using peer = await at(sites, family);
      await isHeard(tunnel, sites, family);
      t.is((await tunnel.stats()).socket.local, socketAddress(sites.a.outer[family], PORT));
      t.is(await mssOfSyn(sites), MTU[family] - 40);
      await peer.close();
    }
    await tunnel.close();
    const end = await tunnel.stats();
    t.is(end.encap.received, end.encap.packets + end.encap.dropped);
    t.is(end.decap.received, end.decap.packets + end.decap.dropped);
  },
);

for (const [works, filtered] of [
  ['ipv4', 'ipv6'],
  ['ipv6', 'ipv4'],
] as const) {
  test.serial(
    `${filtered} that is filtered gives way to ${works}, at the start and later, and the MTU follows`,
    async (t) => {
      await using setup = await namedSites();
      const { sites, names } = setup;
      await names.set({ [NAME]: FAMILIES.map((family) => sites.b.outer[family]) });
      await filter(sites, filtered);
      await using peer = await at(sites, works);
      await using tunnel = await searching(sites, { mtu: 'auto' });
      startPing(sites);
      await isHeard(tunnel, sites, works);
      t.is((await tunnel.stats()).device.mtu, MTU[works]);
      // The other family works from now on, and this one does not.
      await filter(sites, works);
      await peer.setRemote(socketAddress(sites.a.outer[filtered], PORT));
      await isHeard(tunnel, sites, filtered);
      t.is((await tunnel.stats()).device.mtu, MTU[filtered]);
      t.is(await tunnel.problem(), null);
    },
  );

  test.serial(`without a route to ${filtered} at all, ${works} is used at once`, async (t) => {
    await using setup = await namedSites();
    const { sites, names } = setup;
    await names.set({ [NAME]: FAMILIES.map((family) => sites.b.outer[family]) });
    await sites.a.ip(filtered === 'ipv4' ? '-4' : '-6', 'address', 'flush', 'dev', sites.a.veth);
    await using peer = await at(sites, works);
    await using tunnel = await searching(sites);
    t.is((await tunnel.stats()).socket.remote, socketAddress(sites.b.outer[works], PORT));
    startPing(sites);
    await isHeard(tunnel, sites, works);
    t.is((await peer.stats()).state, 'up');
  });

  test.serial(`the route to the family in use is lost: from ${filtered} to ${works}`, async (t) => {
    await using setup = await namedSites();
    const { sites, names } = setup;
    await names.set({ [NAME]: [sites.b.outer[filtered]] });
    await using peer = await at(sites, filtered);
    await using tunnel = await searching(sites);
    startPing(sites);
    await isHeard(tunnel, sites, filtered);
    await names.set({ [NAME]: FAMILIES.map((family) => sites.b.outer[family]) });
    await sites.a.ip(filtered === 'ipv4' ? '-4' : '-6', 'address', 'flush', 'dev', sites.a.veth);
    await peer.setRemote(socketAddress(sites.a.outer[works], PORT));
    await isHeard(tunnel, sites, works);
    t.is(await tunnel.problem(), null);
  });

  test.serial(
    `a peer that moved from ${filtered} to ${works} is found although nothing is sent`,
    async (t) => {
      await using setup = await namedSites();
      const { sites, names } = setup;
      await names.set({ [NAME]: [sites.b.outer[filtered]] });
      await using tunnel = await searching(sites);
      t.is((await tunnel.stats()).socket.remote, socketAddress(sites.b.outer[filtered], PORT));
      await names.set({ [NAME]: [sites.b.outer[works]] });
      await using peer = await at(sites, works);
      await waitFor('the new address', async () => {
        const { socket } = await tunnel.stats();
        return socket.remote === socketAddress(sites.b.outer[works], PORT);
      });
      // Now the peer gets through, which had to wait for this end.
      await sites.b.run(['ping', '-c', '1', sites.a.inner.ipv4]);
      await isHeard(tunnel, sites, works);
      t.is((await peer.stats()).state, 'up');
    },
  );

  test.serial(`with a local address of ${works}, ${filtered} is never used`, async (t) => {
    await using setup = await namedSites();
    const { sites, names } = setup;
    const wrong = works === 'ipv4' ? '10.0.1.3' : 'fd00:1::3';
    // It is there, but not used as a source.
    await sites.b.ip('address', 'add', wrong, 'dev', sites.b.veth, 'preferred_lft', '0');
    await names.set({ [NAME]: [sites.b.outer[filtered], wrong, sites.b.outer[works]] });
    await using peer = await at(sites, works);
    await using tunnel = await searching(sites, { local: socketAddress(sites.a.outer[works], PORT) });
    startPing(sites);
    await isHeard(tunnel, sites, works);
    t.is((await peer.stats()).state, 'up');
    t.is((await tunnel.stats()).socket.local, socketAddress(sites.a.outer[works], PORT));
  });
}

test.serial('an IPv4 address in the form of IPv6 is used as the former', async (t) => {
  await using setup = await namedSites();
  const { sites, names } = setup;
  await names.set({ [NAME]: [`::ffff:${sites.b.outer.ipv4}`] });
  for (const local of [`:${PORT}`, socketAddress(sites.a.outer.ipv4, PORT)]) {
    await using tunnel = await searching(sites, { local });
    t.is((await tunnel.stats()).socket.remote, socketAddress(sites.b.outer.ipv4, PORT));
    await tunnel.close();
  }
});
