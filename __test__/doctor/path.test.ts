/** Faults of the path to the peer, each fixed by the commands that the doctor prints. */
import test from 'ava';
import { addTun } from '../../testbed/additional-tun.ts';
import { socketAddress } from '../../testbed/tunnel.ts';
import { assertAdvised, assertFixed, find, USER } from './patient.ts';
import { scene } from './scene.ts';

test.serial('a peer without a route is reported', async (t) => {
  await using at = await scene();
  await at.sites.a.ip('route', 'del', 'default');
  await assertAdvised(t, at.patient, 'peer-unreachable', await at.file(), /ip route get 10\.0\.3\.1/);
});

test.serial('a name that does not resolve is reported, with a command to examine it', async (t) => {
  await using at = await scene();
  await at.patient.pretend('/etc/nsswitch.conf', 'hosts: files\n');
  const args = await at.file({ remote: 'nowhere.invalid:9000' });
  await assertAdvised(t, at.patient, 'peer-unresolved', args, /getent ahosts nowhere\.invalid/);
});

for (const family of ['ipv4', 'ipv6'] as const) {
  test.serial(`a peer that is routed into the tunnel gets a route around it, over ${family}`, async (t) => {
    await using at = await scene();
    const [local, remote] = [at.sites.a.outer[family], at.sites.b.outer[family]].map((address) =>
      family === 'ipv4' ? `${address}:9000` : `[${address}]:9000`,
    );
    const halves = family === 'ipv4' ? ['0.0.0.0/1', '128.0.0.0/1'] : ['::/1', '8000::/1'];
    for (const half of halves) await at.sites.a.ip('route', 'add', half, 'dev', 'tun0');
    const args = await at.file({ local: local ?? '', remote: remote ?? '' });
    const { commands } = await assertFixed(t, at.patient, 'peer-through-tunnel', args);
    const router = family === 'ipv4' ? '10.0.3.1/32 via 10.0.1.254' : 'fd00:3::1/128 via fd00:1::254';
    t.deepEqual(commands, [`ip route replace ${router} dev veth0`]);
    await at.patient.sh(`ping -c 1 -W 5 ${at.sites.b.outer[family]}`);
  });
}

test.serial('a neighbour that is routed into the tunnel is reached directly again', async (t) => {
  await using at = await scene();
  await at.sites.a.ip('route', 'add', '10.0.1.254/32', 'dev', 'tun0');
  const args = await at.file({ remote: '10.0.1.254:9000' });
  const found = find(await at.patient.examine(args), 'peer-through-tunnel');
  t.deepEqual(found?.commands, ['ip route replace 10.0.1.254/32 dev veth0']);
  await assertFixed(t, at.patient, 'peer-through-tunnel', args);
});

for (const family of ['ipv4', 'ipv6'] as const) {
  test.serial(
    `for tunnels that are routed into each other, routes around them are suggested, over ${family}`,
    async (t) => {
      await using at = await scene();
      const { a } = at.sites;
      const peers =
        family === 'ipv4' ? ['10.9.0.1', '10.9.0.2', '10.9.0.3'] : ['fd00:9::1', 'fd00:9::2', 'fd00:9::3'];
      for (const number of [1, 2]) {
        await addTun(a, `tun${number}`, 1400, { ipv4: `10.0.1${number}.1`, ipv6: `fd00:1${number}::1` });
      }
      const tunnels = peers.map((peer, index) => {
        const remote = socketAddress(peer, 9000 + index);
        return `[tunnels.t${index}]\ndevice = "tun${index}"\nlocal = ":${9000 + index}"\nremote = "${remote}"\n`;
      });
      const args = ['-c', await at.patient.configure(tunnels.join(''))];
      t.is(find(await at.patient.examine(args), 'peer-through-tunnel'), undefined);
      for (const [index, peer] of peers.entries())
        await a.ip('route', 'add', peer, 'dev', `tun${(index + 1) % 3}`);
      const { what } = await assertFixed(t, at.patient, 'peer-through-tunnel', args);
      t.is(
        what,
        `the route to the peer, ${peers[0]}, leads into tun1, then into tun2, and from there back into tun0`,
      );
    },
  );
}

test.serial(
  'with bindDevice the route into the tunnel is not a loop, but a strict reverse path filter is a fault',
  async (t) => {
    await using at = await scene();
    for (const half of ['0.0.0.0/1', '128.0.0.0/1']) await at.sites.a.ip('route', 'add', half, 'dev', 'tun0');
    const args = await at.file({ bindDevice: 'veth0' });
    t.is(find(await at.patient.examine(args), 'peer-through-tunnel'), undefined);
    t.is(find(await at.patient.examine(args), 'rp-filter'), undefined);

    await at.sites.a.sysctl({ 'net.ipv4.conf.veth0.rp_filter': 1 });
    const { commands } = await assertFixed(t, at.patient, 'rp-filter', args);
    t.deepEqual(commands, ['sysctl -w net.ipv4.conf.veth0.rp_filter=2']);
  },
);

test.serial('the route is looked up with the mark of the tunnel', async (t) => {
  await using at = await scene();
  await at.sites.a.ipBatch(
    'route add 0.0.0.0/1 dev tun0',
    'route add default via 10.0.1.254 table 77',
    'rule add fwmark 0x77 table 77',
  );
  t.truthy(find(await at.patient.examine(await at.file()), 'peer-through-tunnel'));
  const marked = await at.file({ fwmark: '119' });
  t.is(find(await at.patient.examine(marked), 'peer-through-tunnel'), undefined);
  t.truthy(find(await at.patient.examine(marked, { user: USER }), 'interface-forbidden'));
});

test.serial('a missing interface in bindDevice is reported', async (t) => {
  await using at = await scene();
  const args = await at.file({ bindDevice: 'eth7' });
  await assertAdvised(t, at.patient, 'bind-device-missing', args, /ip -brief link/);
});

test.serial('a peer on this host is noted', async (t) => {
  await using at = await scene();
  const examination = await at.patient.examine(await at.file({ remote: '10.0.1.1:9001' }));
  t.is(find(examination, 'peer-is-here')?.severity, 'note');
});

test.serial('an MTU that does not fit the path is lowered', async (t) => {
  await using at = await scene();
  await at.sites.a.ip('link', 'set', 'tun0', 'mtu', '1500');
  const { commands } = await assertFixed(t, at.patient, 'mtu-too-large', await at.file());
  t.deepEqual(commands, ['ip link set dev tun0 mtu 1472']);
});

test.serial('the MTU follows the route, but is not made too small for IPv6', async (t) => {
  await using at = await scene();
  await at.sites.a.ip('route', 'replace', 'default', 'via', '10.0.1.254', 'mtu', '1300');
  const { commands } = await assertFixed(t, at.patient, 'mtu-too-large', await at.file());
  t.deepEqual(commands, ['ip link set dev tun0 mtu 1280']);
});

test.serial('a configured MTU is to be changed in the file', async (t) => {
  await using at = await scene();
  const args = await at.file({}, '[tunnels.office.interface]\nmtu = 1500');
  await assertAdvised(t, at.patient, 'mtu-too-large', args, /mtu = "auto" or mtu = 1472/);
});
