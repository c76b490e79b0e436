import test from 'ava';
import { protocolCounters } from '../../testbed/counters.ts';
import type { Family, Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import { openPair } from '../../testbed/tunnel.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { waitFor } from '../../testbed/wait.ts';
import { closeAndAccount, nothingDropped } from './accounts.ts';
import { ALL_FAMILIES, inWords } from './matrix.ts';

/** Default of the test bed. */
const TUN_MTU = 1452;
const IP_HEADER = { ipv4: 20, ipv6: 40 } as const;
const FRAGMENT_HEADER = { ipv4: 0, ipv6: 8 } as const;
const ECHO_HEADER = 8;

/** How many packets an echo of `size` bytes takes, and of how many bytes together. */
function cost(family: Family, size: number): { packets: number; bytes: number } {
  const header = IP_HEADER[family];
  const payload = ECHO_HEADER + size;
  if (header + payload <= TUN_MTU) return { packets: 1, bytes: header + payload };
  const fragmentHeader = header + FRAGMENT_HEADER[family];
  // All fragments but the last carry a multiple of 8 bytes.
  const packets = Math.ceil(payload / (Math.floor((TUN_MTU - fragmentHeader) / 8) * 8));
  return { packets, bytes: payload + packets * fragmentHeader };
}

for (const families of ALL_FAMILIES) {
  test.serial(`pings of all sizes are answered in both directions: ${inWords(families)}`, async (t) => {
    const { outer, inner } = families;
    await using sites = await createSites();
    const [a, b] = await openPair(sites, { outer });
    const count = 20;
    const expected = { packets: 0, bytes: 0 };
    const sentBy = { a: 0, b: 0 };
    for (const size of [0, 56, 1400, 8000]) {
      const bothWays = await Promise.all([
        ping(sites.a, sites.b.inner[inner], { count, size }),
        ping(sites.b, sites.a.inner[inner], { count, size }),
      ]);
      // When a reply is slow, ping sends another request and does not wait for its reply: the counters show whether it came.
      const { packets, bytes } = cost(inner, size);
      for (const { sent, received } of bothWays) {
        t.true(received >= count, `${received} of ${sent} with ${size} bytes`);
        // Requests pass one way and answers the other.
        expected.packets += sent * packets;
        expected.bytes += sent * bytes;
      }
      sentBy.a += bothWays[0].sent;
      sentBy.b += bothWays[1].sent;
    }
    await answered(sites.a, inner, sentBy.a);
    await answered(sites.b, inner, sentBy.b);
    const accounts = await closeAndAccount(t, a, b);
    nothingDropped(t, accounts);
    for (const { encap, decap } of [accounts.a, accounts.b]) {
      t.deepEqual({ packets: encap.packets, bytes: encap.bytes }, expected);
      t.deepEqual({ packets: decap.packets, bytes: decap.bytes }, expected);
    }
  });

  test.serial(`a flood of 10,000 pings is answered without loss: ${inWords(families)}`, async (t) => {
    const { outer, inner } = families;
    await using sites = await createSites();
    const [a, b] = await openPair(sites, { outer });
    const count = 10_000;
    const { sent, received } = await ping(sites.a, sites.b.inner[inner], {
      count,
      flood: true,
      timeoutMs: 60_000,
    });
    t.true(received >= count, `${received} of ${sent}`);
    await answered(sites.a, inner, sent);
    const accounts = await closeAndAccount(t, a, b);
    nothingDropped(t, accounts);
    t.is(accounts.a.encap.packets, sent);
    t.is(accounts.b.encap.packets, sent);
  });
}

/** Resolves when the site's kernel has received exactly so many echo replies. */
async function answered(site: Site, family: Family, count: number): Promise<void> {
  const name = { ipv4: 'IcmpInEchoReps', ipv6: 'Icmp6InEchoReplies' }[family];
  await waitFor(`${count} answers`, async () => (await protocolCounters(site)).get(name) === count);
}
