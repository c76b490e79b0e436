/** Devices whose settings, names and MTUs change under `ttun up`. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import type { BackgroundProcess } from '../../testbed/exec.ts';
import type { Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { BIN } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import type { Examination } from '../doctor/patient.ts';
import { eventsOf, UpFolder } from '../up/up.ts';
import type { Table } from '../up/up.ts';

let sites: Sites;
test.before(async () => {
  sites = await createSites();
});
test.after.always(() => sites[Symbol.asyncDispose]());

const ADDRESSES = { a: ['10.7.0.1/24', 'fd07::1/64'], b: ['10.7.0.2/24', 'fd07::2/64'] } as const;
const ROUTES = ['10.77.0.0/16', 'fd77::/48'];
/** Of the other site, reached by its addresses and by the routes. */
const BEHIND = ['10.77.0.1', 'fd77::1'];

/** A tunnel that creates and sets up its device; over the family that its underlay keeps. */
function made(
  from: Site,
  to: Site,
  family: 'ipv4' | 'ipv6',
  addresses: readonly string[],
  more: Table,
): Table {
  const end = ({ outer }: Site): string =>
    family === 'ipv4' ? `${outer.ipv4}:9700` : `[${outer.ipv6}]:9700`;
  return {
    device: 'tun7',
    local: end(from),
    remote: end(to),
    interface: { create: true, addresses, routes: from === sites.a ? ROUTES : [], mtu: 'auto', ...more },
  };
}

async function withTunnel(
  family: 'ipv4' | 'ipv6',
  more: Table,
  body: (up: BackgroundProcess, folder: UpFolder) => Promise<void>,
): Promise<void> {
  const { a, b } = sites;
  await using folder = await UpFolder.create({ tunnels: { office: made(a, b, family, ADDRESSES.a, more) } });
  await using other = await UpFolder.create({ tunnels: { home: made(b, a, family, ADDRESSES.b, {}) } });
  await using upAtB = other.up(b);
  await using up = folder.up(a, ['--json']);
  await Promise.all([up.waitForLine('attached to tun7'), upAtB.waitForLine('attached to tun7')]);
  await b.ipBatch(
    ...BEHIND.map((address) => `address add ${address} dev tun7 ${address.includes(':') ? 'nodad' : ''}`),
  );
  await body(up, folder);
}

async function settingsOf(device: string): Promise<string> {
  const { a } = sites;
  const parts = [
    await a.ip('-brief', 'address', 'show', 'dev', device),
    await a.ip('route', 'show', 'dev', device),
    await a.ip('-6', 'route', 'show', 'dev', device),
    /mtu \d+/.exec(await a.ip('link', 'show', 'dev', device))?.[0] ?? '',
  ];
  return parts.join('\n');
}

async function awaitTraffic(t: ExecutionContext): Promise<void> {
  for (const address of ['10.7.0.2', 'fd07::2', ...BEHIND]) {
    await waitFor(`an answer of ${address}`, async () => {
      const { received } = await ping(sites.a, address, { count: 1 }).catch(() => ({ received: 0 }));
      return received > 0;
    });
    t.pass();
  }
}

async function doctor(...args: string[]): Promise<Examination> {
  const { stdout } = await sites.a.runToEnd([process.execPath, BIN, 'doctor', '--json', ...args]);
  return JSON.parse(stdout);
}

const LOSSES: readonly (readonly [what: string, lines: readonly string[]])[] = [
  ['goes down and up', ['link set tun7 down', 'link set tun7 up']],
  ['loses its addresses', ['address flush dev tun7']],
  ['loses its routes', ['route flush dev tun7', '-6 route flush dev tun7']],
  ['gets an MTU too small for IPv6', ['link set tun7 mtu 900']],
];

for (const family of ['ipv4', 'ipv6'] as const) {
  test.serial(`lost settings of a device are restored, and traffic flows (${family})`, async (t) => {
    await withTunnel(family, {}, async (up) => {
      await awaitTraffic(t);
      for (const [what, lines] of LOSSES) {
        for (const line of lines) await sites.a.ip(...line.split(' '));
        await awaitTraffic(t);
        const mtu = family === 'ipv4' ? 1472 : 1452;
        await waitFor(`all to be there again after it ${what}`, async () => {
          const settings = await settingsOf('tun7');
          return [...ADDRESSES.a, ...ROUTES, `mtu ${mtu}`].every((setting) => settings.includes(setting));
        });
      }
      const changes = eventsOf(up).filter(
        ({ event, kind }) => event === 'change' && kind === 'device-restored',
      );
      t.true(changes.length >= LOSSES.length, `${changes.length}`);
      t.like(changes[0], { tunnel: 'office', level: 'notice', device: 'tun7' });
    });
  });
}

test.serial('with restore = false, the doctor lists lost settings, and a reload restores them', async (t) => {
  await withTunnel('ipv4', { restore: false }, async (_up, folder) => {
    // From a peer that answers, the doctor need not wait for datagrams.
    await awaitTraffic(t);
    await sites.a.ip('link', 'set', 'tun7', 'down');
    const down = await doctor('tun7');
    t.true(down.findings.some(({ code }) => code === 'device-down'));
    await sites.a.ip('link', 'set', 'tun7', 'up');

    const lost = (await doctor('tun7')).findings.find(({ code }) => code === 'settings-lost');
    t.is(
      lost?.what,
      'tun7 has lost the address fd07::1/64, the route to 10.77.0.0/16 and the route to fd77::/48',
    );
    t.deepEqual(lost?.commands, [
      'ip address add fd07::1/64 dev tun7 nodad',
      'ip route add 10.77.0.0/16 dev tun7 proto static',
      'ip route add fd77::/48 dev tun7 proto static',
    ]);
    const { stderr } = await folder.reload(sites.a);
    t.regex(
      stderr,
      /1 unchanged; restored for office: address fd07::1\/64, route 10\.77\.0\.0\/16, route fd77::\/48\n/,
    );
    await awaitTraffic(t);
    t.regex((await folder.reload(sites.a)).stderr, /reloaded: 1 unchanged\n/);
    const { stdout } = await folder.reload(sites.a, '--json');
    t.deepEqual(JSON.parse(stdout), {
      added: [],
      changed: [],
      removed: [],
      unchanged: ['office'],
      restored: {},
    });
  });
});

test.serial('a renamed device is known by its new name, even if another has the old one', async (t) => {
  await withTunnel('ipv4', {}, async (up, folder) => {
    await sites.a.ipBatch('link set tun7 down', 'link set tun7 name office0', 'link set office0 up');
    await up.waitForLine('office: the device tun7 was renamed to office0');
    await awaitTraffic(t);
    const renamed = await doctor('tun7');
    t.true(renamed.findings.some(({ subject }) => subject === 'office (office0)'));
    t.is(renamed.problems, 0);
    t.true(
      (await doctor('-c', folder.config)).findings.some(({ subject }) => subject === 'office (office0)'),
    );

    await sites.a.ip('tuntap', 'add', 'dev', 'tun7', 'mode', 'tun');
    const { stdout } = await sites.a.run([process.execPath, BIN, 'show', '--json']);
    t.regex(stdout, /"device":\s*"office0"/);
    for (const name of ['office', 'office0']) {
      const shown = await sites.a.run([process.execPath, BIN, 'show', name]);
      t.regex(shown.stdout, /^tunnel: office\n/);
    }
    const { findings } = await doctor();
    t.false(findings.some(({ commands }) => commands.some((command) => command.startsWith('kill'))));
    t.is((await folder.reload(sites.a)).status, 0);
    await awaitTraffic(t);

    // The tunnel creates the device again under its configured name once that is free.
    await sites.a.ip('link', 'delete', 'tun7');
    await sites.a.ip('link', 'delete', 'office0');
    await up.waitForLine('office: the device office0 was deleted');
    await up.waitForLine('office: attached to tun7 again');
    await awaitTraffic(t);
  });
});

for (const family of ['ipv4', 'ipv6'] as const) {
  test.serial(`an automatic MTU follows the path MTU that a router reports (${family})`, async (t) => {
    await using routed = await createSites({ router: true });
    const { a, b, router } = routed;
    const addresses = family === 'ipv4' ? ['10.7.0.1/24'] : ['10.7.0.1/24', 'fd07::1/64'];
    await using folder = await UpFolder.create({
      tunnels: { office: made(a, b, family, addresses, { routes: [] }) },
    });
    await using up = folder.up(a);
    const overhead = family === 'ipv4' ? 28 : 48;
    await up.waitForLine(`attached to tun7 (mtu ${1500 - overhead},`);
    await router?.ip('link', 'set', 'vethB', 'mtu', '1400');
    await waitFor('the MTU of the route', async () => {
      await ping(a, '10.7.0.2', { count: 1, size: 1440 - 28, timeoutMs: 500 }).catch(() => null);
      return (await a.ip('link', 'show', 'tun7')).includes(`mtu ${1400 - overhead} `);
    });
    await up.waitForLine(
      `office: the MTU of tun7 is now ${1400 - overhead}, because the route to the peer changed`,
    );
    t.pass();
  });
}
