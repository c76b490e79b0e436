import { join } from 'node:path';
import test from 'ava';
import { EmptyProject } from '../../testbed/empty-project.ts';
import { createSites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { transferTcp } from '../../testbed/traffic/tcp.ts';
import { startTtun } from '../../testbed/tunnel.ts';
import { REGISTRY, EMULATED, targetOf } from './runtimes.ts';

const CONFIGURATION = `
[tunnels.office]
device = "tun0"
local = "192.0.2.1:8000"
remote = "192.0.2.2:8000"
`;
const MEBIBYTE = 1 << 20;

for (const { name, platform, node, within } of EMULATED) {
  test.serial(`${name}: npm installs its package, which loads and checks a configuration`, async (t) => {
    await using user = await EmptyProject.create({ node, within, registry: REGISTRY });
    await user.npmInstall('ttun');
    const { stdout } = await user.run(['npx', 'ttun', '--version']);
    t.true(stdout.includes(`native part: ${targetOf(platform)}, release`), stdout);

    const file = await user.write('ttun.toml', CONFIGURATION);
    t.regex((await user.run(['npx', 'ttun', 'check', file])).stdout, /1 tunnel, no problems/);
  });

  test.serial(`${name}: a tunnel to x86-64 carries pings and TCP both ways, with all offloads`, async (t) => {
    await using user = await EmptyProject.create({ node, within, registry: REGISTRY });
    await user.npmInstall('ttun');
    await using sites = await createSites();
    const { a, b } = sites;
    const program = join(user.folder, 'node_modules', 'ttun', 'dist', 'bin.js');
    const emulated = a.start([
      ...within,
      node,
      program,
      '-q',
      a.tun,
      a.outer.ipv4,
      '9000',
      b.outer.ipv4,
      '9000',
    ]);
    startTtun(b, ['-q', b.tun, b.outer.ipv4, '9000', a.outer.ipv4, '9000']);
    const attached = await emulated.waitForLine('attached', { timeoutMs: 60_000 });
    t.true(attached.includes('offload: checksum, TSO, USO'), attached);
    t.true(attached.includes('offload: segmentation, GRO'), attached);

    t.true((await ping(a, b.inner.ipv4, { count: 20 })).received >= 20);
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const { sent, received } = await transferTcp({
        from,
        to,
        address: to.inner.ipv4,
        bytes: 64 * MEBIBYTE,
      });
      t.deepEqual(received, sent);
    }
    t.deepEqual(await emulated.stop('SIGTERM', 30_000), { status: 0, signal: null });
    t.regex(
      emulated.stderr,
      /sent: [\d,]+ packets, [\d,]+ bytes, none dropped\n.*received: .*, none dropped/,
    );
  });
}
