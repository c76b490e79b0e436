import type { ExecutionContext } from 'ava';
import test from 'ava';
import { protocolCounters } from '../../testbed/counters.ts';
import { pause, whilePaused } from '../../testbed/paused.ts';
import { inject } from '../../testbed/probe.ts';
import type { Family } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { TcpTransfer } from '../../testbed/traffic/tcp.ts';
import { openPair, RemoteTunnel, socketAddress } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { closeAlone, datagrams } from '../traffic/accounts.ts';
import { Conversation } from '../traffic/conversation.ts';

const PORT = 9000;
const OUTER: readonly Family[] = ['ipv4', 'ipv6'];
/** Takes long enough for something to happen to it meanwhile. */
const BYTES = 512 * 2 ** 20;
const BEGUN = 16 * 2 ** 20;

for (const outer of OUTER) {
  test.serial(
    `the peer is not running yet: it refuses each packet, no others are lost, and packets flow when it starts (${outer})`,
    async (t) => {
      await using sites = await createSites();
      await sites.b.sysctl({ 'net.ipv4.icmp_ratelimit': 0, 'net.ipv6.icmp.ratelimit': 0 });
      await using a = await openA(sites, outer);
      const conversation = new Conversation('ipv4', sites.a.inner);
      // Each longer than the one before, so that each is a send of its own, and a refusal meets the next of them.
      const early = Array.from({ length: 500 }, (_, index) => conversation.udp({}, Buffer.alloc(10 + index)));
      await whilePaused(a.process, () => inject(sites.a, sites.a.tun, early));
      await waitFor('all to be sent or dropped', async () => {
        const { encap } = await a.stats();
        return encap.packets + encap.dropped === early.length;
      });
      await refused(a);
      const counters = await protocolCounters(sites.b);
      const withoutReceiver = counters.get({ ipv4: 'UdpNoPorts', ipv6: 'Udp6NoPorts' }[outer]) ?? NaN;

      await using b = await openB(sites, outer);
      const { sent, received } = await ping(sites.a, sites.b.inner.ipv4, { count: 10 });
      t.true(received >= 10, `${received} of ${sent}`);
      await waitFor('the pings to arrive', async () => (await b.stats()).decap.received === sent);

      const [ofA, ofB] = [await closeAlone(t, a), await closeAlone(t, b)];
      t.is(ofA.encap.received, early.length + sent);
      t.is(
        ofA.encap.packets,
        withoutReceiver + ofB.decap.packets,
        'what was sent either had no receiver or arrived',
      );
      t.is(ofA.encap.dropped, 0);
      t.is(ofA.state, 'closed');
    },
  );

  test.serial(`the peer is killed in mid-transfer and restarted (${outer})`, async (t) => {
    await using sites = await createSites();
    await using a = await openA(sites, outer);
    await using killed = await openB(sites, outer);
    await using transfer = await startTransfer(sites);
    killed.process.kill('SIGKILL');
    await killed.process.exited;
    t.true((await transfer.received()) < BYTES, 'in mid-transfer');
    await inject(sites.a, sites.a.tun, [new Conversation('ipv4', sites.a.inner).udp()]);
    await refused(a);

    await using b = await openB(sites, outer);
    await arrived(t, transfer);
    await closeAlone(t, a);
    await closeAlone(t, b);
  });

  test.serial(`the peer is stopped in mid-transfer and continues (${outer})`, async (t) => {
    await using sites = await createSites();
    const [a, b] = await openPair(sites, { outer, port: PORT });
    await using transfer = await startTransfer(sites);
    await pause(b.process);
    const atPause = await transfer.received();
    t.true(atPause < BYTES, 'in mid-transfer');
    // The stopped peer neither answers nor refuses.
    const conversation = new Conversation('ipv4', sites.a.inner);
    const { encap } = await a.stats();
    await inject(sites.a, sites.a.tun, [conversation.udp(), conversation.udp()]);
    await waitFor('packets to be sent all the same', async () => {
      return (await a.stats()).encap.packets >= encap.packets + 2;
    });
    b.process.kill('SIGCONT');

    await arrived(t, transfer);
    const [ofA, ofB] = [await closeAlone(t, a), await closeAlone(t, b)];
    t.deepEqual(ofA.socket.errors, {});
    const lost = datagrams(ofA) - ofB.decap.received;
    t.true(lost >= ofB.socket.receiveOverflow, 'what overflowed is among what was lost');
    t.is(lost > 0, ofB.socket.receiveOverflow > 0, 'nothing else was lost');
  });
}

async function openA(sites: Sites, outer: Family): Promise<RemoteTunnel> {
  return openEnd(sites, 'a', 'b', outer);
}

async function openB(sites: Sites, outer: Family): Promise<RemoteTunnel> {
  return openEnd(sites, 'b', 'a', outer);
}

async function openEnd(sites: Sites, near: 'a' | 'b', far: 'a' | 'b', outer: Family): Promise<RemoteTunnel> {
  return RemoteTunnel.open(sites[near], {
    device: sites[near].tun,
    local: socketAddress(sites[near].outer[outer], PORT),
    remote: socketAddress(sites[far].outer[outer], PORT),
  });
}

/** Waits until the tunnel has received a refusal from the other end. */
async function refused(tunnel: RemoteTunnel): Promise<void> {
  await waitFor('ECONNREFUSED', async () => ((await tunnel.stats()).socket.errors['ECONNREFUSED'] ?? 0) > 0);
}

/** Resolves when some of it has arrived. */
async function startTransfer({ a, b }: Sites): Promise<TcpTransfer> {
  const transfer = await TcpTransfer.start({ from: a, to: b, address: b.inner.ipv6, bytes: BYTES });
  await waitFor('the transfer to begin', async () => (await transfer.received()) > BEGUN, { everyMs: 1 });
  return transfer;
}

async function arrived(t: ExecutionContext, transfer: TcpTransfer): Promise<void> {
  const { sent, received } = await transfer.done;
  t.deepEqual(received, sent);
}
