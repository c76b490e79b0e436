import { execFileSync } from 'node:child_process';
import test from 'ava';
import { EmptyProject } from '../../testbed/empty-project.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Site } from '../../testbed/site.ts';
import type { Sites } from '../../testbed/sites.ts';
import { socketAddress } from '../../testbed/tunnel.ts';
import { pathOf } from '../lab/folders.ts';
import { REGISTRY, NATIVE, targetOf } from './runtimes.ts';

/** How a program loads the package. */
const LOADED_BY = {
  import: { file: 'embed.mjs', load: `import { createTunnel } from 'ttun';` },
  require: { file: 'embed.cjs', load: `const { createTunnel } = require('ttun');` },
} as const;

/** How many packets each way the programs wait for. */
const PACKETS = 3;

for (const { name, platform, node, within } of NATIVE) {
  const project = (): Promise<EmptyProject> =>
    EmptyProject.create({ node, within, programs: [pathOf('ip')], registry: REGISTRY });

  test.serial(`${name}: npx ttun works in an empty folder, with no Rust compiler on the PATH`, async (t) => {
    await using user = await project();
    for (const compiler of ['cargo', 'rustc', 'cc']) {
      await t.throwsAsync(user.run([compiler, '--version']), undefined, `${compiler} is not on the PATH`);
    }
    const { stdout } = await user.run(['npx', '--yes', 'ttun', '--version']);
    t.regex(stdout, new RegExp(`^native part: ${targetOf(platform)}, release, commit [0-9a-f]{12}`, 'm'));
    t.true(
      stdout.includes(`Node ${execFileSync(node, ['--version'], { encoding: 'utf8' }).trim().slice(1)},`),
    );
  });

  test.serial(`${name}: npx ttun lab joins two sites and removes them`, async (t) => {
    await using user = await project();
    const { stdout } = await user.run(['npx', '--yes', 'ttun', 'lab']);
    t.regex(stdout, /"Hello World" arrived in siteB/);
    t.regex(stdout, /The tunnel works\.\n$/);
    t.false((await user.run(['ip', 'netns', 'list'])).stdout.includes('site'));
  });

  test.serial(`${name}: installed for all users, ttun is on the PATH`, async (t) => {
    await using user = await project();
    await user.npmInstall('--global', '--prefix', user.home, 'ttun');
    t.regex((await user.run(['ttun', '--version'])).stdout, new RegExp(targetOf(platform)));
  });

  test.serial(
    `${name}: a program that imports the package carries packets, and one that requires it`,
    async (t) => {
      await using user = await project();
      await user.npmInstall('ttun');
      await using sites = await createSites();
      const begin = async (site: Site, at: 'a' | 'b', by: keyof typeof LOADED_BY) => {
        const { file, load } = LOADED_BY[by];
        const path = await user.write(file, embeddingProgram(load, sites, at));
        const program = site.start([...within, node, path]);
        await program.waitForLine('open');
        return program;
      };
      const programs = [await begin(sites.a, 'a', 'import'), await begin(sites.b, 'b', 'require')];
      await sites.a.run(['ping', '-c', `${PACKETS}`, '-i', '0.2', sites.b.inner.ipv4]);
      for (const program of programs) {
        t.deepEqual(await program.exited, { status: 0, signal: null }, program.stderr);
        t.like(JSON.parse(program.stdout.replace('open\n', '')), { out: PACKETS, in: PACKETS, dropped: 0 });
      }
    },
  );
}

/** Opens the tunnel of one site, waits until the packets have passed both ways, closes it, and prints its counters. */
function embeddingProgram(load: string, sites: Sites, at: 'a' | 'b'): string {
  const [near, far] = at === 'a' ? [sites.a, sites.b] : [sites.b, sites.a];
  const options = {
    device: near.tun,
    local: socketAddress(near.outer.ipv4, 9000),
    remote: socketAddress(far.outer.ipv4, 9000),
  };
  return `${load}
const carry = async () => {
  const tunnel = await createTunnel(${JSON.stringify(options)});
  console.log('open');
  for await (const { stats } of tunnel.samples({ intervalMs: 50 })) {
    if (Math.min(stats.encap.packets, stats.decap.packets) >= ${PACKETS}) break;
  }
  await tunnel.close();
  const { encap, decap } = tunnel.stats();
  console.log(JSON.stringify({ out: encap.packets, in: decap.packets, dropped: encap.dropped + decap.dropped }));
};
carry();
`;
}
