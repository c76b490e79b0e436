/** What is left of a device that was made or set up, however the process ends. */
import test from 'ava';
import type { InterfaceOptions } from '../../src/index.ts';
import type { As, Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { RemoteTunnel } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { closeAlone } from '../traffic/accounts.ts';

/** Both ends of a tunnel over a device that is made, besides the one that is there already. */
const DEVICE = 'tun7';
const MADE: InterfaceOptions = { create: true, addresses: ['10.7.0.1/24'], routes: ['10.77.0.0/16'] };

function open(
  site: Site,
  peer: Site,
  device: string,
  wished: InterfaceOptions,
  as: As = {},
): Promise<RemoteTunnel> {
  return RemoteTunnel.open(
    site,
    { device, local: `${site.outer.ipv4}:9000`, remote: `${peer.outer.ipv4}:9000`, interface: wished },
    as,
  );
}

const exists = async (site: Site): Promise<boolean> => (await site.ip('link', 'show')).includes(DEVICE);

test.serial('the options alone turn two sites without devices into a tunnel', async (t) => {
  await using sites = await createSites();
  await using a = await open(sites.a, sites.b, DEVICE, { ...MADE, mtu: 'auto' });
  const other = { ...MADE, addresses: ['10.7.0.2/24'], routes: [], mtu: 'auto' } as const;
  await using b = await open(sites.b, sites.a, DEVICE, other);
  t.true((await ping(sites.a, '10.7.0.2', { count: 10, size: 1400 })).received >= 10);
  t.is((await a.stats()).device.mtu, 1472);
  t.is((await closeAlone(t, a)).encap.fragmented, 0);
  await closeAlone(t, b);
  t.false(await exists(sites.a));
  t.false(await exists(sites.b));
});

test.serial('a created device goes away with a process that is killed', async (t) => {
  await using sites = await createSites();
  await using a = await open(sites.a, sites.b, DEVICE, MADE);
  t.true(await exists(sites.a));
  await a.process.stop('SIGKILL');
  await waitFor('the device to be gone', async () => !(await exists(sites.a)));
  t.pass();
});

test.serial('a persistent device stays, and its owner needs no privileges to use it again', async (t) => {
  await using sites = await createSites();
  const persistent = { ...MADE, persist: true, owner: 'nobody' };
  const a = await open(sites.a, sites.b, DEVICE, persistent);
  await a.process.stop('SIGKILL');
  t.true(await exists(sites.a));
  await using again = await open(sites.a, sites.b, DEVICE, persistent, { user: 'nobody' });
  t.is((await again.stats()).state, 'waiting');
  await closeAlone(t, again);
  t.regex(await sites.a.ip('address', 'show', DEVICE), /10\.7\.0\.1\/24/);
  t.regex(await sites.a.ip('route', 'show', 'dev', DEVICE), /10\.77\.0\.0\/16/);
});

test.serial('an existing device is restored when the tunnel is closed', async (t) => {
  await using sites = await createSites();
  const { a: site } = sites;
  const state = async (): Promise<string> =>
    [
      await site.ip('-j', 'address', 'show', site.tun),
      await site.ip('route', 'show', 'dev', site.tun),
      await site.ip('-6', 'route', 'show', 'dev', site.tun),
    ].join('\n');
  const before = await state();
  const wished = { addresses: ['10.7.0.1/24', 'fd00:7::1/64'], routes: ['10.77.0.0/16'], mtu: 1300 };
  await using tunnel = await open(site, sites.b, site.tun, wished);
  t.is((await tunnel.stats()).device.mtu, 1300);
  t.regex(await state(), /10\.7\.0\.1.*fd00:7::1.*10\.77\.0\.0\/16/s);
  await closeAlone(t, tunnel);
  // The kernel notices a moment later that no program is attached.
  await waitFor('the device to be as before', async () => (await state()) === before);
  t.pass();
});

test.serial('a user that may not create a device gets an error with a hint', async (t) => {
  await using sites = await createSites();
  const refused = open(sites.a, sites.b, DEVICE, MADE, { user: 'nobody' });
  await t.throwsAsync(refused, { code: 'ERR_TTUN_PERMISSION', message: /may not create the device tun7/ });
  t.false(await exists(sites.a));
});

test.serial('an unknown owner or group is refused, and nothing is created', async (t) => {
  await using sites = await createSites();
  for (const [option, kind] of [
    ['owner', 'user'],
    ['group', 'group'],
  ] as const) {
    const refused = open(sites.a, sites.b, DEVICE, { ...MADE, [option]: 'no-such-name' });
    const message = new RegExp(`there is no ${kind} "no-such-name"`, 'u');
    await t.throwsAsync(refused, { code: 'ERR_TTUN_INVALID_OPTIONS', message });
  }
  t.false(await exists(sites.a));
});
