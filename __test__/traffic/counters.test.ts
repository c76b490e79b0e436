import test from 'ava';
import { deviceCounters } from '../../testbed/counters.ts';
import { whilePaused } from '../../testbed/paused.ts';
import { inject } from '../../testbed/probe.ts';
import { createSites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { openPair } from '../../testbed/tunnel.ts';
import { closeAndAccount, nothingDropped } from './accounts.ts';
import { Conversation } from './conversation.ts';
import { ALL_FAMILIES, inWords } from './matrix.ts';

for (const families of ALL_FAMILIES) {
  test.serial(
    `both ends and the devices count the same packets and bytes: ${inWords(families)}`,
    async (t) => {
      const { outer, inner } = families;
      await using sites = await createSites();
      const [a, b] = await openPair(sites, { outer });
      const count = 20;
      const size = 1000;
      const header = inner === 'ipv4' ? 20 : 40;
      const expected = { packets: count, bytes: count * (header + 8 + size) };
      // One has been answered before the next is sent, so nothing is read, sent or written together with anything else.
      for (let done = 0; done < count; done += 1) {
        await ping(sites.a, sites.b.inner[inner], { size, intervalMs: 5000 });
      }

      const accounts = await closeAndAccount(t, a, b);
      nothingDropped(t, accounts);
      for (const [site, { encap, decap }] of [
        [sites.a, accounts.a],
        [sites.b, accounts.b],
      ] as const) {
        const { rx, tx } = await deviceCounters(site, site.tun);
        t.like(encap, { ...expected, received: count, reads: count, sends: count, fragmented: 0 });
        t.like(decap, { ...expected, received: count, receives: count, writes: count });
        t.like(tx, { ...expected, dropped: 0 }, 'what the kernel sent by the device');
        t.like(rx, { ...expected, dropped: 0 }, 'what came in by the device');
      }
    },
  );

  test.serial(`packets of one batch are counted one by one: ${inWords(families)}`, async (t) => {
    const { outer, inner } = families;
    await using sites = await createSites();
    const [a, b] = await openPair(sites, { outer });
    const conversation = new Conversation(inner, sites.a.inner);
    const packets = Array.from({ length: 400 }, () => conversation.udp());
    const expected = {
      received: packets.length,
      packets: packets.length,
      bytes: packets.reduce((sum, { length }) => sum + length, 0),
    };
    await whilePaused(a.process, () => inject(sites.a, sites.a.tun, packets));

    // Nothing comes back: no host has the address that they were sent to.
    const accounts = await closeAndAccount(t, a, b, { sentAtA: packets.length });
    nothingDropped(t, accounts);
    t.like(accounts.a.encap, expected);
    t.like(accounts.b.decap, expected);
    t.is(accounts.b.encap.received, 0);
    t.is(accounts.a.decap.received, 0);
    // They did travel together, and `ip -s link` counts what was merged once.
    const { rx } = await deviceCounters(sites.b, sites.b.tun);
    t.true(accounts.a.encap.sends < packets.length / 10, `${accounts.a.encap.sends} sends`);
    t.true(accounts.b.decap.receives < packets.length / 10, `${accounts.b.decap.receives} receives`);
    t.is(rx.packets, accounts.b.decap.writes);
    t.true(rx.packets < packets.length / 10, `${rx.packets} writes`);
  });
}

test.serial('bytes that are not a packet are counted as malformed and not sent', async (t) => {
  await using sites = await createSites();
  const [a, b] = await openPair(sites);
  const conversation = new Conversation('ipv4', sites.a.inner);
  const broken = [
    // Version, header length, and total length.
    Buffer.from([0x55, 0, 0, 20, ...Array.from({ length: 60 }, () => 0)]),
    Buffer.from([0x41, 0, 0, 20, ...Array.from({ length: 60 }, () => 0)]),
    conversation.changedUdp((packet) => packet.writeUInt16BE(packet.length + 1, 2)),
    conversation.changedUdp((packet) => packet.writeUInt16BE(19, 2)),
    conversation.udp().subarray(0, 19),
  ];
  const good = conversation.udp();
  await inject(sites.a, sites.a.tun, [...broken, good]);

  const accounts = await closeAndAccount(t, a, b, { sentAtA: broken.length + 1 });
  t.is(accounts.a.encap.received, broken.length + 1);
  t.is(accounts.a.encap.drops.malformed, broken.length);
  t.is(accounts.b.decap.received, 1);
  t.is(accounts.b.decap.bytes, good.length);
});

test.serial('bytes after the end of a packet are not part of it', async (t) => {
  await using sites = await createSites();
  const [a, b] = await openPair(sites);
  const packet = new Conversation('ipv6', sites.a.inner).udp();
  await inject(sites.a, sites.a.tun, [Buffer.concat([packet, Buffer.from('behind')])]);

  const accounts = await closeAndAccount(t, a, b, { sentAtA: 1 });
  nothingDropped(t, accounts);
  t.like(accounts.a.encap, { received: 1, packets: 1, bytes: packet.length });
  t.like(accounts.b.decap, { received: 1, packets: 1, bytes: packet.length });
});
