import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { RemoteTunnel } from '../../testbed/tunnel.ts';
import { PACKAGE, runInSite } from './in-site.ts';

let sites: Sites;
test.before(async () => {
  sites = await createSites();
});
test.after.always(() => sites[Symbol.asyncDispose]());

/** `startWorker()` starts a thread that opens the tunnel of the site and runs `use` with it; `left()` returns the resources of the process. */
function withWorkers(use: string): string {
  const program = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.url).then(async ({ createTunnel }) => {
      parentPort.postMessage('opening');
      const tunnel = await createTunnel(workerData.options);
      ${use}
      parentPort.postMessage('open');
    });
  `;
  return `
    import { once } from 'node:events';
    import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
    import { Worker } from 'node:worker_threads';
    const startWorker = () =>
      new Worker(${JSON.stringify(program)}, { eval: true, execArgv: [], workerData: { options, url: '${PACKAGE}' } });
    const reported = async (worker, what) => { while ((await once(worker, 'message'))[0] !== what); };
    const left = () => ({
      descriptors: readdirSync('/proc/self/fd').filter((fd) => {
        try { return /tun|socket/.test(readlinkSync('/proc/self/fd/' + fd)); } catch { return false; }
      }).length,
      threads: readdirSync('/proc/self/task').filter((task) => {
        try { return readFileSync('/proc/self/task/' + task + '/comm', 'utf8').startsWith('ttun-'); } catch { return false; }
      }).length,
    });
    const settled = async (before) => {
      while (JSON.stringify(left()) !== JSON.stringify(before)) await new Promise((resolve) => setTimeout(resolve, 5));
    };
  `;
}

test.serial('workers that are terminated under load, at any time, leave nothing behind', async (t) => {
  await using peer = await RemoteTunnel.open(sites.b, {
    device: 'tun0',
    local: '10.0.1.2:9000',
    remote: '10.0.1.1:9000',
  });
  const flood = sites.b.start(['ping', '-f', '-q', sites.a.inner.ipv4]);
  const reported = await runInSite(
    sites.a,
    `${withWorkers(`
      tunnel.on('state', () => {});
      setInterval(() => tunnel.stats(), 1);
      void (async () => { for await (const sample of tunnel.samples({ intervalMs: 5 })); })();
    `)}
    const before = left();
    for (let round = 0; round < 30; round += 1) {
      const worker = startWorker();
      await reported(worker, round % 3 === 0 ? 'opening' : 'open');
      if (round % 3 === 2) await new Promise((resolve) => setTimeout(resolve, 20));
      await worker.terminate();
      await settled(before);
    }
    const tunnel = await createTunnel(options);
    while (tunnel.stats().decap.packets === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await tunnel.close();
    await settled(before);
    report('the device is free and carries packets');
    `,
    { timeoutMs: 60_000 },
  );
  await flood.stop('SIGINT');
  t.deepEqual(reported, ['the device is free and carries packets']);
  t.true((await peer.stats()).encap.packets > 0);
});

test.serial('a worker exits on its own if its tunnel does not keep it alive', async (t) => {
  const reported = await runInSite(
    sites.a,
    `${withWorkers('tunnel.unref();')}
    const worker = startWorker();
    report(await once(worker, 'exit'));
    const tunnel = await createTunnel(options);
    await tunnel.close();
    report('free');
    `,
  );
  t.deepEqual(reported, [[0], 'free']);
});

test.serial('a worker that ends itself frees its tunnel', async (t) => {
  const reported = await runInSite(
    sites.a,
    `${withWorkers('process.exit(3);')}
    const worker = startWorker();
    report(await once(worker, 'exit'));
    const tunnel = await createTunnel(options);
    await tunnel.close();
    report('free');
    `,
  );
  t.deepEqual(reported, [[3], 'free']);
});
