/** Paths on which a router cannot forward full packets. */
import test from 'ava';
import { Capture } from '../../testbed/probe.ts';
import type { Family, Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { transferTcp } from '../../testbed/traffic/tcp.ts';
import { openPair } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { closeAlone } from './accounts.ts';

const OUTER_HEADERS = { ipv4: 28, ipv6: 48 } as const;
const IP_HEADER = { ipv4: 20, ipv6: 40 } as const;
const ICMP_HEADER = 8;

for (const outer of ['ipv4', 'ipv6'] as const) {
  test.serial(`senders are told what fits a narrower path, in both families (outer ${outer})`, async (t) => {
    await using sites = await createSites({ router: true, tunMtu: 1452 });
    const [a, b] = await openPair(sites, { outer, options: { pathMtu: 'discover' } });
    await narrow(sites, 1400);
    for (const inner of ['ipv4', 'ipv6'] as const) {
      // oxlint-disable-next-line eslint/no-await-in-loop -- one after the other
      t.is(await mtuFor(sites.a, sites.b.inner[inner], inner, 1452), 1400 - OUTER_HEADERS[outer], inner);
    }
    const stream = await transferTcp({
      from: sites.b,
      to: sites.a,
      address: sites.a.inner.ipv6,
      bytes: 4 * 2 ** 20,
    });
    t.deepEqual(stream.received, stream.sent);
    const [ofA, ofB] = [await closeAlone(t, a), await closeAlone(t, b)];
    t.is(ofA.socket.pathMtu, 1400);
    t.true(ofA.encap.tooBigAnswers > 0);
    t.true(ofA.encap.drops['too-big'] > 0);
    t.deepEqual([ofA.encap.fragmented, ofB.encap.fragmented], [0, 0]);
  });
}

test.serial('a router that does not say what it drops loses no packet without DF', async (t) => {
  await using sites = await createSites({ router: true, tunMtu: 1452 });
  const [a, b] = await openPair(sites);
  await narrow(sites, 1400);
  await blockReports(sites);
  for (const inner of ['ipv4', 'ipv6'] as const) {
    // oxlint-disable-next-line eslint/no-await-in-loop -- one after the other
    const { stdout } = await sites.a.runToEnd(fullPing(sites.b.inner[inner], inner, 1452, 5));
    t.regex(stdout, /5 packets transmitted, 5 received/, inner);
  }
  t.is((await closeAlone(t, a)).socket.pathMtu, 1500);
  await closeAlone(t, b);
});

test.serial('the MTU of a path whose router reports it is learned by TCP without DF', async (t) => {
  await using sites = await createSites({ router: true, tunMtu: 1472 });
  const [a, b] = await openPair(sites);
  await narrow(sites, 1492);
  await waitFor('the MTU of the path to be known', async () => {
    await transferTcp({ from: sites.a, to: sites.b, address: sites.b.inner.ipv4, bytes: 100_000 });
    return (await a.stats()).socket.pathMtu === 1492;
  });
  {
    await using atB = await Capture.start(sites.b, sites.b.tun);
    await transferTcp({ from: sites.a, to: sites.b, address: sites.b.inner.ipv4, bytes: 1 });
    const syn = await atB.first('in', 1);
    t.is(syn[0]?.bytes.readUInt16BE(42), 1492 - 28 - 40, 'the MSS of the SYN');
  }
  const [{ encap }] = [await closeAlone(t, a), await closeAlone(t, b)];
  t.is(encap.trials, 1);
});

test.serial(
  'where the router is quiet, echo requests find out what passes, narrower and wider',
  async (t) => {
    await Promise.all(
      (['ipv4', 'ipv6'] as const).map(async (outer) => {
        await using sites = await createSites({ router: true, tunMtu: 1452 });
        const probe = { interval: '100ms' };
        const [a, b] = await openPair(sites, {
          outer,
          options: { pathMtu: 'discover' },
          onlyA: { probe: { ...probe, address: sites.b.inner.ipv4 } },
          onlyB: { probe: { ...probe, address: sites.a.inner.ipv4 } },
        });
        await blockReports(sites);
        const way = { from: sites.a, to: sites.b, bytes: 200_000 };
        for (const mtu of [1280, 1500]) {
          await narrow(sites, mtu);
          await waitFor(
            `the path MTU to be ${mtu}`,
            async () => {
              await sites.a.runToEnd(fullPing(sites.b.inner.ipv4, 'ipv4', 1452, 1, 0.3));
              // Packets of 1,280 bytes do not fit a path of 1280, and are fragmented.
              const { received, sent } = await transferTcp({ ...way, address: sites.b.inner.ipv6 });
              t.deepEqual(received, sent);
              return (await a.stats()).socket.pathMtu === mtu;
            },
            { timeoutMs: 30_000 },
          );
        }
        await waitFor('the history to have it', async () =>
          (await a.history()).some(({ kind }) => kind === 'path-mtu-changed'),
        );
        await closeAlone(t, a);
        await closeAlone(t, b);
      }),
    );
  },
);

/** Makes the router forward no longer packets to either site. */
async function narrow({ a, b, router }: Sites, mtu: number): Promise<void> {
  const ends = [
    [a, 'vethA'],
    [b, 'vethB'],
  ] as const;
  const routes = ends.flatMap(([site, device]) =>
    [`${site.outer.ipv4}/32`, `${site.outer.ipv6}/128`].map(
      (address) => `route replace ${address} dev ${device} mtu ${mtu}`,
    ),
  );
  await router?.ipBatch(...routes);
}

/** Makes the router keep quiet about what it drops. */
async function blockReports({ router }: Sites): Promise<void> {
  const rules = `table inet quiet {
    chain out {
      type filter hook output priority 0
      icmp type destination-unreachable drop
      icmpv6 type packet-too-big drop
    }
  }`;
  await router?.run(['nft', '-f', '-'], { input: rules });
}

/** The MTU that ping is told when it sends packets of `length` bytes that must not be fragmented. */
async function mtuFor(site: Site, address: string, inner: Family, length: number): Promise<number> {
  return waitFor('ping to be told the MTU', async () => {
    const { stdout, stderr } = await site.runToEnd(fullPing(address, inner, length, 3, 0.3));
    const told = /message too long, mtu[:=] ?(\d+)/.exec(stderr + stdout);
    return told === null ? undefined : Number(told[1]);
  });
}

/** Echo requests of `length` bytes that must not be fragmented inside the tunnel. */
function fullPing(address: string, inner: Family, length: number, count: number, waitS = 5): string[] {
  const size = length - IP_HEADER[inner] - ICMP_HEADER;
  const pace = ['-c', `${count}`, '-i', '0.05', '-W', `${waitS}`];
  return ['env', 'LC_ALL=C', 'ping', '-n', '-M', 'do', ...pace, '-s', `${size}`, address];
}
