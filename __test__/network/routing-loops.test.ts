/** Routing loops: tunnels whose own datagrams come back to them, alone or inside those of another tunnel. */
import test from 'ava';
import { addTun } from '../../testbed/additional-tun.ts';
import { inject } from '../../testbed/probe.ts';
import type { Family, Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import { transferUdp } from '../../testbed/traffic/udp.ts';
import { openPair, RemoteTunnel, socketAddress } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { Conversation } from '../traffic/conversation.ts';
import { closeAlone, closeAndAccount, nothingDropped } from '../traffic/accounts.ts';

const FAMILIES = ['ipv4', 'ipv6'] as const;

/** Packets put into the first device. */
const PACKETS = 50;

/** Of the devices. */
const MTU = 1452;

const RINGS: readonly { readonly family: Family; readonly count: number; readonly fragments: boolean }[] = [
  { family: 'ipv4', count: 2, fragments: false },
  { family: 'ipv6', count: 2, fragments: true },
  { family: 'ipv4', count: 3, fragments: true },
  { family: 'ipv6', count: 3, fragments: false },
];

for (const { family, count, fragments } of RINGS) {
  const what = fragments ? 'their datagrams do not fit each other' : 'their datagrams fit each other';
  test.serial(`${count} tunnels of as many processes in a ring: ${what} (${family})`, async (t) => {
    await using sites = await createSites();
    const tunnels = await openRing(sites.a, family, count);
    const conversation = new Conversation(family, sites.a.inner);
    const length = fragments ? MTU : 200;
    const payload = Buffer.alloc(length - HEADERS[family], 0x11);
    const packets = Array.from({ length: PACKETS }, () => conversation.udp({}, payload));
    await inject(sites.a, 'tun0', packets);
    await waitFor('everything to come to rest', async () => {
      const stats = await Promise.all(tunnels.map((tunnel) => tunnel.stats()));
      return (
        stats.every(({ encap }) => encap.received >= PACKETS) && (stats[0]?.encap.dropped ?? 0) >= PACKETS
      );
    });

    const [first, ...others] = await Promise.all(tunnels.map((tunnel) => closeAlone(t, tunnel)));
    t.is(first?.encap.packets, PACKETS, 'nothing goes round twice');
    t.is(first?.encap.dropped, first?.encap.drops['routing-loop']);
    if (!fragments) t.is(first?.encap.dropped, PACKETS);
    for (const { encap } of others) {
      t.is(encap.dropped, 0);
      if (!fragments) t.is(encap.packets, PACKETS);
    }
  });
}

/** IP and UDP, bytes. */
const HEADERS = { ipv4: 28, ipv6: 48 } as const;

/** The peer of each is reached through the next. */
async function openRing(site: Site, family: Family, count: number): Promise<RemoteTunnel[]> {
  const devices = Array.from({ length: count }, (_, index) => `tun${index}`);
  const peers = devices.map((_, index) => (family === 'ipv4' ? `10.9.0.${index}` : `fd00:9::${index + 1}`));
  for (const [index, device] of devices.entries()) {
    const addresses = { ipv4: `10.0.${index + 10}.1`, ipv6: `fd00:${index + 10}::1` };
    if (device !== site.tun) await addTun(site, device, MTU, addresses);
  }
  for (const [index, peer] of peers.entries()) {
    await site.ip('route', 'add', peer, 'dev', devices[(index + 1) % count] ?? '');
  }
  return Promise.all(
    devices.map((device, index) =>
      RemoteTunnel.open(site, {
        device,
        local: `:${9000 + index}`,
        remote: socketAddress(peers[index] ?? '', 9000 + index),
      }),
    ),
  );
}

for (const family of FAMILIES) {
  test.serial(
    `the route to the peer leads into the tunnel, which fragments its datagrams (${family})`,
    async (t) => {
      await using sites = await createSites();
      const [a, b] = await openPair(sites, { outer: family });
      await sites.a.ip('route', 'add', sites.b.outer[family], 'dev', sites.a.tun);
      const conversation = new Conversation(family, sites.a.inner);
      const payload = Buffer.alloc(MTU - HEADERS[family], 0x11);
      await inject(
        sites.a,
        sites.a.tun,
        Array.from({ length: PACKETS }, () => conversation.udp({}, payload)),
      );
      await waitFor('both fragments of each', async () => (await a.stats()).encap.dropped === 2 * PACKETS);
      const { encap } = await closeAlone(t, a);
      t.is(encap.packets, PACKETS);
      t.is(encap.drops['routing-loop'], 2 * PACKETS);
      t.is((await closeAlone(t, b)).decap.received, 0);
    },
  );

  test.serial(`the same with masquerading on the device (${family})`, async (t) => {
    await using sites = await createSites();
    const [a] = await openPair(sites, { outer: family });
    await sites.a.ip('route', 'add', sites.b.outer[family], 'dev', sites.a.tun);
    await sites.a.run([
      'nft',
      [
        'add table inet translating',
        'add chain inet translating out { type nat hook postrouting priority 100; }',
        `add rule inet translating out oifname ${sites.a.tun} masquerade`,
      ].join('; '),
    ]);
    const conversation = new Conversation(family, sites.a.inner);
    await inject(
      sites.a,
      sites.a.tun,
      Array.from({ length: PACKETS }, () => conversation.udp()),
    );
    await waitFor('what comes back', async () => (await a.stats()).encap.dropped >= PACKETS);
    const { encap } = await closeAlone(t, a);
    t.is(encap.drops['routing-loop'], encap.dropped);
    t.true(encap.packets <= 2 * PACKETS, `${encap.packets} sent`);
  });

  test.serial(
    `a full tunnel carries large datagrams of other programs to the peer's own address (${family})`,
    async (t) => {
      await using sites = await createSites();
      const { a: near, b: far } = sites;
      const version = family === 'ipv4' ? '-4' : '-6';
      await near.ip(version, 'rule', 'add', 'not', 'fwmark', '0x77', 'table', '100', 'priority', '1000');
      await near.ip(version, 'route', 'add', 'default', 'dev', near.tun, 'table', '100');
      const [a, b] = await openPair(sites, { outer: family, onlyA: { fwmark: 0x77 } });
      // Bound to the address of the device, or to that of the tunnel's own datagrams.
      const way = { from: near, to: far, address: far.outer[family], sizes: [3000, 100, 10_000], count: 60 };
      const { received, corrupted } = await transferUdp(way);
      t.deepEqual({ received, corrupted }, { received: 60, corrupted: 0 });
      await near.ip(
        version,
        'route',
        'replace',
        'default',
        'dev',
        near.tun,
        'src',
        near.outer[family],
        'table',
        '100',
      );
      t.is((await transferUdp(way)).received, 60);
      nothingDropped(t, await closeAndAccount(t, a, b));
    },
  );
}
