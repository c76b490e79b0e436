/** Machines with something wrong, each mended by what the doctor prints. What is changed is seen by the patient alone. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { resolve } from 'node:path';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { assertAdvised, assertMended, find, Patient, USER } from './patient.ts';

let sites: Sites;
test.before(async () => {
  sites = await createSites();
});
test.after.always(() => sites[Symbol.asyncDispose]());

const asUser = { user: USER } as const;
const MIB_4 = 4 * 1024 * 1024;

async function healthy(t: ExecutionContext, patient: Patient): Promise<void> {
  const { problems, warnings } = await patient.examine(['tun0']);
  t.deepEqual({ problems, warnings }, { problems: 0, warnings: 0 });
}

test.serial('a missing /dev/net/tun is made where the kernel has the driver', async (t) => {
  await using patient = await Patient.in(sites.a);
  await patient.sh('mount -t tmpfs none /dev/net');
  await assertMended(t, patient, 'tun-missing', ['tun0']);
  await healthy(t, patient);
});

test.serial('a missing driver is to be loaded', async (t) => {
  await using patient = await Patient.in(sites.a);
  await patient.sh('mount -t tmpfs none /dev/net');
  await patient.pretend('/proc/misc', ' 10 random\n');
  const found = find(await patient.examine(['tun0']), 'tun-missing');
  t.deepEqual(found?.commands, ['modprobe tun']);
});

test.serial('a /dev/net/tun that only root may open is opened to all', async (t) => {
  await using patient = await Patient.in(sites.a);
  await patient.sh('mount -t tmpfs none /dev/net; mknod -m 0600 /dev/net/tun c 10 200');
  t.is(find(await patient.examine(['tun0']), 'tun-forbidden'), undefined);
  await assertMended(t, patient, 'tun-forbidden', ['tun0'], asUser);
});

for (const [code, name] of [
  ['receive-buffer-small', 'rmem_max'],
  ['send-buffer-small', 'wmem_max'],
] as const) {
  test.serial(`a small net.core.${name} is raised for ordinary users, and is nothing to root`, async (t) => {
    await using patient = await Patient.in(sites.a);
    for (const each of ['rmem_max', 'wmem_max'])
      await patient.pretend(`/proc/sys/net/core/${each}`, `${MIB_4}\n`);
    await patient.pretend(`/proc/sys/net/core/${name}`, '212992\n');
    await healthy(t, patient);
    const { what } = await assertMended(t, patient, code, ['tun0'], asUser);
    t.regex(what, /208 KiB/);
    t.is((await patient.sh(`cat /proc/sys/net/core/${name}`)).trim(), `${MIB_4}`);
  });
}

test.serial('a full table of connections is enlarged', async (t) => {
  await using patient = await Patient.in(sites.a);
  await patient.pretend('/proc/sys/net/netfilter/nf_conntrack_count', '60000\n');
  await patient.pretend('/proc/sys/net/netfilter/nf_conntrack_max', '65536\n');
  await assertMended(t, patient, 'conntrack-full', ['tun0']);
});

test.serial(
  'a native part that cannot be loaded is said to be missing, and what needs it is not guessed',
  async (t) => {
    await using patient = await Patient.in(sites.a);
    await patient.sh(`mount --bind /dev/null '${resolve('ttun.linux-x64-gnu.node')}'`);
    await assertAdvised(t, patient, 'native-missing', ['tun0'], /npm run .*build:native/);
    const { problems, unchecked } = await patient.examine(['tun0']);
    t.is(problems, 1);
    t.true(unchecked.some(({ what }) => what === 'devices, routes and sockets'));
  },
);

test.serial('an ordinary user is told what only root can see', async (t) => {
  await using patient = await Patient.in(sites.a);
  const { unchecked } = await patient.examine(['tun0'], asUser);
  t.deepEqual(unchecked.map(({ what }) => what).slice(0, 2), ['the firewall', 'programs of other users']);
});
