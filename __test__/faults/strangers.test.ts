import test from 'ava';
import { protocolCounters } from '../../testbed/counters.ts';
import { Capture, sendDatagrams } from '../../testbed/probe.ts';
import type { UdpSend } from '../../testbed/probe.ts';
import { createSites } from '../../testbed/sites.ts';
import { RemoteTunnel, socketAddress } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { closeAlone } from '../traffic/accounts.ts';
import { Conversation } from '../traffic/conversation.ts';

const PORT = 9000;
const OTHER_PORT = 9001;
const OTHER_ADDRESS = { ipv4: '10.0.1.3', ipv6: 'fd00:1::3' } as const;
const PREFIX_LENGTH = { ipv4: 24, ipv6: 64 } as const;

for (const outer of ['ipv4', 'ipv6'] as const) {
  test.serial(`datagrams from another address or port never reach the tunnel (${outer})`, async (t) => {
    // Over such a link each datagram of a run arrives, and is counted, by itself.
    await using sites = await createSites({ link: 'wire' });
    const other = OTHER_ADDRESS[outer];
    await sites.b.ip('address', 'add', `${other}/${PREFIX_LENGTH[outer]}`, 'dev', sites.b.veth, 'nodad');
    const own = sites.b.outer[outer];
    const local = socketAddress(sites.a.outer[outer], PORT);
    // There is no tunnel at the peer's end, so that its address and port are free for the test's own datagrams.
    await using a = await RemoteTunnel.open(sites.a, {
      device: sites.a.tun,
      local,
      remote: socketAddress(own, PORT),
    });
    await using capture = await Capture.start(sites.a, sites.a.tun);
    const conversation = new Conversation('ipv4', sites.b.inner);

    const run = Array.from({ length: 10 }, () => conversation.udp());
    const sends: UdpSend[] = [
      { bytes: conversation.udp() },
      { bytes: Buffer.from('not a packet') },
      { bytes: Buffer.alloc(0) },
      { bytes: Buffer.concat(run), segmentSize: 200 },
    ];
    const strangers = [
      socketAddress(other, PORT),
      socketAddress(own, OTHER_PORT),
      socketAddress(other, OTHER_PORT),
    ];
    for (const stranger of strangers) await sendDatagrams(sites.b, stranger, local, sends);
    const good = conversation.udp();
    await sendDatagrams(sites.b, socketAddress(own, PORT), local, [{ bytes: good }]);

    await waitFor('the datagram of the peer', async () => (await a.stats()).decap.received > 0);
    t.deepEqual(await capture.until('in', good), [good]);
    const { decap, state } = await closeAlone(t, a);
    t.is(state, 'closed');
    t.like(decap, { received: 1, packets: 1, bytes: good.length, dropped: 0 });
    // The kernel counts and refuses datagrams for which there is no socket.
    const counters = await protocolCounters(sites.a);
    const turnedAway = counters.get({ ipv4: 'UdpNoPorts', ipv6: 'Udp6NoPorts' }[outer]);
    t.is(turnedAway, strangers.length * (sends.length - 1 + run.length));
  });
}
