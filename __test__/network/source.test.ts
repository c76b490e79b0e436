/** The source address of a tunnel follows what the kernel would choose now. */
import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { socketAddress } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import {
  FAMILIES,
  noticed,
  nodad,
  openFixed,
  openFree,
  OTHER,
  PORT,
  sendsFrom,
  traffic,
} from './changing.ts';

for (const family of FAMILIES) {
  const { address, prefix, network, far, hostPrefix } = OTHER[family];
  const flag = family === 'ipv4' ? '-4' : '-6';

  test.serial(`the address is replaced (${family})`, async (t) => {
    await using sites = await createSites();
    const { a, b } = sites;
    const old = a.outer[family];
    await using atA = await openFree(a, family, b.outer[family]);
    await using atB = await openFixed(b, b.outer[family], old);
    await traffic(sites);
    await a.ipBatch(
      `address delete ${old}/${prefix} dev ${a.veth}`,
      `address add ${address}/${prefix} dev ${a.veth} ${nodad(family).join(' ')}`,
    );
    const change = await noticed(atA, 'source-changed');
    t.is(change.local, socketAddress(address, PORT));
    t.is(change.previous, socketAddress(old, PORT));
    t.is(change.level, 'notice');
    await atB.setRemote(socketAddress(address, PORT));
    await traffic(sites);
    t.is(await atA.problem(), null);

    // And back: the other end needs nothing but its old remote.
    await a.ipBatch(
      `address delete ${address}/${prefix} dev ${a.veth}`,
      `address add ${old}/${prefix} dev ${a.veth} ${nodad(family).join(' ')}`,
    );
    await sendsFrom(atA, old);
    await atB.setRemote(socketAddress(old, PORT));
    await traffic(sites);
  });

  test.serial(`the address is gone for a while (${family})`, async (t) => {
    await using sites = await createSites();
    const { a, b } = sites;
    const own = a.outer[family];
    await using atA = await openFree(a, family, b.outer[family]);
    await using atB = await openFixed(b, b.outer[family], own);
    await traffic(sites);
    await a.ip('address', 'delete', `${own}/${prefix}`, 'dev', a.veth);
    const lost = await noticed(atA, 'route-lost');
    t.is(lost.level, 'warning');
    t.is(await atA.problem(), 'ERR_TTUN_NO_ROUTE');
    await a.ip('address', 'add', `${own}/${prefix}`, 'dev', a.veth, ...nodad(family));
    await noticed(atA, 'route-back');
    await waitFor('no problem', async () => (await atA.problem()) === null);
    await traffic(sites);
    t.is(await atB.problem(), null);
    t.is((await atA.stats()).socket.reconnects, 0, 'the source is the same');
  });

  test.serial(`routes that discard packets are named, whatever their type (${family})`, async (t) => {
    await using sites = await createSites();
    const { a, b } = sites;
    const peer = b.outer[family];
    await using atA = await openFree(a, family, peer);
    const said: string[] = [];
    for (const type of ['unreachable', 'prohibit', 'blackhole']) {
      await a.ip('route', 'add', type, peer);
      await waitFor(`the ${type} route`, async () => (await atA.problem()) === 'ERR_TTUN_NO_ROUTE');
      await a.ip('route', 'delete', type, peer);
      await waitFor('no problem', async () => (await atA.problem()) === null);
    }
    for (const { kind, message } of await atA.history()) if (kind === 'route-lost') said.push(message);
    t.deepEqual(said, [
      `there is no route to ${peer}`,
      `a prohibit route of this host leads to ${peer}`,
      `a blackhole route of this host leads to ${peer}`,
    ]);
  });

  test.serial(`the route moves to another uplink, and back (${family})`, async (t) => {
    await using sites = await createSites();
    const { a, b } = sites;
    await addUplink(sites);
    await b.ip('address', 'add', `${far}/${hostPrefix}`, 'dev', 'lo');
    await a.ip('route', 'add', far, 'via', b.outer[family], 'dev', a.veth);
    await using atA = await openFree(a, family, far);
    await using atB = await openFixed(b, far, a.outer[family]);
    await traffic(sites);
    await a.ip('route', 'replace', far, 'via', UPLINK[family].b, 'dev', UPLINK.device);
    await sendsFrom(atA, UPLINK[family].a);
    await atB.setRemote(socketAddress(UPLINK[family].a, PORT));
    await traffic(sites);
    await a.ip('link', 'set', UPLINK.device, 'down');
    await a.ip('route', 'add', far, 'via', b.outer[family], 'dev', a.veth);
    await sendsFrom(atA, a.outer[family]);
    await atB.setRemote(socketAddress(a.outer[family], PORT));
    await traffic(sites);
    const kinds = (await atA.history()).map(({ kind }) => kind);
    t.is(kinds.filter((kind) => kind === 'source-changed').length, 2);
  });

  test.serial(`a rule directs the tunnel to another routing table (${family})`, async (t) => {
    await using sites = await createSites();
    const { a, b } = sites;
    await a.ip('address', 'add', `${address}/${prefix}`, 'dev', a.veth, ...nodad(family));
    await a.ip('route', 'add', network, 'dev', a.veth, 'src', address, 'table', '100');
    // The kernel adds a route of its own, which stays in IPv6.
    const metric = family === 'ipv4' ? [] : ['metric', '1'];
    await a.ip(flag, 'route', 'replace', network, 'dev', a.veth, 'src', a.outer[family], ...metric);
    await using atA = await openFree(a, family, b.outer[family]);
    await sendsFrom(atA, a.outer[family]);
    await a.ip(flag, 'rule', 'add', 'priority', '100', 'to', b.outer[family], 'lookup', '100');
    await sendsFrom(atA, address);
    await a.ip(flag, 'rule', 'delete', 'priority', '100');
    await sendsFrom(atA, a.outer[family]);
    t.is((await atA.stats()).socket.reconnects, 2);
  });

  test.serial(`another address that is no better changes nothing (${family})`, async (t) => {
    await using sites = await createSites();
    const { a, b } = sites;
    await a.sysctl({ 'net.ipv4.conf.all.promote_secondaries': 1 });
    await using atA = await openFree(a, family, b.outer[family]);
    await using atB = await openFixed(b, b.outer[family], a.outer[family]);
    await a.ip('address', 'add', `${address}/${prefix}`, 'dev', a.veth, ...nodad(family));
    const other = family === 'ipv4' ? '172.16.0.1/16' : 'fd00:8::1/64';
    await a.ip('address', 'add', other, 'dev', a.veth, ...nodad(family));
    // Later changes show that these were noticed.
    await a.ip('route', 'add', 'unreachable', b.outer[family]);
    await noticed(atA, 'route-lost');
    await a.ip('route', 'delete', 'unreachable', b.outer[family]);
    await noticed(atA, 'route-back');
    const { socket } = await atA.stats();
    t.is(socket.local, socketAddress(a.outer[family], PORT));
    t.is(socket.reconnects, 0);
    await traffic(sites);
    t.is(await atB.problem(), null);
    await a.ip('address', 'delete', `${a.outer[family]}/${prefix}`, 'dev', a.veth);
    t.not((await noticed(atA, 'source-changed')).local, socket.local, 'now it is needed');
  });

  test.serial(
    `a tunnel that starts before its address is there uses it when it arrives (${family})`,
    async (t) => {
      await using sites = await createSites();
      const { a, b } = sites;
      // The route is there first, as with router advertisements, and the kernel uses another address for the time being.
      await a.ip('address', 'delete', `${a.outer[family]}/${prefix}`, 'dev', a.veth);
      await a.ip('address', 'delete', `${a.inner[family]}/${prefix}`, 'dev', a.tun);
      await a.ip(flag, 'route', 'add', network, 'dev', a.veth);
      await using atA = await openFree(a, family, b.outer[family]);
      await waitFor('the problem', async () => (await atA.problem()) === 'ERR_TTUN_ADDRESS_NOT_LOCAL');
      await using atB = await openFixed(b, b.outer[family], a.outer[family]);
      await a.ip('address', 'add', `${a.inner.ipv4}/24`, 'dev', a.tun).catch(() => {});
      // In IPv6 it cannot be used until duplicate address detection has finished.
      const dad = { accept_dad: 1, dad_transmits: 1 };
      const settings = Object.entries(dad).map(([name, on]) => [`net.ipv6.conf.${a.veth}.${name}`, on]);
      await a.sysctl(Object.fromEntries(settings));
      await a.ip('address', 'add', `${a.outer[family]}/${prefix}`, 'dev', a.veth);
      await sendsFrom(atA, a.outer[family]);
      await traffic(sites);
      t.is(await atB.problem(), null);
      t.is(await atA.problem(), null);
    },
  );
}

test.serial('the preferred address is deprecated (ipv6)', async (t) => {
  await using sites = await createSites();
  const { a, b } = sites;
  const { address } = OTHER.ipv6;
  await using atA = await openFree(a, 'ipv6', b.outer.ipv6);
  await sendsFrom(atA, a.outer.ipv6);
  await a.ip('address', 'add', `${address}/64`, 'dev', a.veth, 'nodad');
  await a.ip('address', 'change', `${a.outer.ipv6}/64`, 'dev', a.veth, 'preferred_lft', '0');
  await sendsFrom(atA, address);
  t.is((await noticed(atA, 'source-changed')).previous, socketAddress(a.outer.ipv6, PORT));
});

/** A second link between the sites. */
const UPLINK = {
  device: 'veth2',
  ipv4: { a: '10.0.5.1', b: '10.0.5.2' },
  ipv6: { a: 'fd00:5::1', b: 'fd00:5::2' },
} as const;

async function addUplink({ a, b }: Sites): Promise<void> {
  const { device, ipv4, ipv6 } = UPLINK;
  await a.ip('link', 'add', device, 'type', 'veth', 'peer', device, 'netns', b.namespace);
  for (const [site, end] of [[a, 'a'] as const, [b, 'b'] as const]) {
    await site.ipBatch(
      `address add ${ipv4[end]}/24 dev ${device}`,
      `address add ${ipv6[end]}/64 dev ${device} nodad`,
      `link set ${device} up`,
    );
  }
  for (const site of [a, b]) {
    await waitFor('the link', async () => (await site.ip('link', 'show', device)).includes('LOWER_UP'));
  }
}
