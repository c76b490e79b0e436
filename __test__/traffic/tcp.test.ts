import type { ExecutionContext } from 'ava';
import test from 'ava';
import { protocolCounters } from '../../testbed/counters.ts';
import type { Family, Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { transferTcp } from '../../testbed/traffic/tcp.ts';
import { openPair } from '../../testbed/tunnel.ts';
import { closeAndAccount, datagrams, nothingDropped } from './accounts.ts';
import { inWords } from './matrix.ts';
import type { Families } from './matrix.ts';

type Direction = 'one way' | 'the other way' | 'both ways at once';

interface Case {
  readonly families: Families;
  readonly direction: Direction;
  readonly streams: number;
}

const MIB = 2 ** 20;
/** Of all streams of one direction together. */
const BYTES = 64 * MIB;

/** Any two properties meet in every combination: families with families, with direction, with number of streams, and so on. */
const PAIRWISE: readonly Case[] = [
  { families: { outer: 'ipv4', inner: 'ipv4' }, direction: 'one way', streams: 1 },
  { families: { outer: 'ipv6', inner: 'ipv6' }, direction: 'the other way', streams: 1 },
  { families: { outer: 'ipv4', inner: 'ipv6' }, direction: 'both ways at once', streams: 1 },
  { families: { outer: 'ipv6', inner: 'ipv4' }, direction: 'one way', streams: 4 },
  { families: { outer: 'ipv4', inner: 'ipv4' }, direction: 'the other way', streams: 4 },
  { families: { outer: 'ipv6', inner: 'ipv6' }, direction: 'both ways at once', streams: 4 },
  { families: { outer: 'ipv4', inner: 'ipv6' }, direction: 'one way', streams: 50 },
  { families: { outer: 'ipv6', inner: 'ipv4' }, direction: 'the other way', streams: 50 },
  { families: { outer: 'ipv6', inner: 'ipv4' }, direction: 'both ways at once', streams: 50 },
];

for (const { families, direction, streams } of PAIRWISE) {
  const title = `${streams} TCP ${streams === 1 ? 'stream' : 'streams'} ${direction}: ${inWords(families)}`;
  test.serial(title, async (t) => {
    await using sites = await createSites();
    const [a, b] = await openPair(sites, { outer: families.outer });
    await transferAll(t, sites, families.inner, direction, streams);
    nothingDropped(t, await closeAndAccount(t, a, b));
  });
}

test.serial(
  'a stream of 1 GiB arrives as it was sent, over a link that carries MTU-sized packets',
  async (t) => {
    await using sites = await createSites({ link: 'wire' });
    const [a, b] = await openPair(sites);
    await transfer(t, sites.a, sites.b, 'ipv4', { streams: 1, bytes: 1024 * MIB });
    const accounts = await closeAndAccount(t, a, b);
    nothingDropped(t, accounts);
    t.true(accounts.a.encap.bytes > 1024 * MIB);
    const { a: sender, b: receiver } = accounts;
    t.is(receiver.decap.packets, datagrams(sender));
    // Copies that try the path MTU arrive too.
    if (sender.encap.trials === 0) t.is(receiver.decap.bytes, sender.encap.bytes);
  },
);

async function transferAll(
  t: ExecutionContext,
  { a, b }: Sites,
  family: Family,
  direction: Direction,
  streams: number,
): Promise<void> {
  const size = { streams, bytes: BYTES / streams };
  const ways = {
    'one way': [[a, b]],
    'the other way': [[b, a]],
    'both ways at once': [
      [a, b],
      [b, a],
    ],
  } as const;
  await Promise.all(ways[direction].map(([from, to]) => transfer(t, from, to, family, size)));
}

/** Checks that the streams arrive and that few segments had to be sent again. */
async function transfer(
  t: ExecutionContext,
  from: Site,
  to: Site,
  family: Family,
  size: { readonly streams: number; readonly bytes: number },
): Promise<void> {
  /** Many senders overrun the device's queue now and then, and lose a whole super-packet; a storm sends everything several times. */
  const FEW = 0.2;
  const { sent, received } = await transferTcp({ from, to, address: to.inner[family], ...size });
  t.is(sent.length, size.streams);
  t.deepEqual(received, sent);
  const counters = await protocolCounters(from);
  const [again = NaN, all = NaN] = [counters.get('TcpRetransSegs'), counters.get('TcpOutSegs')];
  t.true(again <= FEW * all, `${again} of ${all} segments were sent again`);
}
