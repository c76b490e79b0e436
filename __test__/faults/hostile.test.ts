import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { DecapStats } from '../../src/index.ts';
import { Capture, sendDatagrams } from '../../testbed/probe.ts';
import type { UdpSend } from '../../testbed/probe.ts';
import type { Family } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import { RemoteTunnel, socketAddress } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { closeAlone } from '../traffic/accounts.ts';
import { Conversation } from '../traffic/conversation.ts';
import { inHex } from '../traffic/in-hex.ts';
import { lies, packetLength, randomDatagrams } from './lies.ts';

const PORT = 9000;
/** What a segmented send may carry over an underlay of 1500, either family. */
const LONGEST_SEGMENT = 1452;
/** IPv4 and UDP, before the payload of a good packet. */
const HEADERS = 28;

interface Sent {
  readonly send: UdpSend;
  /** The datagrams that it is cut into. */
  readonly datagrams: readonly Buffer[];
}

for (const outer of ['ipv4', 'ipv6'] as const) {
  test.serial(`datagrams with false headers, each alone (${outer})`, async (t) => {
    await receive(t, outer, [...Object.values(lies()), Buffer.alloc(0)].map(alone));
  });

  test.serial(`datagrams with false headers, between good packets (${outer})`, async (t) => {
    const conversation = new Conversation('ipv4', { ipv4: '10.0.2.2', ipv6: 'fd00:2::2' });
    const segments = Object.values(lies()).filter(({ length }) => length <= LONGEST_SEGMENT);
    const sent = segments.map((lie) => amongGood(conversation, lie));
    wasReceivedInRuns(t, await receive(t, outer, sent));
  });

  test.serial(`every first byte, followed by up to 100 random bytes, each alone (${outer})`, async (t) => {
    await receive(t, outer, randomDatagrams().map(alone));
  });

  test.serial(
    `every first byte, followed by up to 100 random bytes, between good packets (${outer})`,
    async (t) => {
      const conversation = new Conversation('ipv4', { ipv4: '10.0.2.2', ipv6: 'fd00:2::2' });
      // Every seventh: each first byte with many lengths, and each length with many first bytes.
      const some = randomDatagrams().filter((_, index) => index % 7 === 0);
      const sent = some.map((datagram) => amongGood(conversation, datagram));
      wasReceivedInRuns(t, await receive(t, outer, sent));
    },
  );
}

function alone(datagram: Buffer): Sent {
  return { send: { bytes: datagram }, datagrams: [datagram] };
}

/**
 * In one send with good packets that can be merged. Where it is long enough, they are of its length and stand on both sides of
 * it; a shorter one can only be the last of the run.
 */
function amongGood(conversation: Conversation, lie: Buffer): Sent {
  const segmentSize = Math.max(lie.length, HEADERS + 1);
  const good = (): Buffer => conversation.udp({}, Buffer.alloc(segmentSize - HEADERS, 0x11));
  const datagrams = [good(), good(), lie, ...(lie.length === segmentSize ? [good(), good()] : [])];
  return { send: { bytes: Buffer.concat(datagrams), segmentSize }, datagrams };
}

/** That the good and the bad were received together. */
function wasReceivedInRuns(t: ExecutionContext, { receives, received }: DecapStats): void {
  t.true(receives < received / 2, `${received} datagrams by ${receives} receives`);
}

/** Sends all to a tunnel as its peer would, and checks that what is a packet arrives, and that all else is counted. */
async function receive(t: ExecutionContext, outer: Family, sent: readonly Sent[]): Promise<DecapStats> {
  // Runs cross one kind of link whole; behind the other they are put together again.
  await using sites = await createSites({ link: outer === 'ipv4' ? 'veth' : 'wire' });
  const [local, remote] = [sites.a, sites.b].map((site) => socketAddress(site.outer[outer], PORT));
  if (local === undefined || remote === undefined) throw new Error('two sites');
  // There is no tunnel at the peer's end, so that its address and port are free for the test's own datagrams.
  await using a = await RemoteTunnel.open(sites.a, { device: sites.a.tun, local, remote });
  await using capture = await Capture.start(sites.a, sites.a.tun);

  /** Sends of which the receive buffer holds all, and more. */
  const PORTION = 1000;
  const last = alone(new Conversation('ipv6', sites.b.inner).udp());
  let datagramsSent = 0;
  for (let first = 0; first < sent.length; first += PORTION) {
    const portion = sent.slice(first, first + PORTION);
    await sendDatagrams(
      sites.b,
      remote,
      local,
      portion.map(({ send }) => send),
    );
    datagramsSent += portion.flatMap(({ datagrams }) => datagrams).length;
    await waitFor('them to be received', async () => (await a.stats()).decap.received === datagramsSent);
  }
  await sendDatagrams(sites.b, remote, local, [last.send]);

  const datagrams = [...sent, last].flatMap((each) => each.datagrams);
  const packets = datagrams.flatMap((datagram) => {
    const length = packetLength(datagram);
    return length === null ? [] : [datagram.subarray(0, length)];
  });
  const [lastPacket = Buffer.alloc(0)] = last.datagrams;
  const arrived = await capture.until('in', lastPacket);
  t.deepEqual(inHex(arrived), inHex(packets));

  const { encap, decap, socket } = await closeAlone(t, a);
  const empty = datagrams.filter(({ length }) => length === 0).length;
  t.like(decap, {
    received: datagrams.length,
    packets: packets.length,
    bytes: packets.reduce((sum, { length }) => sum + length, 0),
    drops: {
      malformed: datagrams.length - packets.length - empty,
      empty,
      truncated: 0,
      'source-not-allowed': 0,
      'device-down': 0,
      'device-error': 0,
      closed: 0,
    },
  });
  t.is(socket.receiveOverflow, 0);
  t.is(encap.received, 0, 'nothing was answered');
  return decap;
}
