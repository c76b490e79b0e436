/** A configured local address, interface or zone that goes away and comes back. */
import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import { openPair, RemoteTunnel } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { FAMILIES, noticed, nodad, OTHER, PORT, traffic } from './changing.ts';

for (const family of FAMILIES) {
  test.serial(`a fixed local address is gone for a while (${family})`, async (t) => {
    await using sites = await createSites();
    const { a } = sites;
    const [atA] = await openPair(sites, { outer: family });
    await traffic(sites);
    const own = `${a.outer[family]}/${OTHER[family].prefix}`;
    await a.ip('address', 'delete', own, 'dev', a.veth);
    const lost = await noticed(atA, 'local-address-lost');
    t.is(lost.message, `this host no longer has the local address ${a.outer[family]}`);
    t.is(await atA.problem(), 'ERR_TTUN_ADDRESS_NOT_LOCAL');
    t.is(await atA.hint(), `the tunnel continues when it is back: ip addr add ${own} dev ${a.veth}`);
    await a.ip('address', 'add', own, 'dev', a.veth, ...nodad(family));
    await traffic(sites);
    await noticed(atA, 'local-address-back');
    t.is(await atA.problem(), null);
  });

  test.serial(`the interface of bindDevice is created again while nothing is sent (${family})`, async (t) => {
    await using sites = await createSites();
    const [atA] = await openPair(sites, { outer: family, onlyA: { bindDevice: sites.a.veth } });
    await traffic(sites);
    await sites.a.ip('link', 'delete', sites.a.veth);
    const lost = await noticed(atA, 'interface-lost');
    t.is(lost.message, `there is no interface ${sites.a.veth} to bind to`);
    t.is(await atA.problem(), 'ERR_TTUN_BIND_DEVICE_NOT_FOUND');
    await sites.joinAgain(1500);
    // Its address may be missing for a moment longer, which is a change of its own.
    await waitFor('no problem', async () => (await atA.problem()) === null);
    t.regex((await atA.history()).at(-1)?.kind ?? '', /-back$/);
    const { encap } = await atA.stats();
    await traffic(sites);
    const { drops } = (await atA.stats()).encap;
    t.deepEqual(drops, encap.drops, 'no packet was needed to find out');
  });
}

test.serial('the interface of a link-local peer is created again', async (t) => {
  await using sites = await createSites();
  const { a, b } = sites;
  const linkLocal = { a: 'fe80::a', b: 'fe80::b' };
  const add = async (): Promise<void> => {
    for (const [site, address] of [[a, linkLocal.a] as const, [b, linkLocal.b] as const]) {
      await site.ip('address', 'add', `${address}/64`, 'dev', site.veth, 'nodad');
    }
  };
  await add();
  const open = (local: string, remote: string, site = a): Promise<RemoteTunnel> =>
    RemoteTunnel.open(site, {
      device: site.tun,
      local: `[${local}%${site.veth}]:${PORT}`,
      remote: `[${remote}%${site.veth}]:${PORT}`,
    });
  await using atA = await open(linkLocal.a, linkLocal.b);
  await using atB = await open(linkLocal.b, linkLocal.a, b);
  await traffic(sites);
  await a.ip('link', 'delete', a.veth);
  await noticed(atA, 'interface-lost');
  await sites.joinAgain(1500);
  await add();
  await traffic(sites);
  for (const tunnel of [atA, atB]) {
    await waitFor('no problem', async () => (await tunnel.problem()) === null);
  }
  t.pass();
});
