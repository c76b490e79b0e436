import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { OffloadOptions } from '../../src/index.ts';
import { whilePaused } from '../../testbed/paused.ts';
import type { CapturedPacket } from '../../testbed/probe.ts';
import { Capture, inject } from '../../testbed/probe.ts';
import { createSites } from '../../testbed/sites.ts';
import { openPair } from '../../testbed/tunnel.ts';
import { closeAndAccount, nothingDropped } from './accounts.ts';
import { Conversation } from './conversation.ts';
import { inHex } from './in-hex.ts';
import { ALL_FAMILIES, inWords } from './matrix.ts';
import type { Families } from './matrix.ts';
import { NEVER_MERGED, NOT_MERGED_AMONG_OTHERS } from './oddities.ts';

/** `VIRTIO_NET_HDR_GSO_…` of linux/virtio_net.h. */
const SUPER_PACKETS = { ipv4: { tcp: 1, udp: 5 }, ipv6: { tcp: 4, udp: 5 } } as const;

interface Passage {
  readonly title: string;
  /** Packets that must come out alone. */
  readonly odd: readonly Buffer[];
  /** All, in order. */
  readonly packets: readonly Buffer[];
}

/** Each odd packet after and before neighbours of both flows that merge. */
function passages({ inner }: Families, conversation: Conversation): Passage[] {
  const c = conversation;
  const never = Object.entries(NEVER_MERGED[inner]).map(([title, make]) => {
    const packets = [...c.neighbours(), make(c), make(c), ...c.neighbours()];
    return { title, packets, odd: packets.slice(4, 6) };
  });
  const amongOthers = Object.entries(NOT_MERGED_AMONG_OTHERS[inner]).map(([title, make]) => {
    const packets = [
      c.tcp(),
      c.tcp(),
      make(c),
      c.tcp(),
      c.tcp(),
      c.udp(),
      c.udp(),
      make(c),
      c.udp(),
      c.udp(),
    ];
    return { title, packets, odd: [packets[2], packets[7]].filter((packet) => packet !== undefined) };
  });
  return [...never, ...amongOthers];
}

/** Sends everything through a tunnel and checks that it comes out as it went in; resolves to what the capture saw. */
async function passThrough(
  t: ExecutionContext,
  families: Families,
  offload: OffloadOptions,
): Promise<readonly CapturedPacket[]> {
  await using sites = await createSites();
  const [a, b] = await openPair(sites, { outer: families.outer, options: { offload } });
  await using capture = await Capture.start(sites.b, sites.b.tun);
  const all: Buffer[] = [];
  for (const { title, packets, odd } of passages(families, new Conversation(families.inner, sites.a.inner))) {
    // What waits at the device is read, sent and received in one go.
    await whilePaused(a.process, () => inject(sites.a, sites.a.tun, packets));
    const last = packets.at(-1);
    if (last === undefined) throw new Error('no packets');
    const arrived = await capture.until('in', last);
    t.deepEqual(inHex(arrived.slice(all.length)), inHex(packets), title);
    all.push(...packets);
    for (const packet of odd) {
      const untouched = capture
        .packets('in')
        .filter(({ bytes, gsoType, checksum }) => bytes.equals(packet) && gsoType === 0 && checksum === null);
      t.true(untouched.length > 0, `${title}: alone and with its own checksums`);
    }
  }
  const accounts = await closeAndAccount(t, a, b);
  nothingDropped(t, accounts);
  const bytes = all.reduce((sum, packet) => sum + packet.length, 0);
  t.deepEqual(
    { packets: accounts.a.encap.packets, bytes: accounts.a.encap.bytes },
    { packets: all.length, bytes },
  );
  t.deepEqual(
    { packets: accounts.b.decap.packets, bytes: accounts.b.decap.bytes },
    { packets: all.length, bytes },
  );
  return capture.packets('in');
}

for (const families of ALL_FAMILIES) {
  test.serial(`packets that cannot be merged come out byte for byte: ${inWords(families)}`, async (t) => {
    const captured = await passThrough(t, families, {});
    // Otherwise nothing was shown: their neighbours were merged.
    const types = new Set(captured.map(({ gsoType }) => gsoType));
    t.true(types.has(SUPER_PACKETS[families.inner].tcp), 'TCP neighbours were merged');
    t.true(types.has(SUPER_PACKETS[families.inner].udp), 'UDP neighbours were merged');
  });

  test.serial(`without virtio-net headers nothing is merged at all: ${inWords(families)}`, async (t) => {
    const captured = await passThrough(t, families, { virtioHeader: false });
    t.true(captured.every(({ gsoType, checksum }) => gsoType === 0 && checksum === null));
  });
}
