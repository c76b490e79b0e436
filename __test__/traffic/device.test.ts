import { readFile } from 'node:fs/promises';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { leaveDevice } from '../../testbed/probe.ts';
import type { Site } from '../../testbed/site.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { transferTcp } from '../../testbed/traffic/tcp.ts';
import { transferUdp } from '../../testbed/traffic/udp.ts';
import { openPair } from '../../testbed/tunnel.ts';
import type { PairOptions, RemoteTunnel } from '../../testbed/tunnel.ts';
import { closeAndAccount, nothingDropped } from './accounts.ts';

test.serial('a multi-queue device', async (t) => {
  await using sites = await createSites({ multiQueue: true });
  t.regex(await sites.a.ip('-details', 'link', 'show', sites.a.tun), /multi_queue/);
  await carries(t, sites);
});

test.serial('a device that belongs to an unprivileged user, run as that user', async (t) => {
  const user = 'nobody';
  await using sites = await createSites({ owner: user });
  const [a, b] = await openPair(sites, { as: { user } });
  const { stdout: uid } = await sites.a.run(['id', '-u', user]);
  for (const { process } of [a, b]) {
    const status = await readFile(`/proc/${process.pid}/status`, 'utf8');
    t.regex(status, new RegExp(`^Uid:\\s+${uid.trim()}\\s`, 'm'));
    t.regex(status, /^CapEff:\s+0+$/m, 'no privileges');
  }
  await exchange(t, sites, a, b);
});

test.serial('an unprivileged user that does not own the device gets a specific error', async (t) => {
  await using sites = await createSites({ owner: 'daemon' });
  const error = await t.throwsAsync(openPair(sites, { as: { user: 'nobody' } }));
  t.like(error, { code: 'ERR_TTUN_DEVICE_NOT_OWNER' });
});

for (const virtioHeaderLength of [10, 12]) {
  for (const virtioHeader of [true, false]) {
    const how = virtioHeader ? 'with' : 'without';
    test.serial(
      `a device on which another program left headers of ${virtioHeaderLength} bytes and all offloads, used ${how} headers`,
      async (t) => {
        await using sites = await createSites();
        await leaveDevice(sites.a, sites.a.tun, virtioHeaderLength);
        await leaveDevice(sites.b, sites.b.tun, virtioHeaderLength);
        t.is(await segmentation(sites.a), 'on', 'it did leave them');
        await carries(t, sites, { options: { offload: { virtioHeader } } });
      },
    );
  }
}

for (const virtioHeader of [true, false]) {
  const how = virtioHeader ? 'with' : 'without';
  test.serial(
    `a device whose tunnel was killed can be used again, ${how} headers, and is left without offloads`,
    async (t) => {
      await using sites = await createSites();
      for (const { process } of await openPair(sites)) {
        process.kill('SIGKILL');
        await process.exited;
      }
      t.is(await segmentation(sites.a), 'on', 'a killed process cannot reset them');
      await carries(t, sites, { options: { offload: { virtioHeader } } });
      t.is(await segmentation(sites.a), 'off');
      t.is(await segmentation(sites.b), 'off');
    },
  );
}

async function carries(t: ExecutionContext, sites: Sites, options: PairOptions = {}): Promise<void> {
  const [a, b] = await openPair(sites, options);
  await exchange(t, sites, a, b);
}

async function exchange(t: ExecutionContext, sites: Sites, a: RemoteTunnel, b: RemoteTunnel): Promise<void> {
  for (const [from, to] of [
    [sites.a, sites.b],
    [sites.b, sites.a],
  ] as const) {
    const stream = await transferTcp({ from, to, address: to.inner.ipv4, bytes: 8 * 2 ** 20 });
    t.deepEqual(stream.received, stream.sent);
  }
  const sizes = [100, 100, 100, 1400, 1, 5000];
  const report = await transferUdp({
    from: sites.a,
    to: sites.b,
    address: sites.b.inner.ipv6,
    count: 300,
    sizes,
  });
  t.deepEqual(report, { received: 300, reordered: 0, duplicates: 0, corrupted: 0 });
  nothingDropped(t, await closeAndAccount(t, a, b));
}

/** Whether the kernel hands TCP super-packets to the device: `on` or `off`. */
async function segmentation(site: Site): Promise<string | undefined> {
  const { stdout } = await site.run(['ethtool', '-k', site.tun]);
  return /^tcp-segmentation-offload: (on|off)/m.exec(stdout)?.[1];
}
