/** Faulty machines, each fixed by the commands that the doctor prints. Only the programs of a test see its changes. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { resolve } from 'node:path';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { assertAdvised, assertFixed, find, Patient, USER } from './patient.ts';

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

test.serial('a missing /dev/net/tun is created where the kernel has the driver', async (t) => {
  await using patient = await Patient.in(sites.a);
  await patient.sh('mount -t tmpfs none /dev/net');
  await assertFixed(t, patient, 'tun-missing', ['tun0']);
  await healthy(t, patient);
});

test.serial('a missing driver is loaded with modprobe', async (t) => {
  await using patient = await Patient.in(sites.a);
  await patient.sh('mount -t tmpfs none /dev/net');
  await patient.pretend('/proc/misc', ' 10 random\n');
  const found = find(await patient.examine(['tun0']), 'tun-missing');
  t.deepEqual(found?.commands, ['modprobe tun']);
});

test.serial('a /dev/net/tun that only root may open is opened to all users', async (t) => {
  await using patient = await Patient.in(sites.a);
  await patient.sh('mount -t tmpfs none /dev/net; mknod -m 0600 /dev/net/tun c 10 200');
  t.is(find(await patient.examine(['tun0']), 'tun-forbidden'), undefined);
  await assertFixed(t, patient, 'tun-forbidden', ['tun0'], asUser);
});

for (const [code, name] of [
  ['receive-buffer-small', 'rmem_max'],
  ['send-buffer-small', 'wmem_max'],
] as const) {
  test.serial(
    `a small net.core.${name} is raised for ordinary users, and does not matter to root`,
    async (t) => {
      await using patient = await Patient.in(sites.a);
      for (const each of ['rmem_max', 'wmem_max'])
        await patient.pretend(`/proc/sys/net/core/${each}`, `${MIB_4}\n`);
      await patient.pretend(`/proc/sys/net/core/${name}`, '212992\n');
      await healthy(t, patient);
      const { what } = await assertFixed(t, patient, code, ['tun0'], asUser);
      t.regex(what, /208 KiB/);
      t.is((await patient.sh(`cat /proc/sys/net/core/${name}`)).trim(), `${MIB_4}`);
    },
  );
}

test.serial('a full connection tracking table is enlarged', async (t) => {
  await using patient = await Patient.in(sites.a);
  await patient.pretend('/proc/sys/net/netfilter/nf_conntrack_count', '60000\n');
  await patient.pretend('/proc/sys/net/netfilter/nf_conntrack_max', '65536\n');
  await assertFixed(t, patient, 'conntrack-full', ['tun0']);
});

test.serial(
  'a native part that cannot be loaded is reported, and what needs it is not checked',
  async (t) => {
    await using patient = await Patient.in(sites.a);
    await patient.sh(`mount --bind /dev/null '${resolve('ttun.linux-x64-gnu.node')}'`);
    await assertAdvised(t, patient, 'native-missing', ['tun0'], /npm run .*build:native/);
    const { problems, unchecked } = await patient.examine(['tun0']);
    t.is(problems, 1);
    t.true(unchecked.some(({ what }) => what === 'devices, routes and sockets'));
  },
);

test.serial('an ordinary user sees what only root can check', async (t) => {
  await using patient = await Patient.in(sites.a);
  const { unchecked } = await patient.examine(['tun0'], asUser);
  t.deepEqual(unchecked.map(({ what }) => what).slice(0, 2), ['the firewall', 'programs of other users']);
});
