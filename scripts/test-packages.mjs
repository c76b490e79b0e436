/**
 * npm run test:packages: builds the packages for all platforms, publishes them to a registry on this machine, and uses them as users
 * would: with several versions of Node, with musl, and on arm64 as far as that can be emulated.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, ensureDependencies, ensureTool } from './lib/build.mjs';
import { gitCommit } from './lib/commit.mjs';
import { artifacts, crossBuild } from './lib/cross-build.mjs';
import { crossTest } from './lib/cross-test.mjs';
import { ensureForeignNodes } from './lib/foreign-nodes.mjs';
import { pack, packed } from './lib/pack.mjs';
import { PLATFORMS } from './lib/platforms.mjs';
import { withRegistry } from './lib/registry.mjs';
import { handOver, root, run } from './lib/run.mjs';
import { runScript, Stop } from './lib/stop.mjs';
import { checkTestMachine } from './lib/test-machine.mjs';
import { checkCompilers, requireTool } from './lib/tools.mjs';

/** Programs that the tests run, and the Debian packages that hold them. */
const TOOLS = { ip: 'iproute2', ping: 'iputils-ping', readelf: 'binutils' };

await runScript(async () => {
  checkTestMachine();
  if (process.arch !== 'x64')
    throw new Stop(`these tests emulate arm64 on x86-64, and this is ${process.arch}`);
  checkCompilers();
  for (const [name, aptPackage] of Object.entries(TOOLS)) requireTool(name, aptPackage);
  ensureDependencies();
  ensureTool('package-checks');
  const runtimes = ensureTool('runtimes');
  ensureForeignNodes();
  build();
  crossBuild(PLATFORMS, { TTUN_COMMIT: gitCommit() });
  crossTest(PLATFORMS.find(({ name }) => name === 'linux-arm64-gnu'));
  // With the program that is released; `npm test` tries one that is built for this machine.
  run('npx', ['ava', '__test__/static-program/**'], {
    TTUN_STATIC_PROGRAM: join(artifacts, 'ttun-linux-x64'),
  });
  pack(artifacts);
  const node = join(runtimes, 'node_modules', 'node-24', 'bin', 'node');
  return withRegistry(node, (registry) => {
    registry.publish(packed);
    publishDependencies(registry);
    const ava = ['ava', '--config', 'published.config.mjs', ...process.argv.slice(2)];
    return handOver('npx', ava, { TTUN_TEST_REGISTRY: registry.url });
  });
});

/** As they are installed here, so that nothing has to be asked of anybody else. */
function publishDependencies(registry) {
  const folder = mkdtempSync(join(tmpdir(), 'ttun-dependencies-'));
  try {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    for (const name of Object.keys(dependencies)) {
      const installed = join(root, 'node_modules', name);
      run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder, installed]);
    }
    registry.publish(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
