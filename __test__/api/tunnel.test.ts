import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { openPair, RemoteTunnel } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { PACKAGE, runInSite } from './in-site.ts';

let sites: Sites;
test.before(async () => {
  sites = await createSites();
});
test.after.always(() => sites[Symbol.asyncDispose]());

test.serial('a tunnel carries packets, counts them, and describes itself', async (t) => {
  const pair = await openPair(sites);
  await using a = pair[0];
  await using b = pair[1];
  await sites.a.run(['ping', '-c', '3', '-i', '0.2', sites.b.inner.ipv4]);

  const stats = await a.stats();
  t.like(stats, {
    state: 'up',
    device: { name: 'tun0', mtu: 1452 },
    socket: {
      local: '10.0.1.1:9000',
      remote: '10.0.1.2:9000',
      pathMtu: 1500,
      receiveOverflow: 0,
      errors: {},
    },
    encap: { received: 3, packets: 3, bytes: 3 * 84, dropped: 0 },
    decap: { received: 3, packets: 3, bytes: 3 * 84, dropped: 0 },
  });
  t.true(stats.uptimeMs > 0 && Math.abs(stats.timestamp - Date.now()) < 60_000);
  t.true(stats.decap.lastAt !== null && stats.decap.lastAt <= stats.timestamp);
  t.is((await b.stats()).decap.packets, 3);
});

test.serial('ICMP errors are counted by name', async (t) => {
  await using a = await RemoteTunnel.open(sites.a, {
    device: 'tun0',
    local: '10.0.1.1:9000',
    remote: '10.0.1.2:9000',
  });
  await sites.a.runToEnd(['ping', '-c', '2', '-i', '0.2', '-W', '0.2', sites.b.inner.ipv4]);
  const refused = await waitFor('a refusal', async () => (await a.stats()).socket.errors['ECONNREFUSED']);
  t.true(refused >= 1);
});

test.serial('close() may be called twice, and the last statistics stay and add up', async (t) => {
  const [end, stats] = await runInSite(
    sites.a,
    `
    const tunnel = await createTunnel(options);
    await Promise.all([tunnel.close(), tunnel.close()]);
    await tunnel.close();
    report(await tunnel.closed);
    report(tunnel.stats());
    `,
  );
  t.deepEqual(end, { reason: 'closed' });
  t.like(stats, { state: 'closed' });
  const { encap, decap } = Object(stats);
  t.is(encap.received, encap.packets + encap.dropped);
  t.is(decap.received, decap.packets + decap.dropped);
});

test.serial('closing frees device and port for the next tunnel', async (t) => {
  const ends = await runInSite(
    sites.a,
    `
    for (let round = 0; round < 20; round += 1) {
      const tunnel = await createTunnel(options);
      await tunnel[Symbol.asyncDispose]();
      report((await tunnel.closed).reason);
    }
    `,
  );
  t.deepEqual(
    ends,
    Array.from({ length: 20 }, () => 'closed'),
  );
});

/** An un-ref'd timer fires only while something else keeps the process alive. */
const TELL_WHEN_KEPT_ALIVE = `setTimeout(() => { report('kept alive'); process.exit(); }, 300).unref();`;

test.serial('an open tunnel keeps the process alive', async (t) => {
  const reported = await runInSite(
    sites.a,
    `const tunnel = await createTunnel(options);${TELL_WHEN_KEPT_ALIVE}`,
  );
  t.deepEqual(reported, ['kept alive']);
});

test.serial("an un-ref'd tunnel does not keep the process alive, until it is ref'd again", async (t) => {
  const unref = `const tunnel = await createTunnel(options); tunnel.unref();`;
  t.deepEqual(await runInSite(sites.a, `${unref}${TELL_WHEN_KEPT_ALIVE}`), []);
  t.deepEqual(await runInSite(sites.a, `${unref} tunnel.ref();${TELL_WHEN_KEPT_ALIVE}`), ['kept alive']);
});

test.serial("the end of an un-ref'd tunnel can be awaited", async (t) => {
  const reported = await runInSite(
    sites.a,
    `const tunnel = await createTunnel(options); tunnel.unref(); await tunnel.close(); report('closed');`,
  );
  t.deepEqual(reported, ['closed']);
});

test.serial('a closed tunnel lets the process end', async (t) => {
  const program = `const tunnel = await createTunnel(options); await tunnel.close();${TELL_WHEN_KEPT_ALIVE}`;
  t.deepEqual(await runInSite(sites.a, program), []);
});

test.serial('a tunnel without references continues to run', async (t) => {
  const [first, second] = await runInSite(
    sites.a,
    `
    import { readlinkSync, readdirSync } from 'node:fs';
    import { setImmediate } from 'node:timers/promises';
    const attached = () => readdirSync('/proc/self/fd').filter((fd) => {
      try { return readlinkSync('/proc/self/fd/' + fd) === '/dev/net/tun'; } catch { return false; }
    }).length;
    await createTunnel(options);
    report(attached());
    for (let round = 0; round < 5; round += 1) { globalThis.gc(); await setImmediate(); }
    report(attached());
    process.exit();
    `,
    { nodeFlags: ['--expose-gc'], timeoutMs: 60_000 },
  );
  t.is(first, 1);
  t.is(second, 1);
});

test.serial('an aborted signal opens nothing', async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    const signal = AbortSignal.abort(new Error('changed my mind'));
    await createTunnel(options, { signal }).catch((error) => report(error.message));
    `,
  );
  t.deepEqual(reported, ['changed my mind']);
});

test.serial('a signal that is aborted while the tunnel opens leaves nothing open', async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    const controller = new AbortController();
    const opening = createTunnel(options, { signal: controller.signal });
    controller.abort(new Error('changed my mind'));
    await opening.catch((error) => report(error.message));
    const tunnel = await createTunnel(options);
    await tunnel.close();
    report('opened and closed');
    `,
  );
  t.deepEqual(reported, ['changed my mind', 'opened and closed']);
});

test.serial('a signal that is aborted later closes the tunnel', async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    const controller = new AbortController();
    const tunnel = await createTunnel(options, { signal: controller.signal });
    controller.abort();
    report(await tunnel.closed);
    `,
  );
  t.deepEqual(reported, [{ reason: 'closed' }]);
});

test.serial('a worker that is terminated frees its tunnel', async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    const program = \`
      const { parentPort, workerData } = require('node:worker_threads');
      import(workerData.url)
        .then(({ createTunnel }) => createTunnel(workerData.options))
        .then(() => parentPort.postMessage('open'));
    \`;
    const url = '${PACKAGE}';
    const worker = new Worker(program, { eval: true, execArgv: [], workerData: { options, url } });
    report((await once(worker, 'message'))[0]);
    await worker.terminate();
    const tunnel = await createTunnel(options);
    await tunnel.close();
    report('opened again');
    `,
  );
  t.deepEqual(reported, ['open', 'opened again']);
});

test.serial('a deleted device ends the tunnel with its own error', async (t) => {
  await using deleted = await createSites();
  await using a = await RemoteTunnel.open(deleted.a, {
    device: 'tun0',
    local: '10.0.1.1:9000',
    remote: '10.0.1.2:9000',
  });
  await deleted.a.ip('link', 'delete', 'tun0');
  const { reason, error } = await a.closed();
  t.is(reason, 'failed');
  t.like(error, { name: 'TtunError', fields: { code: 'ERR_TTUN_DEVICE_GONE' } });
  await t.notThrowsAsync(a.close());
});

test.serial('an error of a system call has its name, its number as Node gives it, and a hint', async (t) => {
  const [failure] = await runInSite(
    sites.a,
    `
    import { getSystemErrorName } from 'node:util';
    const first = await createTunnel(options);
    await createTunnel({ ...options, local: '10.0.1.1:9001' }).catch((error) => report({
      isTtunError: error instanceof TtunError,
      code: error.code,
      errno: getSystemErrorName(error.errno),
      syscall: typeof error.syscall,
      hint: typeof error.hint,
      shown: String(error),
    }));
    await first.close();
    `,
  );
  t.like(failure, {
    isTtunError: true,
    code: 'ERR_TTUN_DEVICE_BUSY',
    errno: 'EBUSY',
    syscall: 'string',
    hint: 'string',
  });
  t.regex(Object(failure).shown, /^TtunError: .*tun0/);
});

test.serial('the interface of a link-local address is looked up when the tunnel opens', async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    const remote = '[fe80::2%nowhere]:9000';
    await createTunnel({ ...options, local: ':9000', remote }).catch(({ code, message, hint }) => report([code, message, hint]));
    `,
  );
  t.deepEqual(reported, [
    [
      'ERR_TTUN_BIND_DEVICE_NOT_FOUND',
      'there is no interface nowhere for a link-local address',
      'ip -brief link lists the interfaces of this host',
    ],
  ]);
});
