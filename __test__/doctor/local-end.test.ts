/** Faults of the local end and of what passes through the tunnel, each fixed by the commands that the doctor prints. */
import test from 'ava';
import { assertAdvised, assertFixed, find, USER } from './patient.ts';
import { scene } from './scene.ts';

test.serial('a tunnel that will work passes all checks', async (t) => {
  await using at = await scene();
  const { stdout, status } = await at.patient.doctor(await at.file());
  t.is(status, 0);
  for (const line of [
    'office (tun0)',
    'UDP port 9000 of 10.0.1.1 is free',
    '10.0.3.1 is reached through veth0, via 10.0.1.254',
    'packets of 1452 bytes, the MTU of tun0, fit the path to the peer',
    'no problems found',
  ]) {
    t.true(stdout.includes(line), `${line} in ${stdout}`);
  }
});

test.serial(
  'a missing local address is added to the interface in whose network it is, or that leads to the peer',
  async (t) => {
    await using at = await scene();
    for (const local of ['10.0.1.77', '203.0.113.7']) {
      const args = await at.file({ local: `${local}:9000` });
      const { commands } = await assertFixed(t, at.patient, 'local-not-here', args);
      t.deepEqual(commands, [`ip address add ${local}/32 dev veth0`]);
    }
  },
);

test.serial('the program that uses the port is named, and the printed command ends it', async (t) => {
  await using at = await scene();
  await using other = at.sites.a.start(['socat', '-u', 'UDP4-RECV:9000,bind=10.0.1.1', 'STDOUT']);
  await at.patient.sh("until ss -uln 'sport = :9000' | grep -q 9000; do :; done");
  const { what } = await assertFixed(t, at.patient, 'port-taken', await at.file());
  t.is(what, `socat (process ${other.pid}) uses UDP port 9000 of 10.0.1.1`);
});

test.serial('an ordinary user sees how root finds the program that uses the port', async (t) => {
  await using at = await scene();
  await using other = at.sites.a.start(['socat', '-u', 'UDP6-RECV:9000,bind=[fd00:1::1]', 'STDOUT']);
  await at.patient.sh("until ss -uln 'sport = :9000' | grep -q 9000; do :; done");
  const ends = { local: '[fd00:1::1]:9000', remote: '[fd00:3::1]:9000' };
  await assertAdvised(t, at.patient, 'port-taken', await at.file(ends), /ss -ulnp/, { user: USER });
  t.true(other.running);
});

test.serial('a port reserved for root is opened to ordinary users', async (t) => {
  await using at = await scene();
  const args = await at.file({ local: '10.0.1.1:80' });
  t.is(find(await at.patient.examine(args), 'port-forbidden'), undefined);
  await assertFixed(t, at.patient, 'port-forbidden', args, { user: USER });
});

test.serial('a firewall that drops by default gets a rule for the peer', async (t) => {
  await using at = await scene();
  await at.patient.sh(`
    nft add table inet filter
    nft 'add chain inet filter input { type filter hook input priority 0; policy drop; }'
    nft add rule inet filter input ct state established,related accept
    nft add rule inet filter input udp dport '{ 53, 8000-8999 }' accept`);
  const probing = (interval: string): Promise<string[]> =>
    at.file({}, `[tunnels.office.probe]\naddress = "10.0.2.2"\ninterval = "${interval}"`);
  const open = await at.patient.examine(await probing('10s'));
  t.is(find(open, 'firewall-input'), undefined);
  t.true(open.findings.some(({ what }) => what.endsWith('port 9000, but the probe keeps it open')));
  const rarely = find(await at.patient.examine(await probing('10m')), 'firewall-input');
  t.regex(rarely?.advice ?? '', /shorten the interval of the probe from 10 min to less than \d+ s/);
  const { severity, advice } = await assertFixed(t, at.patient, 'firewall-input', await at.file());
  t.is(severity, 'note');
  t.regex(advice ?? '', /or set a probe, which keeps it open/);
  const inRange = await at.file({ local: '10.0.1.1:8500' });
  t.is(find(await at.patient.examine(inRange), 'firewall-input'), undefined);
});

test.serial('a final rule that drops is found like a policy, in either direction', async (t) => {
  await using at = await scene();
  await at.patient.sh(`
    nft add table inet filter
    nft 'add chain inet filter input { type filter hook input priority 0; policy accept; }'
    nft add rule inet filter input iifname lo accept
    nft add rule inet filter input icmp type echo-request accept
    nft add rule inet filter input counter drop
    nft 'add chain inet filter output { type filter hook output priority 0; policy accept; }'
    nft add rule inet filter output udp dport != 53 reject`);
  for (const ends of [{}, { local: '[fd00:1::1]:9000', remote: '[fd00:3::1]:9000' }]) {
    const args = await at.file(ends);
    const { severity } = await assertFixed(t, at.patient, 'firewall-drops', args);
    t.is(severity, 'problem');
    await assertFixed(t, at.patient, 'firewall-output', args);
    t.is(find(await at.patient.examine(args), 'firewall-input'), undefined);
  }
});

test.serial('link-local addresses are accepted, with the zone as a name or as a number', async (t) => {
  await using at = await scene();
  const { a, b } = at.sites;
  await a.ip('address', 'add', 'fe80::a/64', 'dev', a.veth, 'nodad');
  const [link] = JSON.parse(await a.ip('-json', 'link', 'show', a.veth));
  for (const zone of [a.veth, String(link.ifindex)]) {
    const ends = { local: `[fe80::a%${zone}]:9000`, remote: `[fe80::b%${zone}]:9000` };
    const { findings, problems } = await at.patient.examine(await at.file(ends));
    t.is(problems, 0, JSON.stringify(findings));
    t.true(findings.some(({ what }) => what === `UDP port 9000 of fe80::a%${zone} is free`));
  }
  const missing = { local: `[fe80::c%${a.veth}]:9000`, remote: `[fe80::b%${a.veth}]:9000` };
  const { commands } = await assertFixed(t, at.patient, 'local-not-here', await at.file(missing));
  t.deepEqual(commands, [`ip address add fe80::c/64 dev ${a.veth} nodad`]);
  const elsewhere = { local: '[fe80::c%eth7]:9000', remote: '[fe80::b%eth7]:9000' };
  await assertAdvised(t, at.patient, 'bind-device-missing', await at.file(elsewhere), /ip -brief link/);
  t.truthy(b);
});

test.serial('accepted sources that are not routed back into the tunnel get a route', async (t) => {
  await using at = await scene();
  const args = await at.file({
    allowedSources: '["10.0.2.0/24", "10.9.0.0/16", "fd00:9::/48", "0.0.0.0/0"]',
  });
  await assertFixed(t, at.patient, 'source-not-routed', args);
});

test.serial('a host with routes into the tunnel is advised to forward', async (t) => {
  await using at = await scene();
  const args = await at.file({}, '[tunnels.office.interface]\nroutes = ["10.9.0.0/16", "fd00:9::/48"]');
  const { severity } = await assertFixed(t, at.patient, 'forwarding-off', args);
  t.is(severity, 'note');
});

test.serial(
  'settings that the file will apply are not reported as missing before the tunnel starts',
  async (t) => {
    await using at = await scene();
    const args = await at.file(
      { device: 'new0' },
      '[tunnels.office.interface]\ncreate = true\naddresses = ["10.0.7.1/24"]\nmtu = "auto"',
    );
    const { problems, warnings } = await at.patient.examine(args);
    t.deepEqual({ problems, warnings }, { problems: 0, warnings: 0 });
    await assertAdvised(t, at.patient, 'interface-forbidden', args, /as root/, { user: USER });
  },
);
