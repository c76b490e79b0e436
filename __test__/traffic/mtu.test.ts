import test from 'ava';
import { Capture } from '../../testbed/probe.ts';
import type { CapturedPacket } from '../../testbed/probe.ts';
import type { Family } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { transferTcp } from '../../testbed/traffic/tcp.ts';
import { transferUdp } from '../../testbed/traffic/udp.ts';
import { openPair } from '../../testbed/tunnel.ts';
import { closeAndAccount, nothingDropped } from './accounts.ts';
import { inWords } from './matrix.ts';

const IP_HEADER = { ipv4: 20, ipv6: 40 } as const;
const UDP_HEADER = 8;
const TCP_HEADER = 20;

/** Each underlay with each family, over links of either kind. */
const UNDERLAYS = [
  { mtu: 1280, link: 'veth', families: { outer: 'ipv4', inner: 'ipv6' } },
  { mtu: 1280, link: 'wire', families: { outer: 'ipv6', inner: 'ipv4' } },
  { mtu: 1500, link: 'wire', families: { outer: 'ipv4', inner: 'ipv4' } },
  { mtu: 1500, link: 'veth', families: { outer: 'ipv6', inner: 'ipv6' } },
  { mtu: 9000, link: 'veth', families: { outer: 'ipv4', inner: 'ipv4' } },
  { mtu: 9000, link: 'wire', families: { outer: 'ipv6', inner: 'ipv6' } },
] as const;

for (const { mtu, link, families } of UNDERLAYS) {
  const { outer, inner } = families;
  /** The longest packet that still fits the underlay. */
  const room = mtu - IP_HEADER[outer] - UDP_HEADER;
  const where = `${inWords(families)}, underlay of ${mtu} (${link})`;

  test.serial(`a device as large as the underlay: TCP fits, the rest is fragmented: ${where}`, async (t) => {
    await using sites = await createSites({ underlayMtu: mtu, tunMtu: mtu, link });
    const [a, b] = await openPair(sites, { outer });
    const way = { from: sites.a, to: sites.b, address: sites.b.inner[inner] };

    {
      await using atA = await Capture.start(sites.a, sites.a.tun);
      await using atB = await Capture.start(sites.b, sites.b.tun);
      await transferTcp({ ...way, bytes: 1 });
      const mss = room - IP_HEADER[inner] - TCP_HEADER;
      t.is(mssOfSyn(await atB.first('in', 1), inner), mss, 'of the SYN');
      t.is(mssOfSyn(await atA.first('in', 1), inner), mss, 'of its answer');
    }
    const stream = await transferTcp({ ...way, bytes: 32 * 2 ** 20 });
    t.deepEqual(stream.received, stream.sent);

    const fullPing = mtu - IP_HEADER[inner] - UDP_HEADER;
    const { sent, received } = await ping(sites.a, sites.b.inner[inner], { count: 20, size: fullPing });
    t.true(received >= 20, `${received} of ${sent}`);
    // Of the second size, one byte too long to fit the underlay; of the last, just short enough.
    const datagrams = { count: 300, sizes: [fullPing, room + 1 - IP_HEADER[inner] - UDP_HEADER, 100] };
    const fitting = { count: 100, sizes: [room - IP_HEADER[inner] - UDP_HEADER] };
    for (const { count, sizes } of [datagrams, fitting]) {
      const report = await transferUdp({ ...way, count, sizes });
      t.deepEqual(report, { received: count, reordered: 0, duplicates: 0, corrupted: 0 });
    }

    const accounts = await closeAndAccount(t, a, b);
    nothingDropped(t, accounts);
    t.is(accounts.a.encap.fragmented, sent + (datagrams.count * 2) / 3, 'none of them of TCP');
    t.is(accounts.b.encap.fragmented, sent, 'the answers');
  });
}

test.serial('a device that leaves room for the outer headers: nothing is fragmented', async (t) => {
  const underlayMtu = 1500;
  for (const [outer, tunMtu] of [
    ['ipv4', 1472],
    ['ipv6', 1452],
  ] as const) {
    await using sites = await createSites({ underlayMtu, tunMtu });
    const [a, b] = await openPair(sites, { outer });
    const size = tunMtu - IP_HEADER.ipv4 - UDP_HEADER;
    t.true((await ping(sites.a, sites.b.inner.ipv4, { count: 20, size })).received >= 20);
    const way = { from: sites.b, to: sites.a, address: sites.a.inner.ipv6 };
    const stream = await transferTcp({ ...way, bytes: 16 * 2 ** 20 });
    t.deepEqual(stream.received, stream.sent);
    const accounts = await closeAndAccount(t, a, b);
    nothingDropped(t, accounts);
    t.is(accounts.a.encap.fragmented, 0);
    t.is(accounts.b.encap.fragmented, 0);
  }
});

for (const families of [
  { outer: 'ipv4', inner: 'ipv6' },
  { outer: 'ipv6', inner: 'ipv4' },
] as const) {
  test.serial(`TCP passes, in fragments, when its MSS is left alone: ${inWords(families)}`, async (t) => {
    await using sites = await createSites({ tunMtu: 1500, link: 'wire' });
    const [a, b] = await openPair(sites, { outer: families.outer, options: { clampMss: false } });
    await using atB = await Capture.start(sites.b, sites.b.tun);
    const way = { from: sites.a, to: sites.b, address: sites.b.inner[families.inner] };
    const bytes = 4 * 2 ** 20;
    const stream = await transferTcp({ ...way, bytes });
    t.deepEqual(stream.received, stream.sent);

    const mss = 1500 - IP_HEADER[families.inner] - TCP_HEADER;
    t.is(mssOfSyn(await atB.first('in', 1), families.inner), mss);
    const { a: ofA, b: ofB } = await closeAndAccount(t, a, b);
    nothingDropped(t, { a: ofA, b: ofB });
    t.true(ofA.encap.fragmented > bytes / 1500, `${ofA.encap.fragmented} packets`);
    t.is(ofB.encap.fragmented, 0, 'acknowledgements');
  });
}

for (const { bindDevice, ...families } of [
  { outer: 'ipv4', inner: 'ipv6', bindDevice: undefined },
  { outer: 'ipv6', inner: 'ipv4', bindDevice: undefined },
  { outer: 'ipv4', inner: 'ipv4', bindDevice: 'veth0' },
  { outer: 'ipv6', inner: 'ipv6', bindDevice: 'veth0' },
] as const) {
  const { outer, inner } = families;
  const where = `${inWords(families)}${bindDevice === undefined ? '' : ', bound to the link'}`;
  test.serial(`the first connection over a link that was created again fits it: ${where}`, async (t) => {
    await using sites = await createSites({ tunMtu: 9000 });
    const [a] = await openPair(sites, { outer, options: bindDevice === undefined ? {} : { bindDevice } });
    // The sockets remember the route over the first link.
    t.true((await ping(sites.a, sites.b.inner[inner])).received > 0);
    await sites.remakeLink(1400);

    await using atB = await Capture.start(sites.b, sites.b.tun);
    await transferTcp({ from: sites.a, to: sites.b, address: sites.b.inner[inner], bytes: 1 });
    const room = 1400 - IP_HEADER[outer] - UDP_HEADER;
    t.is(mssOfSyn(await atB.first('in', 1), inner), room - IP_HEADER[inner] - TCP_HEADER);
    t.is((await a.stats()).socket.pathMtu, 1400);
  });
}

for (const inner of ['ipv4', 'ipv6'] as const) {
  test.serial(
    `TCP fits the smaller device of the two, whoever opens the connection (${inner})`,
    async (t) => {
      await using sites = await createSites();
      const [a, b] = await openPair(sites);
      await sites.a.ip('link', 'set', sites.a.tun, 'mtu', '1300');
      const mss = 1300 - IP_HEADER[inner] - TCP_HEADER;
      for (const [from, to] of [
        [sites.a, sites.b],
        [sites.b, sites.a],
      ] as const) {
        // The SYN of the other end or its answer, as the host with the smaller device sees it.
        await using atA = await Capture.start(sites.a, sites.a.tun);
        await transferTcp({ from, to, address: to.inner[inner], bytes: 1 });
        t.is(mssOfSyn(await atA.first('in', 1), inner), mss);
      }
      nothingDropped(t, await closeAndAccount(t, a, b));
    },
  );
}

/** The MSS option of the SYN, which is the first packet of a connection, and in Linux its first option. */
function mssOfSyn([syn]: readonly CapturedPacket[], family: Family): number {
  const segment = syn?.bytes.subarray(IP_HEADER[family]) ?? Buffer.alloc(0);
  const [kind, length] = segment.subarray(TCP_HEADER);
  if (kind !== 2 || length !== 4) throw new Error(`no SYN: ${segment.toString('hex')}`);
  return segment.readUInt16BE(TCP_HEADER + 2);
}
