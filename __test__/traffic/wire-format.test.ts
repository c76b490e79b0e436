import test from 'ava';
import { whilePaused } from '../../testbed/paused.ts';
import { inject, Receiver } from '../../testbed/probe.ts';
import { createSites } from '../../testbed/sites.ts';
import { RemoteTunnel, socketAddress } from '../../testbed/tunnel.ts';
import { closeAlone } from './accounts.ts';
import { Conversation } from './conversation.ts';
import { inHex } from './in-hex.ts';

for (const outer of ['ipv4', 'ipv6'] as const) {
  test.serial(`one packet is one datagram with nothing added, in order (${outer})`, async (t) => {
    await using sites = await createSites();
    const [local, remote] = [
      socketAddress(sites.a.outer[outer], 8000),
      socketAddress(sites.b.outer[outer], 9000),
    ];
    // Where the peer would be.
    await using receiver = await Receiver.start(sites.b, remote);
    await using a = await RemoteTunnel.open(sites.a, { device: sites.a.tun, local, remote });
    const [ipv4, ipv6] = [new Conversation('ipv4', sites.a.inner), new Conversation('ipv6', sites.a.inner)];
    const packets = Array.from({ length: 6 }, () => [
      ...ipv4.neighbours(),
      ...ipv6.neighbours(),
      ipv4.udp({}, Buffer.alloc(1)),
      ipv6.udp({}, Buffer.alloc(1300)),
    ]).flat();
    await whilePaused(a.process, () => inject(sites.a, sites.a.tun, packets));

    const datagrams = await receiver.first(packets.length);
    t.deepEqual(inHex(datagrams), inHex(packets));
    const { encap } = await closeAlone(t, a);
    t.is(encap.packets, packets.length);
    t.true(encap.sends < packets.length, 'several were sent at once all the same');
  });
}
