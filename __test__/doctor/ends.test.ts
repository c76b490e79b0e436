/** The tunnel's own end, and what passes through it: each fault mended by what the doctor prints. */
import test from 'ava';
import { assertAdvised, assertMended, find, USER } from './patient.ts';
import { scene } from './scene.ts';

test.serial('a tunnel that will work is found to be right', async (t) => {
  await using at = await scene();
  const { stdout, status } = await at.patient.doctor(await at.file());
  t.is(status, 0);
  for (const line of [
    'office (tun0)',
    'UDP port 9000 of 10.0.1.1 is free',
    '10.0.3.1 is reached by veth0, through 10.0.1.254',
    'packets of 1452 bytes, the MTU of tun0, fit the way to the peer',
    'nothing wrong found',
  ]) {
    t.true(stdout.includes(line), `${line} in ${stdout}`);
  }
});

test.serial(
  'a local address that no interface has is given to the one on whose network it is, or that leads to the peer',
  async (t) => {
    await using at = await scene();
    for (const local of ['10.0.1.77', '203.0.113.7']) {
      const args = await at.file({ local: `${local}:9000` });
      const { commands } = await assertMended(t, at.patient, 'local-not-here', args);
      t.deepEqual(commands, [`ip address add ${local}/32 dev veth0`]);
    }
  },
);

test.serial('the program that has the port is named, and can be ended', async (t) => {
  await using at = await scene();
  await using other = at.sites.a.start(['socat', '-u', 'UDP4-RECV:9000,bind=10.0.1.1', 'STDOUT']);
  await at.patient.sh("until ss -uln 'sport = :9000' | grep -q 9000; do :; done");
  const { what } = await assertMended(t, at.patient, 'port-taken', await at.file());
  t.is(what, `socat (process ${other.pid}) has UDP port 9000 of 10.0.1.1`);
});

test.serial('an ordinary user is told how root finds who has the port', async (t) => {
  await using at = await scene();
  await using other = at.sites.a.start(['socat', '-u', 'UDP6-RECV:9000,bind=[fd00:1::1]', 'STDOUT']);
  await at.patient.sh("until ss -uln 'sport = :9000' | grep -q 9000; do :; done");
  const ends = { local: '[fd00:1::1]:9000', remote: '[fd00:3::1]:9000' };
  await assertAdvised(t, at.patient, 'port-taken', await at.file(ends), /ss -ulnp/, { user: USER });
  t.true(other.running);
});

test.serial('a port that is for root alone is opened to ordinary users', async (t) => {
  await using at = await scene();
  const args = await at.file({ local: '10.0.1.1:80' });
  t.is(find(await at.patient.examine(args), 'port-forbidden'), undefined);
  await assertMended(t, at.patient, 'port-forbidden', args, { user: USER });
});

test.serial('a firewall that drops what no rule accepts gets a rule for the peer', async (t) => {
  await using at = await scene();
  await at.patient.sh(`
    nft add table inet filter
    nft 'add chain inet filter input { type filter hook input priority 0; policy drop; }'
    nft add rule inet filter input udp dport '{ 53, 8000-8999 }' accept`);
  const { severity } = await assertMended(t, at.patient, 'firewall-input', await at.file());
  t.is(severity, 'note');
  const inRange = await at.file({ local: '10.0.1.1:8500' });
  t.is(find(await at.patient.examine(inRange), 'firewall-input'), undefined);
});

test.serial('sources that are accepted but not routed back into the tunnel get a route', async (t) => {
  await using at = await scene();
  const args = await at.file({
    allowedSources: '["10.0.2.0/24", "10.9.0.0/16", "fd00:9::/48", "0.0.0.0/0"]',
  });
  await assertMended(t, at.patient, 'source-not-routed', args);
});

test.serial('a host that is to serve other hosts by the tunnel is told to forward', async (t) => {
  await using at = await scene();
  const args = await at.file({}, '[tunnels.office.interface]\nroutes = ["10.9.0.0/16", "fd00:9::/48"]');
  const { severity } = await assertMended(t, at.patient, 'forwarding-off', args);
  t.is(severity, 'note');
});

test.serial('what the file sets up is not missed before the tunnel starts', async (t) => {
  await using at = await scene();
  const args = await at.file(
    { device: 'new0' },
    '[tunnels.office.interface]\ncreate = true\naddresses = ["10.0.7.1/24"]\nmtu = "auto"',
  );
  const { problems, warnings } = await at.patient.examine(args);
  t.deepEqual({ problems, warnings }, { problems: 0, warnings: 0 });
  await assertAdvised(t, at.patient, 'interface-forbidden', args, /as root/, { user: USER });
});
