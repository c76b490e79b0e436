import test from 'ava';
import { TCP } from '../../testbed/packet/transport.ts';
import { whilePaused } from '../../testbed/paused.ts';
import { Capture, inject } from '../../testbed/probe.ts';
import { createSites } from '../../testbed/sites.ts';
import { openPair } from '../../testbed/tunnel.ts';
import { closeAndAccount, nothingDropped } from './accounts.ts';
import { Conversation } from './conversation.ts';
import { inHex } from './in-hex.ts';

const TIMESTAMPS = Buffer.from([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
const SHORT = Buffer.alloc(7, 0x11);
const CE = 3;

type Run = (conversation: Conversation) => readonly Buffer[];

/** Packets that follow each other so that one large packet stands for all of them. */
const RUNS: Readonly<Record<string, Run>> = {
  'TCP segments': (c) => [c.tcp(), c.tcp(), c.tcp()],
  'TCP segments, the last one shorter': (c) => [c.tcp(), c.tcp(), c.tcp({}, {}, SHORT)],
  'TCP segments, the last one with PSH': (c) => [c.tcp(), c.tcp(), c.tcp({ flags: TCP.ack | TCP.psh })],
  'TCP segments with equal timestamps': (c) => [c.tcp(STAMPED), c.tcp(STAMPED), c.tcp(STAMPED)],
  'TCP segments across the end of the sequence space': (c) => {
    const first = 2 ** 32 - 250;
    const payload = Buffer.alloc(100, 0x11);
    return [0, 1, 2, 3].map((index) => c.tcp({ sequence: first + index * payload.length }, {}, payload));
  },
  'TCP segments all marked CE': (c) => [c.tcp({}, { tos: CE }), c.tcp({}, { tos: CE })],
  'UDP datagrams': (c) => [c.udp(), c.udp(), c.udp()],
  'UDP datagrams, the last one shorter': (c) => [c.udp(), c.udp(), c.udp({}, SHORT)],
  'sixty-four UDP datagrams': (c) => Array.from({ length: 64 }, () => c.udp()),
};

const STAMPED = { options: TIMESTAMPS };

for (const family of ['ipv4', 'ipv6'] as const) {
  test.serial(`runs are merged into one packet that represents exactly these (${family})`, async (t) => {
    await using sites = await createSites();
    const [a, b] = await openPair(sites);
    await using capture = await Capture.start(sites.b, sites.b.tun);
    let captured = 0;
    let before = 0;
    for (const [title, make] of Object.entries(RUNS)) {
      // Another TCP stream each time, so that no run continues the one before.
      const packets = make(new Conversation(family, sites.a.inner));
      const last = packets.at(-1) ?? Buffer.alloc(0);
      await whilePaused(a.process, () => inject(sites.a, sites.a.tun, packets));
      const arrived = await capture.until('in', last);
      t.deepEqual(inHex(arrived.slice(before)), inHex(packets), title);
      t.is(capture.packets('in').length, captured + 1, `${title}: one packet`);
      before += packets.length;
      captured += 1;
    }
    nothingDropped(t, await closeAndAccount(t, a, b));
  });
}

test.serial('packets with DF are merged whatever their IDs, which have no meaning', async (t) => {
  await using sites = await createSites();
  const [a, b] = await openPair(sites);
  await using capture = await Capture.start(sites.b, sites.b.tun);
  const c = new Conversation('ipv4', sites.a.inner);
  const packets = [7, 7, 0, 60_000].map((id) => c.tcp({}, { dontFragment: true, id }));
  await whilePaused(a.process, () => inject(sites.a, sites.a.tun, packets));

  const [merged, ...others] = await capture.first('in', 1);
  t.deepEqual(others, []);
  t.is(merged?.gsoSize, 160);
  // A last packet shows that nothing else came.
  const end = c.udp();
  await inject(sites.a, sites.a.tun, [end]);
  const arrived = await capture.until('in', end);
  t.deepEqual(inHex(arrived.map(withoutId)), inHex([...packets, end].map(withoutId)));
  nothingDropped(t, await closeAndAccount(t, a, b));
});

/** The packet without its IPv4 ID and the header checksum, which covers the ID. */
function withoutId(packet: Buffer): Buffer {
  const copy = Buffer.from(packet);
  copy.fill(0, 4, 6);
  copy.fill(0, 10, 12);
  return copy;
}
