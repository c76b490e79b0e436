import test from 'ava';
import { limitRate, LINKS } from '../../bench/links.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Site } from '../../testbed/site.ts';

async function queueOf(site: Site, device: string): Promise<string> {
  return (await site.run(['tc', 'qdisc', 'show', 'dev', device])).stdout;
}

async function featuresOf(site: Site): Promise<string[]> {
  const { stdout } = await site.run(['ethtool', '-k', site.veth]);
  return stdout.split('\n').map((line) => line.trim());
}

test('a bottleneck is at the sender’s device, or where the sender cannot see it', async (t) => {
  const { 'slow-100': near, 'far-20': far } = LINKS;
  await using sites = await createSites({ link: 'wire-checksum', router: true });
  const { a, b, router } = sites;
  if (near.bottleneck === null || far.bottleneck === null || router === null) throw new Error('incomplete');
  await limitRate(sites, far.bottleneck);
  t.regex(await queueOf(router, 'vethB'), /tbf .* rate 20Mbit burst 32Kb/);
  t.notRegex(await queueOf(a, a.veth), /tbf/);
  await limitRate(sites, near.bottleneck);
  t.regex(await queueOf(a, a.veth), /tbf .* rate 100Mbit burst 32Kb/);
  t.notRegex(await queueOf(b, b.veth), /tbf/);
  t.notRegex(await queueOf(router, 'vethA'), /tbf/);
});

test('checksum offload is all that distinguishes the two links that send as network cards do', async (t) => {
  await using wire = await createSites({ link: 'wire' });
  await using offload = await createSites({ link: 'wire-checksum' });
  const [offloaded, plain] = [await featuresOf(offload.a), await featuresOf(wire.a)];
  const gained = offloaded.filter((line) => !plain.includes(line));
  t.true(gained.includes('tx-checksumming: on'));
  t.deepEqual(
    gained.filter((line) => !/^tx-checksum.*: on/.test(line)),
    [],
  );
});
