import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureTool } from './build.mjs';
import { publish } from './publish.mjs';
import { Stop } from './stop.mjs';

/** It knows no other registry: what was not published to it is not there. Anybody may publish. */
const CONFIGURATION = `
storage: ./storage
packages:
  '**': { access: $all, publish: $all }
log: { type: file, path: log.txt, level: warn }
web: { enable: false }
max_body_size: 100mb
`;

const START_LIMIT_MS = 60_000;

/**
 * A registry on this machine, for as long as some work takes.
 *
 * @param {string} node the Node that runs it; it asks for a newer one than we do
 * @param {(registry: Registry) => unknown} work
 */
export async function withRegistry(node, work) {
  const program = join(ensureTool('registry'), 'node_modules', 'verdaccio', 'bin', 'verdaccio');
  const folder = mkdtempSync(join(tmpdir(), 'ttun-registry-'));
  writeFileSync(join(folder, 'config.yaml'), CONFIGURATION);
  const port = await freePort();
  const listen = `127.0.0.1:${port}`;
  const child = spawn(node, [program, '--config', 'config.yaml', '--listen', listen], {
    cwd: folder,
    // It would rather not be run by root.
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
    stdio: 'inherit',
  });
  try {
    const registry = new Registry(`http://${listen}/`, folder);
    await registry.answers(child);
    return await work(registry);
  } finally {
    child.kill();
    await once(child, 'exit');
    rmSync(folder, { recursive: true });
  }
}

class Registry {
  /** As npm's setting `registry` takes it. */
  url;
  #settings;

  constructor(url, folder) {
    this.url = url;
    this.#settings = join(folder, 'npmrc');
    // npm publishes for nobody without a name, even where everybody may.
    writeFileSync(this.#settings, `registry=${url}\n${url.replace('http:', '')}:_authToken=anybody\n`);
  }

  /** Publishes all tarballs of a folder. */
  publish(folder) {
    // Where a tarball was built can't be attested here.
    publish(folder, ['--userconfig', this.#settings, '--provenance=false']);
  }

  async answers(child) {
    const limit = AbortSignal.timeout(START_LIMIT_MS);
    for (;;) {
      if (child.exitCode !== null || limit.aborted) throw new Stop('the registry does not start');
      const answer = await fetch(new URL('-/ping', this.url)).catch(() => null);
      if (answer?.ok) return;
      await delay(100);
    }
  }
}

/** A port that nobody listens on at present. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
