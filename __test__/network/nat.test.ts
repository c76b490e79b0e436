/** A peer behind NAT, whose address and port become known when it sends. */
import test from 'ava';
import type { Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { transferTcp } from '../../testbed/traffic/tcp.ts';
import { RemoteTunnel, socketAddress } from '../../testbed/tunnel.ts';
import { FAMILIES, PORT } from './changing.ts';

const NETWORKS = { ipv4: '10.0.1.0/24', ipv6: 'fd00:1::/64' } as const;
const NAT = { ipv4: '10.0.1.254', ipv6: 'fd00:1::254' } as const;
const BYTES = 8 * 2 ** 20;
const MANY_PACKETS = BYTES / 1500;

/** Gives what leaves towards site A the router's address, and a port from 40,000 on. */
async function translate(router: Site): Promise<void> {
  await router.run(['nft', '-f', '-'], {
    input: `
      table inet nat {
        chain postrouting {
          type nat hook postrouting priority 100;
          oifname "vethA" meta l4proto udp masquerade to :40000-40999
        }
      }`,
  });
}

for (const family of FAMILIES) {
  test(`a peer behind NAT is learned, and followed to another port (${family})`, async (t) => {
    await using sites = await createSites({ router: true });
    const { a: siteA, b: siteB, router } = sites;
    if (router === null) throw new Error('the sites have no router');
    await translate(router);
    await using a = await RemoteTunnel.open(siteA, {
      device: siteA.tun,
      local: `:${PORT}`,
      remote: 'learn',
      peers: [NETWORKS[family]],
    });
    const peer = async (): Promise<string | null> => (await a.stats()).socket.remote;
    t.is((await siteA.runToEnd(['ping', '-c', '1', '-W', '0.1', siteB.inner.ipv4])).status, 1);
    const before = await a.stats();
    t.deepEqual([before.socket.remote, before.state], [null, 'waiting']);
    t.is(before.encap.drops['no-peer'], before.encap.received);
    t.true(before.encap.received > 0);

    const ports = [];
    for (const port of [PORT, PORT + 1]) {
      await using b = await RemoteTunnel.open(siteB, {
        device: siteB.tun,
        local: `:${port}`,
        remote: socketAddress(siteA.outer[family], PORT),
      });
      t.is((await ping(siteB, siteA.inner.ipv4, { count: 3 })).received, 3);
      t.is((await ping(siteA, siteB.inner.ipv6, { count: 3 })).received, 3);
      const remote = (await peer()) ?? '';
      t.true(remote.startsWith(socketAddress(NAT[family], 40).slice(0, -2)), remote);
      ports.push(remote);
      t.is((await b.stats()).decap.dropped, 0);
      if (port === PORT) continue;
      const [from, to] = family === 'ipv4' ? [siteB, siteA] : [siteA, siteB];
      const { sent, received } = await transferTcp({ from, to, address: to.inner.ipv4, bytes: BYTES });
      t.deepEqual(received, sent);
    }
    t.is(new Set(ports).size, 2);

    const { socket, encap, decap } = await a.stats();
    t.is(socket.local, socketAddress(siteA.outer[family], PORT), 'it answers from where the peer sends to');
    t.is(socket.peerChanges, 2);
    t.is(decap.dropped, 0);
    t.true(decap.receives < MANY_PACKETS && encap.sends < MANY_PACKETS, 'in batches, as with a fixed peer');
    const changes = (await a.history()).filter(({ kind }) => kind === 'peer-changed');
    t.deepEqual(
      changes.map(({ message, level }) => [message, level]),
      [
        [`the peer is ${ports[0]}, which has sent the first packet`, 'notice'],
        [`the peer's address changed from ${ports[0]} to ${ports[1]}`, 'notice'],
      ],
    );
  });
}
