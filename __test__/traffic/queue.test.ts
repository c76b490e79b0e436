/** Links that are slower than those who send: what waits, what is dropped or marked, and that all of it is accounted for. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type { TunnelStats } from '../../src/index.ts';
import { protocolCounters } from '../../testbed/counters.ts';
import type { Family, Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { shape, startFlood } from '../../testbed/traffic/flood.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import type { PingOptions } from '../../testbed/traffic/ping.ts';
import { TcpTransfer, transferTcp } from '../../testbed/traffic/tcp.ts';
import { openPair } from '../../testbed/tunnel.ts';
import type { RemoteTunnel } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { closeAlone } from './accounts.ts';

/** More than passes while a test runs. */
const ENDLESS = 1 << 30;

/** An address behind the tunnel that no host has: what is sent there goes through the tunnel, and is dropped behind it. */
const NOBODY = '10.0.2.99';

/** Between them, TCP fills queues, as it does on nearly every Linux host (CUBIC). */
async function createSlowSites(mbits: number): Promise<Sites> {
  const sites = await createSites();
  for (const [near, far] of [
    [sites.a, sites.b],
    [sites.b, sites.a],
  ] as const) {
    const routes = [far.inner.ipv4, far.inner.ipv6].map(
      (address) => `route add ${address} dev ${near.tun} congctl cubic`,
    );
    await near.ipBatch(...routes);
  }
  await shape(sites.a, mbits);
  return sites;
}

/** The statistics, once they are as described. */
function statsWhen(
  tunnel: RemoteTunnel,
  what: string,
  is: (stats: TunnelStats) => boolean,
): Promise<TunnelStats> {
  return waitFor(
    what,
    async () => {
      const stats = await tunnel.stats();
      return is(stats) && stats;
    },
    { timeoutMs: 30_000 },
  );
}

/** Whether all pings of a flow are answered, possibly at a second attempt. */
async function pingLives(
  t: ExecutionContext,
  site: Site,
  address: string,
  options: PingOptions = { count: 20 },
): Promise<void> {
  await waitFor('a ping that loses nothing', async () => {
    const { sent, received } = await ping(site, address, { ...options, end: 'sent' });
    return received === sent;
  });
  t.pass();
}

const INSIDE: Readonly<Record<Family, Family>> = { ipv4: 'ipv6', ipv6: 'ipv4' };

for (const outer of ['ipv4', 'ipv6'] as const) {
  test.serial(
    `TCP learns the rate of a slow link from drops, and with ECN from marks alone (outer ${outer})`,
    async (t) => {
      await using sites = await createSlowSites(20);
      const [a, b] = await openPair(sites, { outer });
      const { [INSIDE[outer]]: address } = sites.b.inner;
      const upload = { from: sites.a, to: sites.b, address, bytes: ENDLESS };
      {
        await using transfer = await TcpTransfer.start(upload);
        const { queue, socket } = await statsWhen(
          a,
          'drops by the queue',
          ({ encap: { drops } }) => drops.queue > 0,
        );
        t.true(queue.delayed > 100 && queue.delaySum > 0 && (queue.sojournMaxMs ?? 0) > 5);
        t.is(queue.marked, 0);
        t.true(socket.sendBuffer > 0);
        await pingLives(t, sites.a, address);
        t.true((await transfer.received()) > 0);
        const { queue: measured } = await statsWhen(
          a,
          'the rate of the link',
          ({ queue: { drainRate } }) => drainRate !== null,
        );
        t.true(isNear(measured.drainRate, 20e6), `${measured.drainRate} bit/s`);
      }
      for (const site of [sites.a, sites.b]) await site.sysctl({ 'net.ipv4.tcp_ecn': 1 });
      const { encap: before } = await statsWhen(a, 'an empty queue', ({ queue }) => queue.packets === 0);
      await TcpTransfer.start(upload);
      await statsWhen(a, 'marks by the queue', ({ queue }) => queue.marked > 0);
      await waitFor('the sender to hear of marks', async () => {
        return ((await protocolCounters(sites.a)).get('TcpExtTCPDeliveredCE') ?? 0) > 0;
      });
      const { encap, queue } = await closeAlone(t, a);
      t.is(encap.drops.queue, before.drops.queue, 'nothing was dropped in place of a mark');
      t.is(encap.drops['queue-full'], 0);
      t.is(queue.packets, 0);
      await closeAlone(t, b);
    },
  );
}

/** What a link takes varies with the wake-ups of a busy machine. */
function isNear(rate: number | null, expected: number): boolean {
  return rate !== null && rate > 0.75 * expected && rate < 1.25 * expected;
}

test.serial('the tunnel follows a link whose rate changes under load', async (t) => {
  await using sites = await createSlowSites(1);
  const [a, b] = await openPair(sites);
  const address = sites.b.inner.ipv4;
  {
    // What the sender has on its way would fit into the socket, and would wait there for 150 ms.
    await sites.b.sysctl({ 'net.ipv4.tcp_rmem': '4096 32768 32768' });
    const small = { from: sites.a, to: sites.b, address: sites.b.inner.ipv6, bytes: ENDLESS };
    await using transfer = await TcpTransfer.start(small);
    await statsWhen(a, 'packets to wait', ({ queue }) => queue.delayed > 0);
    t.true((await transfer.received()) > 0);
    await sites.b.sysctl({ 'net.ipv4.tcp_rmem': '4096 131072 6291456' });
  }
  await TcpTransfer.start({ from: sites.a, to: sites.b, address, bytes: ENDLESS });
  for (const mbits of [100, 5, 50]) {
    await shape(sites.a, mbits);
    await statsWhen(a, `${mbits} Mbit/s`, ({ queue }) => isNear(queue.drainRate, mbits * 1e6));
    await pingLives(t, sites.a, address);
  }
  await closeAlone(t, a);
  await closeAlone(t, b);
});

test.serial('both directions may be saturated at the same time', async (t) => {
  await using sites = await createSlowSites(20);
  await shape(sites.b, 20);
  const [a, b] = await openPair(sites);
  const transfers = await Promise.all([
    TcpTransfer.start({ from: sites.a, to: sites.b, address: sites.b.inner.ipv4, bytes: ENDLESS }),
    TcpTransfer.start({ from: sites.b, to: sites.a, address: sites.a.inner.ipv6, bytes: ENDLESS }),
  ]);
  for (const tunnel of [a, b])
    await statsWhen(tunnel, 'drops by the queue', ({ encap: { drops } }) => drops.queue > 0);
  for (const transfer of transfers) t.true((await transfer.received()) > 0);
  await pingLives(t, sites.a, sites.b.inner.ipv4);
  for (const tunnel of [a, b]) await closeAlone(t, tunnel);
});

test.serial(
  'ping and TCP live beside a flood of UDP, whole or in fragments, of one flow or of a thousand',
  async (t) => {
    await using sites = await createSlowSites(20);
    const [a, b] = await openPair(sites);
    const address = sites.b.inner.ipv4;
    const dropsGrow = async (by: number): Promise<void> => {
      const { encap: before } = await a.stats();
      await statsWhen(a, 'drops', ({ encap: { drops } }) => drops.queue >= before.drops.queue + by);
    };
    for (const size of [1400, 20_000]) {
      await using _ = startFlood(sites.a, NOBODY, { mbits: 40, size });
      await dropsGrow(5);
      await pingLives(t, sites.a, address);
      const { sent, received } = await transferTcp({ from: sites.a, to: sites.b, address, bytes: 1 << 18 });
      t.deepEqual(received, sent);
    }
    await using _ = startFlood(sites.a, NOBODY, { mbits: 40, ports: 1000 });
    await dropsGrow(200);
    // Each has 20 kbit/s now.
    await pingLives(t, sites.a, address, { count: 3, intervalMs: 200 });
    await closeAlone(t, a);
    await closeAlone(t, b);
  },
);

test.serial('a tunnel paced to a rate sends no more, and waits in its own queue', async (t) => {
  await using sites = await createSites();
  const [a, b] = await openPair(sites, { onlyA: { rate: '20 Mbit/s' } });
  startFlood(sites.a, NOBODY, { mbits: 40 });
  for (const rate of [20e6, 5e6]) {
    await a.setRate(rate);
    await statsWhen(a, 'the rate', ({ queue }) => queue.rate === rate && queue.packets > 50);
    // The times include those of the calls, in which this thread may have been kept waiting.
    const begin = performance.now();
    const first = await a.stats();
    await pingLives(t, sites.a, sites.b.inner.ipv4);
    await statsWhen(a, 'packets', ({ encap }) => encap.packets > first.encap.packets + 400);
    const last = await a.stats();
    const seconds = (performance.now() - begin) / 1000;
    // Each datagram has 28 bytes of headers; a late thread may catch up 2 ms.
    const [packets, bytes] = [last.encap.packets - first.encap.packets, last.encap.bytes - first.encap.bytes];
    const bits = 8 * (bytes + 28 * packets);
    t.true(bits < 1.01 * rate * (seconds + 0.004), `${bits / seconds} bit/s instead of ${rate}`);
    t.is(last.queue.drainRate, null, 'the link is faster');
  }
  await a.setRate(null);
  await statsWhen(a, 'an empty queue', ({ queue }) => queue.rate === null && queue.packets === 0);
  await closeAlone(t, a);
  await closeAlone(t, b);
});

test.serial('a tunnel with a full queue closes at once, and counts what waited', async (t) => {
  await using sites = await createSlowSites(5);
  const [a] = await openPair(sites);
  startFlood(sites.a, NOBODY, { mbits: 40 });
  await statsWhen(a, 'packets to wait', ({ queue }) => queue.packets > 500);
  const { encap, queue } = await closeAlone(t, a);
  t.true(encap.drops.closed > 300, JSON.stringify(encap.drops));
  t.is(queue.packets, 0);
});

test.serial(
  'when the interface is deleted, what waits for it is counted as dropped for a reason',
  async (t) => {
    await using sites = await createSlowSites(5);
    const [a] = await openPair(sites);
    const flood = startFlood(sites.a, NOBODY, { mbits: 40 });
    await statsWhen(a, 'packets to wait', ({ queue }) => queue.packets > 500);
    await sites.a.ip('link', 'delete', sites.a.veth);
    // The kernel accepts datagrams while the interface goes down, so some of what waited may count as sent. The flood goes on.
    await statsWhen(a, 'an empty queue', ({ queue }) => queue.packets === 0);
    await statsWhen(a, 'drops for this reason', ({ encap }) => encap.drops['peer-unreachable'] > 500);
    await flood[Symbol.asyncDispose]();
    // A new link, with other indexes, carries packets again.
    await sites.joinAgain(1500);
    await waitFor('an answer', async () => (await ping(sites.a, sites.b.inner.ipv4)).received > 0, {
      timeoutMs: 30_000,
    });
    const { encap } = await closeAlone(t, a);
    t.is(encap.drops.closed, 0);
  },
);
