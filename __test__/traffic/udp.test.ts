import test from 'ava';
import { payloadThatSumsToZero, udpPacket } from '../../testbed/packet/transport.ts';
import type { Flow } from '../../testbed/packet/transport.ts';
import { whilePaused } from '../../testbed/paused.ts';
import { Capture, inject, Receiver, sendDatagrams } from '../../testbed/probe.ts';
import type { Family, Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import { transferUdp } from '../../testbed/traffic/udp.ts';
import { openPair, socketAddress } from '../../testbed/tunnel.ts';
import { closeAndAccount, nothingDropped } from './accounts.ts';
import { inHex } from './in-hex.ts';
import { ALL_FAMILIES, inWords } from './matrix.ts';

/** Taken in turn: runs of tiny and of full datagrams, every mixture, and datagrams of many fragments. */
const SIZES = [
  ...Array.from({ length: 200 }, () => 1),
  ...Array.from({ length: 200 }, () => 1400),
  ...Array.from({ length: 20 }, () => [1, 1400, 64, 64, 512, 1404, 1, 0, 3000, 9000]).flat(),
  65_000,
  65_000,
  1,
  65_000,
];

for (const families of ALL_FAMILIES) {
  test.serial(`datagrams of all sizes arrive in order: ${inWords(families)}`, async (t) => {
    const { outer, inner } = families;
    await using sites = await createSites();
    const [a, b] = await openPair(sites, { outer });
    const count = 2 * SIZES.length;
    const [there, back] = await Promise.all([
      transferUdp({ from: sites.a, to: sites.b, address: sites.b.inner[inner], count, sizes: SIZES }),
      transferUdp({ from: sites.b, to: sites.a, address: sites.a.inner[inner], count, sizes: SIZES }),
    ]);
    const expected = { received: count, reordered: 0, duplicates: 0, corrupted: 0 };
    t.deepEqual(there, expected, 'from a to b');
    t.deepEqual(back, expected, 'from b to a');
    const accounts = await closeAndAccount(t, a, b);
    nothingDropped(t, accounts);
    t.is(accounts.a.encap.bytes, accounts.b.encap.bytes, 'the same went both ways');
  });
}

const CHECKSUMS = [
  { where: 'left to the tunnel', offload: {} },
  { where: 'done by the kernel', offload: { checksum: false } },
];

for (const family of ['ipv4', 'ipv6'] as const) {
  for (const { where, offload } of CHECKSUMS) {
    test.serial(`a checksum that computes to zero is sent as 0xFFFF: ${family}, ${where}`, async (t) => {
      await using sites = await createSites();
      // Merged datagrams would be captured before the kernel has given them their checksums.
      const [a, b] = await openPair(sites, { onlyA: { offload }, onlyB: { offload: { uso: false } } });
      await using capture = await Capture.start(sites.b, sites.b.tun);
      const flow = flowBetween(sites.a, sites.b, family);
      const [from, to] = endpoints(flow);
      await using receiver = await Receiver.start(sites.b, to);

      const payload = payloadThatSumsToZero(flow, 100);
      // One alone, and a run that the kernel hands over as one packet.
      await sendDatagrams(sites.a, from, to, [
        { bytes: payload },
        { bytes: Buffer.concat([payload, payload, payload]), segmentSize: payload.length },
      ]);
      const datagrams = await receiver.first(4);

      t.deepEqual(inHex(datagrams), inHex([payload, payload, payload, payload]));
      const checksumAt = (family === 'ipv4' ? 20 : 40) + 6;
      const checksums = (await capture.first('in', 4)).map(({ bytes }) => bytes.readUInt16BE(checksumAt));
      t.deepEqual(checksums, [0xffff, 0xffff, 0xffff, 0xffff]);
      const accounts = await closeAndAccount(t, a, b);
      nothingDropped(t, accounts);
      t.is(accounts.a.encap.packets, 4);
    });
  }
}

test.serial('datagrams whose checksums compute to zero survive merging and segmentation', async (t) => {
  await using sites = await createSites();
  const [a, b] = await openPair(sites);
  await using capture = await Capture.start(sites.b, sites.b.tun);
  const flow = flowBetween(sites.a, sites.b, 'ipv6');
  const [from, to] = endpoints(flow);
  await using receiver = await Receiver.start(sites.b, to);

  const payload = payloadThatSumsToZero(flow, 100);
  const run = Buffer.concat(Array.from({ length: 10 }, () => payload));
  await sendDatagrams(sites.a, from, to, [{ bytes: run, segmentSize: payload.length }]);

  t.deepEqual(inHex(await receiver.first(10)), inHex(Array.from({ length: 10 }, () => payload)));
  const [whole] = await capture.first('in', 1);
  t.is(whole?.bytes.length, 48 + run.length, 'one super-packet');
  nothingDropped(t, await closeAndAccount(t, a, b));
});

test.serial('datagrams without checksum (IPv4) arrive without one, in order', async (t) => {
  await using sites = await createSites();
  const [a, b] = await openPair(sites);
  await using capture = await Capture.start(sites.b, sites.b.tun);
  const flow = flowBetween(sites.a, sites.b, 'ipv4');
  await using receiver = await Receiver.start(sites.b, endpoints(flow)[1]);

  const payloads = Array.from({ length: 100 }, (_, index) => Buffer.alloc(64, index + 0x70));
  const packets = payloads.map((payload, id) => {
    const packet = udpPacket(flow, payload, { id });
    packet.writeUInt16BE(0, 26);
    return packet;
  });
  await whilePaused(a.process, () => inject(sites.a, sites.a.tun, packets));

  t.deepEqual(inHex(await receiver.first(packets.length)), inHex(payloads));
  t.deepEqual(inHex((await capture.first('in', packets.length)).map(({ bytes }) => bytes)), inHex(packets));
  const accounts = await closeAndAccount(t, a, b);
  nothingDropped(t, accounts);
  t.is(accounts.b.decap.packets, packets.length);
});

function flowBetween(from: Site, to: Site, family: Family): Flow {
  return {
    source: from.inner[family],
    destination: to.inner[family],
    sourcePort: 7001,
    destinationPort: 7002,
  };
}

function endpoints(flow: Flow): readonly [from: string, to: string] {
  return [socketAddress(flow.source, flow.sourcePort), socketAddress(flow.destination, flow.destinationPort)];
}
