/**
 * npm run test:packages: builds the packages for all platforms, publishes them to a registry on this machine, and uses them as users
 * would: with several versions of Node, with musl, and on an emulated arm64.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runtimeDependencies } from './lib/dependencies.mjs';
import { ensureForeignNodes } from './lib/foreign-nodes.mjs';
import { handOver, root, run, runScript, Stop } from './lib/run.mjs';
import { build, checkCompilers, ensureDependencies, ensureTool, requireTools } from './lib/setup.mjs';

/** Programs that the tests run, and the Debian packages that contain them. */
const TOOLS = { ip: 'iproute2', ping: 'iputils-ping', readelf: 'binutils' };

/** It asks no other registry: a package that was not published here does not exist. Anyone may publish. */
const CONFIGURATION = `
storage: ./storage
packages:
  '**': { access: $all, publish: $all }
log: { type: file, path: log.txt, level: warn }
web: { enable: false }
max_body_size: 100mb
`;

await runScript(async () => {
  if (process.getuid() !== 0 || process.arch !== 'x64') {
    throw new Stop('these tests create network namespaces and emulate arm64: run them as root on x86-64');
  }
  checkCompilers();
  requireTools(TOOLS);
  ensureDependencies();
  const packages = ensureTool('packages');
  ensureForeignNodes();
  build();
  run('node', ['scripts/build-platforms.mjs']);
  // The static program as it is released; `npm test` runs one built for this machine.
  const staticProgram = join(root, 'artifacts', 'ttun-linux-x64');
  run('npx', ['ava', '__test__/static-program/**'], { TTUN_STATIC_PROGRAM: staticProgram });
  run('node', ['scripts/pack.mjs', '--built', '--platforms']);
  return withRegistry(packages, (url, publish) => {
    publish(join(root, 'packed'));
    publishDependencies(publish);
    const ava = ['ava', '--config', 'published.config.mjs', ...process.argv.slice(2)];
    return handOver('npx', ava, { TTUN_TEST_REGISTRY: url });
  });
});

/** Publishes the packages that ttun depends on, as they are installed here. */
function publishDependencies(publish) {
  const folder = mkdtempSync(join(tmpdir(), 'ttun-dependencies-'));
  try {
    const installed = runtimeDependencies().map((name) => join(root, 'node_modules', name));
    run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder, ...installed]);
    publish(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs a registry on this machine while `work(url, publish)` does something with it. */
async function withRegistry(packages, work) {
  const folder = mkdtempSync(join(tmpdir(), 'ttun-registry-'));
  const listen = `127.0.0.1:${await freePort()}`;
  const url = `http://${listen}/`;
  const settings = join(folder, 'npmrc');
  writeFileSync(join(folder, 'config.yaml'), CONFIGURATION);
  // npm publishes only with a token, even where anyone may.
  writeFileSync(settings, `registry=${url}\n//${listen}/:_authToken=anyone\n`);
  // It needs a newer Node than ttun does.
  const node = join(packages, 'node_modules', 'node-24', 'bin', 'node');
  const program = join(packages, 'node_modules', 'verdaccio', 'bin', 'verdaccio');
  const registry = spawn(node, [program, '--config', 'config.yaml', '--listen', listen], {
    cwd: folder,
    // It warns when run as root.
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
    stdio: 'inherit',
  });
  try {
    await answers(url, registry);
    // Without provenance, which only a workflow on GitHub can attest.
    const options = ['--userconfig', settings, '--provenance=false'];
    return await work(url, (from) => run('node', ['scripts/publish.mjs', from, ...options]));
  } finally {
    registry.kill();
    await once(registry, 'exit');
    rmSync(folder, { recursive: true });
  }
}

async function answers(url, registry) {
  const limit = AbortSignal.timeout(60_000);
  for (;;) {
    if (registry.exitCode !== null || limit.aborted) throw new Stop('the registry did not start');
    const answer = await fetch(new URL('-/ping', url)).catch(() => null);
    if (answer?.ok) return;
    await delay(100);
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
