/** Faulty devices, each fixed by the commands that the doctor prints. */
import test from 'ava';
import { holdDevice } from '../../testbed/probe.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { assertAdvised, assertFixed, find, Patient, USER } from './patient.ts';

let sites: Sites;
let patient: Patient;
test.before(async () => {
  sites = await createSites();
  patient = await Patient.in(sites.a);
});
test.after.always(async () => {
  await patient[Symbol.asyncDispose]();
  await sites[Symbol.asyncDispose]();
});

function ip(...lines: string[]): Promise<void> {
  return sites.a.ipBatch(...lines);
}

test.serial('a device with everything that a tunnel needs passes all checks', async (t) => {
  const { stdout, status } = await patient.doctor(['tun0']);
  t.is(status, 0);
  t.regex(
    stdout,
    /\ntun0\n {2}\S tun0 is a TUN device\n {2}\S no program is attached to tun0\n {2}\S tun0 is up, with /,
  );
  t.regex(stdout, /no problems found\n$/);
});

test.serial('a missing device is created', async (t) => {
  const { commands } = await assertFixed(t, patient, 'device-missing', ['miss0']);
  t.deepEqual(commands, ['ip tuntap add dev miss0 mode tun']);
});

test.serial('an ordinary user gets a missing device of their own', async (t) => {
  const { commands } = await assertFixed(t, patient, 'device-missing', ['miss1'], { user: USER });
  t.deepEqual(commands, ['ip tuntap add dev miss1 mode tun user nobody']);
  t.is(find(await patient.examine(['miss1'], { user: USER }), 'device-not-owner'), undefined);
});

test.serial('a TAP device is replaced', async (t) => {
  await ip('tuntap add dev tap0 mode tap');
  await assertFixed(t, patient, 'device-is-tap', ['tap0']);
});

test.serial('an interface that is not a TUN device is recognized', async (t) => {
  await assertAdvised(t, patient, 'device-not-tun', ['veth0'], /ip tuntap/);
});

test.serial('a device of another user is recreated for this user, with the same settings', async (t) => {
  await ip(
    'tuntap add dev theirs0 mode tun user 65533 multi_queue',
    'link set theirs0 mtu 1400 up',
    'address add 10.0.7.1/24 dev theirs0',
    'address add fd00:7::1/64 dev theirs0 nodad',
  );
  await assertFixed(t, patient, 'device-not-owner', ['theirs0'], { user: USER });
  const device = await sites.a.ip('-details', 'address', 'show', 'dev', 'theirs0');
  for (const part of [
    'mtu 1400',
    'multi_queue numqueues',
    `user ${USER.name}`,
    '10.0.7.1/24',
    'fd00:7::1/64',
    ',UP',
  ]) {
    t.true(device.includes(part), `${part} in ${device}`);
  }
});

test.serial('a device of a group is refused to users outside it', async (t) => {
  await ip('tuntap add dev group0 mode tun group 65533');
  await assertFixed(t, patient, 'device-not-owner', ['group0'], { user: USER });
});

test.serial('root may use the devices of every user', async (t) => {
  await ip('tuntap add dev theirs1 mode tun user 65533', 'link set theirs1 up');
  t.is(find(await patient.examine(['theirs1']), 'device-not-owner'), undefined);
});

test.serial('an attached program is named, and the printed command ends it', async (t) => {
  await ip('tuntap add dev busy0 mode tun');
  await using holder = await holdDevice(sites.a, 'busy0');
  const { what, commands } = await assertFixed(t, patient, 'device-busy', ['busy0']);
  t.is(what, `ttun-probe (process ${holder.pid}) is attached to busy0`);
  t.deepEqual(commands, [`kill ${holder.pid}`]);
});

test.serial('an ordinary user sees that a program of another user is attached', async (t) => {
  await ip(`tuntap add dev busy1 mode tun user ${USER.id}`, 'link set busy1 up');
  await using holder = await holdDevice(sites.a, 'busy1');
  await assertAdvised(t, patient, 'device-busy', ['busy1'], /run as root to see which: ttun doctor busy1/, {
    user: USER,
  });
  const { unchecked } = await patient.examine(['busy1'], { user: USER });
  t.true(unchecked.some(({ what }) => what === 'programs of other users'));
  t.true(holder.running);
});

test.serial('a program on another queue of the device is reported', async (t) => {
  await ip('tuntap add dev share0 mode tun multi_queue');
  await using holder = await holdDevice(sites.a, 'share0');
  await assertFixed(t, patient, 'device-shared', ['share0']);
  t.is((await holder.exited).signal, 'SIGTERM');
});

test.serial(
  'a program in another network namespace with a device of the same name is not reported',
  async (t) => {
    await sites.b.ipBatch('tuntap add dev twin0 mode tun');
    await ip('tuntap add dev twin0 mode tun');
    await using holder = await holdDevice(sites.b, 'twin0');
    t.is(find(await patient.examine(['twin0']), 'device-busy'), undefined);
    t.true(holder.running);
  },
);

test.serial('a device that is down is brought up', async (t) => {
  await ip('tuntap add dev down0 mode tun');
  await assertFixed(t, patient, 'device-down', ['down0']);
});

test.serial('a device without an address gets one from a free network', async (t) => {
  await ip('tuntap add dev bare0 mode tun');
  const { commands } = await assertFixed(t, patient, 'address-missing', ['bare0']);
  t.regex(commands[0] ?? '', /^ip address add 10\.0\.\d+\.1\/24 dev bare0$/);
  t.false(commands[0]?.includes(' 10.0.2.'), 'tun0 has that network');
});

test.serial('without arguments every TUN device is examined', async (t) => {
  await ip('tuntap add dev all0 mode tun', 'tuntap add dev all1 mode tun', 'tuntap add dev all2 mode tap');
  const { findings } = await patient.examine([]);
  const subjects = new Set(findings.map(({ subject }) => subject));
  for (const subject of [null, 'tun0', 'all0', 'all1']) t.true(subjects.has(subject), `${subject}`);
  for (const subject of ['all2', 'veth0', 'lo']) t.false(subjects.has(subject), subject);
});
