/** Running tunnels. */
import test from 'ava';
import { writeFile } from 'node:fs/promises';
import { createSites } from '../../testbed/sites.ts';
import { RemoteTunnel, startTtun } from '../../testbed/tunnel.ts';
import { find, Patient } from './patient.ts';

const SEED = ['-q', 'tun0', '10.0.1.1', '9000', '10.0.1.2', '9000'] as const;

for (const [how, args] of [
  ['by its device', ['tun0']],
  ['without arguments', []],
] as const) {
  test.serial(
    `a running tunnel is examined ${how}, and its own device and port are not faults`,
    async (t) => {
      await using sites = await createSites();
      await using patient = await Patient.in(sites.a);
      await using tunnel = startTtun(sites.a, SEED);
      await tunnel.waitForLine('attached to tun0');
      await patient.sh(`until ls /run/ttun/${tunnel.pid}.sock; do :; done`);
      const { findings, problems, warnings } = await patient.examine(args);
      t.deepEqual({ problems, warnings }, { problems: 0, warnings: 0 });
      const right = findings.filter(({ subject }) => subject === 'tun0').map(({ what }) => what);
      for (const what of [
        `ttun (process ${tunnel.pid}) is attached to tun0`,
        'the tunnel itself uses UDP port 9000 of 10.0.1.1',
        '10.0.1.2 is reached through veth0, directly',
      ]) {
        t.true(right.includes(what), `${what} in ${right.join('\n')}`);
      }
    },
  );
}

test.serial('after an invalid report from another process, the rest is still examined', async (t) => {
  await using sites = await createSites();
  await using patient = await Patient.in(sites.a);
  const program = `
    import { mkdirSync } from 'node:fs';
    import { startControlServer } from '${new URL('../../dist/control/server.js', import.meta.url).href}';
    const report = { name: 'lie', device: 'tun0', local: 'here', remote: 'there', phase: 'opening', state: 'opening', stateText: 'opening', problem: null, advice: null, stats: null, history: [] };
    await startControlServer({ reports: () => [report], find: () => undefined });
    setInterval(() => {}, 1000);
    console.log('ready');
  `;
  await using liar = sites.a.start([process.execPath, '--input-type=module', '-e', program]);
  await liar.waitForLine('ready');
  const { findings } = await patient.examine([]);
  t.true(findings.some(({ subject }) => subject === 'lie (tun0)'));
});

test.serial('a fault that arises while the tunnel runs is found', async (t) => {
  await using sites = await createSites();
  await using patient = await Patient.in(sites.a);
  await using tunnel = startTtun(sites.a, SEED);
  await tunnel.waitForLine('attached to tun0');
  await patient.sh(`until ls /run/ttun/${tunnel.pid}.sock; do :; done`);
  await sites.a.ipBatch('route add 10.0.1.2/32 dev tun0', 'link set tun0 mtu 9000');
  const examination = await patient.examine(['tun0']);
  t.deepEqual(find(examination, 'peer-through-tunnel')?.commands, ['ip route replace 10.0.1.2/32 dev veth0']);
});

test.serial('a tunnel embedded in a program is recognized by its thread', async (t) => {
  await using sites = await createSites();
  await using patient = await Patient.in(sites.a);
  const options = { device: 'tun0', local: '10.0.1.1:9000', remote: '10.0.1.2:9000' };
  await using tunnel = await RemoteTunnel.open(sites.a, options);
  const { problems, findings } = await patient.examine(['tun0']);
  t.is(problems, 0);
  const what = `ttun (process ${tunnel.process.pid}) is attached to tun0`;
  t.true(findings.some((found) => found.what === what));
});

test.serial('a tunnel of ttun up is examined with the options of its file', async (t) => {
  await using sites = await createSites();
  await using patient = await Patient.in(sites.a);
  const file = await patient.configure('');
  await writeFile(
    file,
    '[tunnels.office]\ndevice = "tun0"\nlocal = "10.0.1.1:9000"\nremote = "10.0.1.2:9000"\nbindDevice = "veth0"\n',
  );
  await using service = startTtun(sites.a, ['up', '-c', file]);
  await patient.sh(`until ls /run/ttun/${service.pid}.sock; do :; done`);
  await patient.sh("until ss -uan 'sport = :9000' | grep -q 9000; do :; done");
  await sites.a.ip('route', 'add', '10.0.1.2/32', 'dev', 'tun0');
  const { findings, problems } = await patient.examine(['tun0']);
  t.is(problems, 0);
  const what = '10.0.1.2 is reached through veth0, directly';
  t.true(findings.some((found) => found.subject === 'office (tun0)' && found.what === what));
});

test.serial('a tunnel whose device was renamed is not reported as another program', async (t) => {
  await using sites = await createSites();
  await using patient = await Patient.in(sites.a);
  await using tunnel = startTtun(sites.a, SEED);
  await tunnel.waitForLine('attached to tun0');
  await sites.a.ipBatch('link set tun0 down', 'link set tun0 name office0', 'link set office0 up');
  const { findings } = await patient.examine(['office0']);
  t.true(findings.some(({ what }) => what === `ttun (process ${tunnel.pid}) is attached to office0`));
  t.false(findings.some(({ commands }) => commands.includes(`kill ${tunnel.pid}`)));
});
