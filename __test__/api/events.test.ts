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

/** Deletes the device of the site from inside its namespace. */
const DELETE_DEVICE = `
  import { execFileSync } from 'node:child_process';
  const deleteDevice = () => execFileSync('ip', ['link', 'delete', options.device]);
`;

/** Sites whose device may be deleted. */
async function withOwnSite<T>(run: (own: Sites) => Promise<T>): Promise<T> {
  await using own = await createSites();
  return await run(own);
}

test.serial('a change of the state is emitted, with the previous state', async (t) => {
  await using peer = await RemoteTunnel.open(sites.b, {
    device: 'tun0',
    local: '10.0.1.2:9000',
    remote: '10.0.1.1:9000',
  });
  const reported = await runInSite(
    sites.a,
    `
    import { execFileSync } from 'node:child_process';
    import { once } from 'node:events';
    const tunnel = await createTunnel(options);
    report(tunnel.state);
    const changed = once(tunnel, 'state');
    execFileSync('ping', ['-c', '1', '${sites.b.inner.ipv4}']);
    report(await changed);
    report([tunnel.state, tunnel.stats().state]);
    tunnel.on('state', (...states) => report(states));
    await tunnel.close();
    report(tunnel.state);
    `,
  );
  t.deepEqual(reported, ['waiting', ['up', 'waiting'], ['up', 'up'], ['closed', 'up'], 'closed']);
  t.is((await peer.stats()).decap.packets, 1);
});

test.serial(
  'a tunnel that is closed emits that once, after its state and before `closed` resolves',
  async (t) => {
    const reported = await runInSite(
      sites.a,
      `
    const tunnel = await createTunnel(options);
    for (const event of ['state', 'peer', 'error', 'close']) tunnel.on(event, (...values) => report([event, ...values]));
    await tunnel.close();
    report('closed');
    await tunnel.close();
    `,
    );
    t.deepEqual(reported, [['state', 'closed', 'waiting'], ['close', { reason: 'closed' }], 'closed']);
  },
);

test.serial('a tunnel that fails emits the error, and then its end', async (t) => {
  const reported = await withOwnSite((own) =>
    runInSite(
      own.a,
      `${DELETE_DEVICE}
      const tunnel = await createTunnel(options);
      for (const event of ['state', 'error', 'close']) {
        tunnel.on(event, (value) => report([event, value.code ?? value.error?.code ?? value]));
      }
      deleteDevice();
      report((await tunnel.closed).reason);
      `,
    ),
  );
  t.deepEqual(reported, [
    ['state', 'closed'],
    ['error', 'ERR_TTUN_DEVICE_GONE'],
    ['close', 'ERR_TTUN_DEVICE_GONE'],
    'failed',
  ]);
});

test.serial('a failure without a listener does not end the program', async (t) => {
  const reported = await withOwnSite((own) =>
    runInSite(
      own.a,
      `${DELETE_DEVICE}
      import { errorMonitor } from 'node:events';
      const tunnel = await createTunnel(options);
      tunnel.on(errorMonitor, ({ code }) => report(code));
      deleteDevice();
      const { reason, error } = await tunnel.closed;
      report([reason, error.code]);
      `,
    ),
  );
  t.deepEqual(reported, ['ERR_TTUN_DEVICE_GONE', ['failed', 'ERR_TTUN_DEVICE_GONE']]);
});

test.serial(
  'a listener that throws causes an uncaught exception; the tunnel and other listeners continue',
  async (t) => {
    const reported = await runInSite(
      sites.a,
      `
    const tunnel = await createTunnel(options);
    process.on('uncaughtException', ({ message }) => report(message));
    tunnel.on('state', () => { throw new Error('in state'); });
    tunnel.once('close', ({ reason }) => { report(reason); throw new Error('in close'); });
    await tunnel.close();
    report(await tunnel.closed);
    `,
    );
    t.deepEqual(reported, ['in state', 'closed', 'in close', { reason: 'closed' }]);
  },
);

test.serial('timers run only while the state has listeners, and do not keep the process alive', async (t) => {
  const counts = await runInSite(
    sites.a,
    `
    import { once } from 'node:events';
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const looks = [];
    const { setInterval } = globalThis;
    globalThis.setInterval = (callback, ms) => setInterval(() => { looks.push(ms); callback(); }, ms);
    const tunnel = await createTunnel(options);
    const settle = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    await settle(1300);
    report(looks.length);
    tunnel.removeAllListeners();
    const listener = () => {};
    tunnel.on('state', listener);
    while (looks.length < 2) await settle(10);
    tunnel.off('state', listener);
    const seen = looks.length;
    while (looks.length === seen) await settle(10);
    await settle(1300);
    report(looks.length - seen);
    tunnel.on('state', listener);
    tunnel.unref();
    `,
  );
  t.deepEqual(counts, [0, 1], 'none at first; after the last listener went, the one that notices it');
});

test.serial("Node's own helpers for emitters work with tunnels", async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    import { on, once } from 'node:events';
    const tunnel = await createTunnel(options);
    const closing = once(tunnel, 'close');
    const states = on(tunnel, 'state', { close: ['close'] });
    tunnel.close();
    report(await closing);
    for await (const change of states) report(change);
    `,
  );
  t.deepEqual(reported, [[{ reason: 'closed' }], ['closed', 'waiting']]);
});

test.serial('several threads may each listen to their own tunnel', async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    const program = \`
      const { parentPort, workerData } = require('node:worker_threads');
      import(workerData.url).then(async ({ createTunnel }) => {
        const tunnel = await createTunnel(workerData.options);
        tunnel.on('close', (end) => parentPort.postMessage([end, tunnel.stats().state]));
        await tunnel.close();
      });
    \`;
    const worker = new Worker(program, { eval: true, execArgv: [], workerData: { options, url: '${PACKAGE}' } });
    report((await once(worker, 'message'))[0]);
    await once(worker, 'exit');
    `,
  );
  t.deepEqual(reported, [[{ reason: 'closed' }, 'closed']]);
});
