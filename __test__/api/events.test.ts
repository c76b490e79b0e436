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

test.serial('the state is told when it changes, with the one before', async (t) => {
  await using peer = await RemoteTunnel.open(sites.b, {
    device: 'tun0',
    local: '10.0.1.2:9000',
    remote: '10.0.1.1:9000',
  });
  const told = await runInSite(
    sites.a,
    `
    import { execFileSync } from 'node:child_process';
    import { once } from 'node:events';
    const tunnel = await createTunnel(options);
    tell(tunnel.state);
    const changed = once(tunnel, 'state');
    execFileSync('ping', ['-c', '1', '${sites.b.inner.ipv4}']);
    tell(await changed);
    tell([tunnel.state, tunnel.stats().state]);
    tunnel.on('state', (...states) => tell(states));
    await tunnel.close();
    tell(tunnel.state);
    `,
  );
  t.deepEqual(told, ['waiting', ['up', 'waiting'], ['up', 'up'], ['closed', 'up'], 'closed']);
  t.is((await peer.stats()).decap.packets, 1);
});

test.serial(
  'a tunnel that is closed tells so once, after its state and before `closed` resolves',
  async (t) => {
    const told = await runInSite(
      sites.a,
      `
    const tunnel = await createTunnel(options);
    for (const event of ['state', 'peer', 'error', 'close']) tunnel.on(event, (...values) => tell([event, ...values]));
    await tunnel.close();
    tell('closed');
    await tunnel.close();
    `,
    );
    t.deepEqual(told, [['state', 'closed', 'waiting'], ['close', { reason: 'closed' }], 'closed']);
  },
);

test.serial('a tunnel that fails tells the error, and then that it has ended', async (t) => {
  const told = await withOwnSite((own) =>
    runInSite(
      own.a,
      `${DELETE_DEVICE}
      const tunnel = await createTunnel(options);
      for (const event of ['state', 'error', 'close']) {
        tunnel.on(event, (value) => tell([event, value.code ?? value.error?.code ?? value]));
      }
      deleteDevice();
      tell((await tunnel.closed).reason);
      `,
    ),
  );
  t.deepEqual(told, [
    ['state', 'closed'],
    ['error', 'ERR_TTUN_DEVICE_GONE'],
    ['close', 'ERR_TTUN_DEVICE_GONE'],
    'failed',
  ]);
});

test.serial('a failure that nobody listens to does not end the program', async (t) => {
  const told = await withOwnSite((own) =>
    runInSite(
      own.a,
      `${DELETE_DEVICE}
      import { errorMonitor } from 'node:events';
      const tunnel = await createTunnel(options);
      tunnel.on(errorMonitor, ({ code }) => tell(code));
      deleteDevice();
      const { reason, error } = await tunnel.closed;
      tell([reason, error.code]);
      `,
    ),
  );
  t.deepEqual(told, ['ERR_TTUN_DEVICE_GONE', ['failed', 'ERR_TTUN_DEVICE_GONE']]);
});

test.serial(
  'a listener that throws is an uncaught exception; the tunnel and other listeners go on',
  async (t) => {
    const told = await runInSite(
      sites.a,
      `
    const tunnel = await createTunnel(options);
    process.on('uncaughtException', ({ message }) => tell(message));
    tunnel.on('state', () => { throw new Error('in state'); });
    tunnel.once('close', ({ reason }) => { tell(reason); throw new Error('in close'); });
    await tunnel.close();
    tell(await tunnel.closed);
    `,
    );
    t.deepEqual(told, ['in state', 'closed', 'in close', { reason: 'closed' }]);
  },
);

test.serial('timers run only while somebody listens to the state, and hold no process', async (t) => {
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
    tell(looks.length);
    tunnel.removeAllListeners();
    const listener = () => {};
    tunnel.on('state', listener);
    while (looks.length < 2) await settle(10);
    tunnel.off('state', listener);
    const seen = looks.length;
    while (looks.length === seen) await settle(10);
    await settle(1300);
    tell(looks.length - seen);
    tunnel.on('state', listener);
    tunnel.unref();
    `,
  );
  t.deepEqual(counts, [0, 1], 'none at first; after the last listener went, the one that notices it');
});

test.serial("Node's own helpers for emitters work with tunnels", async (t) => {
  const told = await runInSite(
    sites.a,
    `
    import { on, once } from 'node:events';
    const tunnel = await createTunnel(options);
    const closing = once(tunnel, 'close');
    const states = on(tunnel, 'state', { close: ['close'] });
    tunnel.close();
    tell(await closing);
    for await (const change of states) tell(change);
    `,
  );
  t.deepEqual(told, [[{ reason: 'closed' }], ['closed', 'waiting']]);
});

test.serial('a program may listen from several threads, each to its own tunnel', async (t) => {
  const told = await runInSite(
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
    tell((await once(worker, 'message'))[0]);
    await once(worker, 'exit');
    `,
  );
  t.deepEqual(told, [[{ reason: 'closed' }, 'closed']]);
});
