/** Another peer, or another address of ours, while packets flow. */
import test from 'ava';
import type { Family } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { TcpTransfer } from '../../testbed/traffic/tcp.ts';
import { openPair, RemoteTunnel, socketAddress } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { closeAlone } from './accounts.ts';

const PORT = 9000;
const BYTES = 256 * 2 ** 20;
const BEGUN = 8 * 2 ** 20;

const MOVES: readonly { family: Family; address: string; prefix: string; network: string; any: string }[] = [
  { family: 'ipv4', address: '10.0.1.11', prefix: '24', network: '10.0.1.0/24', any: '0.0.0.0' },
  { family: 'ipv6', address: 'fd00:1::11', prefix: '64', network: 'fd00:1::/64', any: '[::]' },
];

for (const { family, address, prefix, network, any } of MOVES) {
  test.serial(
    `both ends follow when the address of one changes under a TCP stream (${family})`,
    async (t) => {
      await using sites = await createSites();
      const [a, b] = await openPair(sites, { outer: family, onlyA: { local: `${any}:${PORT}` } });
      const far = socketAddress(sites.b.outer[family], PORT);
      const before = await a.stats();
      t.is(before.socket.local, socketAddress(sites.a.outer[family], PORT));
      await using transfer = await TcpTransfer.start({
        from: sites.a,
        to: sites.b,
        address: sites.b.inner.ipv4,
        bytes: BYTES,
      });
      await waitFor('the stream to flow', async () => (await transfer.received()) > BEGUN);

      await sites.a.ip(
        'address',
        'add',
        `${address}/${prefix}`,
        'dev',
        sites.a.veth,
        ...(family === 'ipv6' ? ['nodad'] : []),
      );
      await sites.a.ip(
        'route',
        'replace',
        network,
        'dev',
        sites.a.veth,
        'src',
        address,
        ...(family === 'ipv6' ? ['metric', '256'] : []),
      );
      await t.notThrowsAsync(a.setRemote(far), 'the same peer, from the new source address');
      await t.notThrowsAsync(b.setRemote(socketAddress(address, PORT)));
      t.is((await a.stats()).socket.local, socketAddress(address, PORT));
      t.is((await b.stats()).socket.remote, socketAddress(address, PORT));

      const { sent, received } = await transfer.done;
      t.deepEqual(received, sent);
      t.true((await ping(sites.b, sites.a.inner.ipv6, { count: 5 })).received >= 5);
      await sites.a.ip('address', 'delete', `${sites.a.outer[family]}/${prefix}`, 'dev', sites.a.veth);
      for (const tunnel of [a, b]) {
        t.is((await tunnel.stats()).state, 'up');
        await closeAlone(t, tunnel);
      }
    },
  );
}

test.serial('a tunnel changes its peer, and no longer receives from the previous one', async (t) => {
  await using sites = await createSites();
  const [a, b] = await openPair(sites);
  t.true((await ping(sites.a, sites.b.inner.ipv4, { count: 5 })).received >= 5);
  const fromTheOneBefore = (await closeAlone(t, b)).encap.packets;
  await using other = await RemoteTunnel.open(sites.b, {
    device: sites.b.tun,
    local: socketAddress(sites.b.outer.ipv4, PORT + 1),
    remote: socketAddress(sites.a.outer.ipv4, PORT),
  });
  await t.notThrowsAsync(a.setRemote(socketAddress(sites.b.outer.ipv4, PORT + 1)));
  t.is((await a.stats()).state, 'waiting');
  t.is((await a.stats()).decap.lastAt, null);
  t.true((await ping(sites.a, sites.b.inner.ipv4, { count: 5 })).received >= 5);
  t.is((await a.stats()).state, 'up');

  for (const [impossible, code] of [
    ['[::1]:9000', 'ERR_TTUN_INVALID_OPTIONS'],
    ['224.0.0.1:9000', 'ERR_TTUN_INVALID_OPTIONS'],
    ['10.0.1.1:9000', 'ERR_TTUN_INVALID_OPTIONS'],
    ['198.51.100.1:9000', 'ERR_TTUN_NO_ROUTE'],
  ] as const) {
    await t.throwsAsync(a.setRemote(impossible), { code }, impossible);
  }
  t.true((await ping(sites.a, sites.b.inner.ipv4, { count: 5 })).received >= 5, 'the peer stays');
  const fromTheOther = (await closeAlone(t, other)).encap.packets;
  await waitFor(
    'all to arrive',
    async () => (await a.stats()).decap.received >= fromTheOneBefore + fromTheOther,
  );
  t.is((await closeAlone(t, a)).decap.received, fromTheOneBefore + fromTheOther);
});
