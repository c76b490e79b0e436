import type { ExecutionContext } from 'ava';
import test from 'ava';
import { addTun } from '../../testbed/additional-tun.ts';
import type { Addresses, Family } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { transferTcp } from '../../testbed/traffic/tcp.ts';
import { transferUdp } from '../../testbed/traffic/udp.ts';
import { openPair, RemoteTunnel, socketAddress } from '../../testbed/tunnel.ts';
import { closeAndAccount, nothingDropped } from './accounts.ts';

/** Of the second devices. */
const SECOND: Readonly<Record<'a' | 'b', Addresses>> = {
  a: { ipv4: '10.0.4.1', ipv6: 'fd00:4::1' },
  b: { ipv4: '10.0.4.2', ipv6: 'fd00:4::2' },
};

const NESTED = [
  { outer: 'ipv4', middle: 'ipv6', inner: 'ipv4' },
  { outer: 'ipv6', middle: 'ipv4', inner: 'ipv6' },
] as const;

for (const { outer, middle, inner } of NESTED) {
  test.serial(`a tunnel in a tunnel: ${inner} in ${middle} in ${outer}`, async (t) => {
    await using sites = await createSites();
    const outside = await openPair(sites, { outer });
    // What is left of 1452 over either family.
    const mtu = 1404;
    await addTun(sites.a, 'tun1', mtu, SECOND.a);
    await addTun(sites.b, 'tun1', mtu, SECOND.b);
    const inside = await openSecond(sites, 'inner', middle, 9100);

    await exchange(t, sites, SECOND, inner);

    const insideAccounts = await closeAndAccount(t, ...inside);
    const outsideAccounts = await closeAndAccount(t, ...outside);
    nothingDropped(t, insideAccounts);
    nothingDropped(t, outsideAccounts);
    // Each packet of the inside is one of the outside, longer by the headers between.
    const header = { ipv4: 28, ipv6: 48 }[middle];
    for (const end of ['a', 'b'] as const) {
      const { packets, bytes, fragmented, trials } = insideAccounts[end].encap;
      t.is(fragmented, 0);
      t.is(outsideAccounts[end].encap.packets, packets + trials);
      // Full packets are tried.
      t.is(outsideAccounts[end].encap.bytes, bytes + packets * header + trials * (mtu + header));
    }
  });
}

const VXLAN = [
  { lower: 'ipv4', upper: 'ipv6', checksums: 'noudpcsum' },
  { lower: 'ipv4', upper: 'ipv4', checksums: 'udpcsum' },
  { lower: 'ipv6', upper: 'ipv4', checksums: '' },
] as const;

for (const { lower, upper, checksums } of VXLAN) {
  test.serial(`VXLAN inside the tunnel: ${upper} over ${lower} ${checksums}`, async (t) => {
    await using sites = await createSites();
    const [a, b] = await openPair(sites);
    for (const [near, far, addresses] of [
      [sites.a, sites.b, SECOND.a],
      [sites.b, sites.a, SECOND.b],
    ] as const) {
      const ends = `local ${near.inner[lower]} remote ${far.inner[lower]} dev ${near.tun} dstport 4789`;
      await near.ipBatch(
        `link add vxlan0 mtu 1380 type vxlan id 7 ${ends} ${checksums}`,
        `address add ${addresses.ipv4}/24 dev vxlan0`,
        `address add ${addresses.ipv6}/64 dev vxlan0 nodad`,
        `link set vxlan0 up`,
      );
    }
    await exchange(t, sites, SECOND, upper);
    nothingDropped(t, await closeAndAccount(t, a, b));
  });
}

test.serial('two tunnels between the same hosts each carry their own traffic', async (t) => {
  await using sites = await createSites();
  const first = await openPair(sites, { outer: 'ipv4' });
  await addTun(sites.a, 'tun1', 1452, SECOND.a);
  await addTun(sites.b, 'tun1', 1452, SECOND.b);
  const second = await openSecond(sites, 'outer', 'ipv4', 9001);

  const bytes = { first: 32 * 2 ** 20, second: 8 * 2 ** 20 };
  const [throughFirst, throughSecond] = await Promise.all([
    transferTcp({ from: sites.a, to: sites.b, address: sites.b.inner.ipv4, bytes: bytes.first }),
    transferTcp({ from: sites.b, to: sites.a, address: SECOND.a.ipv4, bytes: bytes.second }),
  ]);
  t.deepEqual(throughFirst.received, throughFirst.sent);
  t.deepEqual(throughSecond.received, throughSecond.sent);

  const ofFirst = await closeAndAccount(t, ...first);
  // The end of one tunnel is nothing to the other.
  const { received } = await ping(sites.a, SECOND.b.ipv6, { count: 3 });
  t.true(received >= 3);
  const ofSecond = await closeAndAccount(t, ...second);
  nothingDropped(t, ofFirst);
  nothingDropped(t, ofSecond);
  /** Headers, and what had to be sent again. */
  const MOST_MORE = 1.5;
  t.true(ofFirst.a.encap.bytes > bytes.first && ofFirst.a.encap.bytes < MOST_MORE * bytes.first);
  t.true(ofSecond.b.encap.bytes > bytes.second && ofSecond.b.encap.bytes < MOST_MORE * bytes.second);
  t.true(ofSecond.a.encap.bytes < bytes.second / 10, 'acknowledgements');
});

/** Opens a tunnel between the devices `tun1`, over either the underlay or the tunnel that is there already. */
async function openSecond(
  { a, b }: Sites,
  over: 'outer' | 'inner',
  family: Family,
  port: number,
): Promise<readonly [RemoteTunnel, RemoteTunnel]> {
  const addressOfA = socketAddress(a[over][family], port);
  const addressOfB = socketAddress(b[over][family], port);
  return Promise.all([
    RemoteTunnel.open(a, { device: 'tun1', local: addressOfA, remote: addressOfB }),
    RemoteTunnel.open(b, { device: 'tun1', local: addressOfB, remote: addressOfA }),
  ]);
}

/** Pings, datagrams in order, and a stream each way. */
async function exchange(
  t: ExecutionContext,
  { a, b }: Sites,
  addresses: Readonly<Record<'a' | 'b', Addresses>>,
  family: Family,
): Promise<void> {
  const toA = addresses.a[family];
  const toB = addresses.b[family];
  t.true((await ping(a, toB, { count: 10, size: 1000 })).received >= 10);
  const sizes = [1, 1000, 1000, 1000, 300, 5000];
  const { received, reordered } = await transferUdp({ from: b, to: a, address: toA, count: 300, sizes });
  t.deepEqual({ received, reordered }, { received: 300, reordered: 0 });
  const bytes = 16 * 2 ** 20;
  for (const way of [
    { from: a, to: b, address: toB },
    { from: b, to: a, address: toA },
  ]) {
    const stream = await transferTcp({ ...way, bytes });
    t.deepEqual(stream.received, stream.sent);
  }
}
