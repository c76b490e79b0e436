import test from 'ava';
import type { EncapDropReason } from '../../src/index.ts';
import { whilePaused } from '../../testbed/paused.ts';
import { inject } from '../../testbed/probe.ts';
import type { Family, Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import { openPair } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { closeAndAccount, nothingDropped } from '../traffic/accounts.ts';
import { Conversation } from '../traffic/conversation.ts';

/** What is sent in vain, and what is sent again after. */
const LOST = 100;
const LATER = 30;

test.serial('the device goes down and comes up at the receiving end', async (t) => {
  await using sites = await createSites();
  const [a, b] = await openPair(sites);
  const conversation = new Conversation('ipv4', sites.a.inner);

  await sites.b.ip('link', 'set', sites.b.tun, 'down');
  // Together, so that some of them are merged, and one by one.
  await whilePaused(a.process, () => inject(sites.a, sites.a.tun, udp(conversation, LOST - 5)));
  for (const packet of udp(conversation, 5)) await inject(sites.a, sites.a.tun, [packet]);
  await waitFor('them to be dropped', async () => (await b.stats()).decap.dropped === LOST);
  await sites.b.ip('link', 'set', sites.b.tun, 'up');
  await inject(sites.a, sites.a.tun, udp(conversation, LATER));

  const accounts = await closeAndAccount(t, a, b, { sentAtA: LOST + LATER });
  t.is(accounts.a.encap.packets, LOST + LATER);
  t.is(accounts.b.decap.drops['device-down'], LOST);
  t.is(accounts.b.decap.packets, LATER);
});

test.serial('the device goes down and comes up at the sending end', async (t) => {
  await using sites = await createSites();
  const [a, b] = await openPair(sites);
  const conversation = new Conversation('ipv4', sites.a.inner);
  for (let time = 0; time < 5; time += 1) {
    await sites.a.ip('link', 'set', sites.a.tun, 'down');
    await t.throwsAsync(inject(sites.a, sites.a.tun, udp(conversation, 1)), { message: /down/ });
    await sites.a.ip('link', 'set', sites.a.tun, 'up');
    await inject(sites.a, sites.a.tun, udp(conversation, LATER));
    const expected = (time + 1) * LATER;
    await waitFor('packets to arrive again', async () => (await b.stats()).decap.packets === expected);
  }
  nothingDropped(t, await closeAndAccount(t, a, b));
});

const FIREWALL = [
  'add table inet forbidding',
  'add chain inet forbidding output { type filter hook output priority 0; }',
  'add rule inet forbidding output udp dport 9000 drop',
].join('; ');

const WAYS_LOST: readonly {
  readonly what: string;
  readonly family: Family;
  readonly break_: (site: Site, peer: string) => Promise<unknown>;
  readonly repair: (site: Site, peer: string) => Promise<unknown>;
  readonly error: string;
  readonly reason: EncapDropReason;
}[] = [
  {
    what: 'the route is removed',
    family: 'ipv4',
    break_: (site) => site.ip('route', 'delete', '10.0.1.0/24', 'dev', site.veth),
    repair: (site) => site.ip('route', 'add', '10.0.1.0/24', 'dev', site.veth, 'src', site.outer.ipv4),
    error: 'ENETUNREACH',
    reason: 'peer-unreachable',
  },
  {
    what: 'the route is removed',
    family: 'ipv6',
    break_: (site) => site.ip('route', 'delete', 'fd00:1::/64', 'dev', site.veth),
    repair: (site) => site.ip('route', 'add', 'fd00:1::/64', 'dev', site.veth),
    error: 'ENETUNREACH',
    reason: 'peer-unreachable',
  },
  {
    what: 'the peer is made unreachable',
    family: 'ipv4',
    break_: (site, peer) => site.ip('route', 'add', 'unreachable', peer),
    repair: (site, peer) => site.ip('route', 'delete', 'unreachable', peer),
    error: 'EHOSTUNREACH',
    reason: 'peer-unreachable',
  },
  {
    what: 'the peer is prohibited',
    family: 'ipv6',
    break_: (site, peer) => site.ip('route', 'add', 'prohibit', peer),
    repair: (site, peer) => site.ip('route', 'delete', 'prohibit', peer),
    error: 'EACCES',
    reason: 'peer-unreachable',
  },
  {
    what: 'a firewall forbids it',
    family: 'ipv4',
    break_: (site) => site.run(['nft', FIREWALL]),
    repair: (site) => site.run(['nft', 'delete', 'table', 'inet', 'forbidding']),
    error: 'EPERM',
    reason: 'send-error',
  },
];

for (const { what, family, break_, repair, error, reason } of WAYS_LOST) {
  test.serial(`${what} for a while (${family})`, async (t) => {
    await using sites = await createSites();
    const [a, b] = await openPair(sites, { outer: family });
    const conversation = new Conversation('ipv6', sites.a.inner);
    // What is tried before also has the socket remember the route that then goes.
    await inject(sites.a, sites.a.tun, udp(conversation, LATER));
    await waitFor('them to arrive', async () => (await b.stats()).decap.packets === LATER);

    const peer = sites.b.outer[family];
    await break_(sites.a, peer);
    await whilePaused(a.process, () => inject(sites.a, sites.a.tun, udp(conversation, LOST)));
    await waitFor('them to be dropped', async () => (await a.stats()).encap.dropped === LOST);
    await repair(sites.a, peer);
    await inject(sites.a, sites.a.tun, udp(conversation, LATER));

    const accounts = await closeAndAccount(t, a, b, { sentAtA: LOST + 2 * LATER });
    t.is(accounts.a.encap.drops[reason], LOST);
    t.is(accounts.b.decap.packets, 2 * LATER);
    t.deepEqual(Object.keys(accounts.a.socket.errors), [error]);
  });
}

/** The largest UDP payloads (RFC 768 with RFC 791, RFC 8200). */
const LARGEST = { ipv4: 65_507, ipv6: 65_527 } as const;

for (const outer of ['ipv4', 'ipv6'] as const) {
  test.serial(`packets larger than any datagram are counted as too big (${outer})`, async (t) => {
    await using sites = await createSites({ tunMtu: 65_535 });
    const [a, b] = await openPair(sites, { outer });
    const conversation = new Conversation('ipv4', sites.a.inner);
    const ofLength = (length: number): Buffer => conversation.udp({}, Buffer.alloc(length - 28, 0x11));
    const tooBig = [ofLength(LARGEST[outer] + 1), ofLength(65_535)];
    const fitting = [ofLength(LARGEST[outer]), ofLength(9000), conversation.udp()];
    await inject(sites.a, sites.a.tun, [...tooBig, ...fitting]);

    const accounts = await closeAndAccount(t, a, b, { sentAtA: tooBig.length + fitting.length });
    t.is(accounts.a.encap.received, tooBig.length + fitting.length);
    t.is(accounts.a.encap.drops['too-big'], tooBig.length);
    t.is(accounts.a.encap.fragmented, 2);
    t.is(accounts.b.decap.packets, fitting.length);
    t.is(accounts.b.decap.bytes, LARGEST[outer] + 9000 + conversation.udp().length);
  });
}

function udp(conversation: Conversation, count: number): Buffer[] {
  return Array.from({ length: count }, () => conversation.udp());
}
