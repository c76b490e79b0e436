import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { OffloadOptions } from '../../src/index.ts';
import type { Sites } from '../../testbed/sites.ts';
import { createSites } from '../../testbed/sites.ts';
import { transferTcp } from '../../testbed/traffic/tcp.ts';
import { transferUdp } from '../../testbed/traffic/udp.ts';
import { openPair } from '../../testbed/tunnel.ts';
import type { RemoteTunnel } from '../../testbed/tunnel.ts';
import { closeAndAccount, nothingDropped } from './accounts.ts';

const NONE: OffloadOptions = {
  virtioHeader: false,
  checksum: false,
  tso: false,
  uso: false,
  segment: false,
  receive: false,
};
const ALL: OffloadOptions = {};
/** What the device grants when nothing is left out. */
const GRANTED = { checksum: true, tso: true, uso: true };
const NOTHING_GRANTED = { checksum: false, tso: false, uso: false };

const COMBINATIONS = [
  { how: 'with all offloads', offload: ALL, device: GRANTED },
  { how: 'without virtio-net headers', offload: { virtioHeader: false }, device: NOTHING_GRANTED },
  { how: 'without checksum offload', offload: { checksum: false }, device: NOTHING_GRANTED },
  { how: 'without TSO', offload: { tso: false }, device: { ...GRANTED, tso: false } },
  { how: 'without USO', offload: { uso: false }, device: { ...GRANTED, uso: false } },
  {
    how: 'without TSO and USO',
    offload: { tso: false, uso: false },
    device: { ...GRANTED, tso: false, uso: false },
  },
  { how: 'without UDP_SEGMENT', offload: { segment: false }, device: GRANTED },
  { how: 'without UDP_GRO', offload: { receive: false }, device: GRANTED },
  { how: 'without UDP_SEGMENT and UDP_GRO', offload: { segment: false, receive: false }, device: GRANTED },
  { how: 'without any offload', offload: NONE, device: NOTHING_GRANTED },
];

for (const { how, offload, device } of COMBINATIONS) {
  test.serial(`the same data passes ${how}`, async (t) => {
    await using sites = await createSites();
    const [a, b] = await openPair(sites, { options: { offload } });
    for (const end of [a, b]) await checkGranted(t, end, offload, device);
    await exchange(t, sites, a, b);
  });
}

const MIXED = [
  { what: 'all at one end, none at the other', a: ALL, b: NONE },
  { what: 'large packets from the device, single datagrams to the network', a: { segment: false }, b: ALL },
  {
    what: 'single packets from the device, runs of datagrams at the other end',
    a: { virtioHeader: false },
    b: ALL,
  },
  {
    what: 'runs sent to an end that receives single datagrams',
    a: { uso: false },
    b: { receive: false, tso: false },
  },
];

for (const { what, a: ofA, b: ofB } of MIXED) {
  test.serial(`the same data passes with ${what}`, async (t) => {
    await using sites = await createSites({ link: 'wire' });
    const [a, b] = await openPair(sites, { onlyA: { offload: ofA }, onlyB: { offload: ofB } });
    await exchange(t, sites, a, b);
  });
}

/** The option must have had its effect, or the same thing would be tested over and over. */
async function checkGranted(
  t: ExecutionContext,
  end: RemoteTunnel,
  offload: OffloadOptions,
  device: typeof GRANTED,
): Promise<void> {
  const stats = await end.stats();
  t.deepEqual(stats.device.offload, device);
  t.is(stats.socket.segmentsPerSend > 1, offload.segment !== false);
  t.is(stats.socket.gro, offload.receive !== false);
}

async function exchange(t: ExecutionContext, sites: Sites, a: RemoteTunnel, b: RemoteTunnel): Promise<void> {
  const bytes = 8 * 2 ** 20;
  const count = 600;
  const sizes = [100, 100, 100, 1300, 1300, 1, 4000];
  const ways = [
    { from: sites.a, to: sites.b },
    { from: sites.b, to: sites.a },
  ];
  const tcp = await Promise.all(
    ways.map((way) => transferTcp({ ...way, address: way.to.inner.ipv4, bytes, streams: 2 })),
  );
  for (const { sent, received } of tcp) t.deepEqual(received, sent);
  // TCP would fill the devices' queues, in which datagrams are then lost.
  const udp = await Promise.all(
    ways.map((way) => transferUdp({ ...way, address: way.to.inner.ipv6, count, sizes })),
  );
  const inOrder = { received: count, reordered: 0, duplicates: 0, corrupted: 0 };
  for (const report of udp) t.deepEqual(report, inOrder);
  nothingDropped(t, await closeAndAccount(t, a, b));
}
