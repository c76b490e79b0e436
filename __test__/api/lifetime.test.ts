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

const LEFT = `
  import { readdirSync, readFileSync } from 'node:fs';
  const count = (what) => readdirSync('/proc/self/' + what).length;
  const threads = () => readdirSync('/proc/self/task').filter((task) => {
    try { return readFileSync('/proc/self/task/' + task + '/comm', 'utf8').startsWith('ttun-'); } catch { return false; }
  }).length;
  /** The thread of a tunnel reports the end of it just before it exits. */
  const threadsGone = async () => { while (threads() > 0) await new Promise((resolve) => setTimeout(resolve, 1)); };
  const left = () => ({ descriptors: count('fd'), timers: process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length });
  const megabytes = () => {
    for (let round = 0; round < 3; round += 1) globalThis.gc();
    return Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
  };
`;

test.serial(
  'a thousand tunnels, used and closed, leave no descriptors, threads or memory behind',
  async (t) => {
    const [same, grown] = await runInSite(
      sites.a,
      `${LEFT}
    const use = async () => {
      const tunnel = await createTunnel(options);
      tunnel.on('state', () => {}).once('close', () => {});
      tunnel.stats();
      tunnel.stats({ bigint: true });
      const samples = tunnel.samples();
      const last = samples.next();
      await tunnel.close();
      await last;
    };
    // What is made once is made by then, and the heap has the size that it needs.
    for (let round = 0; round < 300; round += 1) await use();
    await threadsGone();
    const [before, rss] = [left(), megabytes()];
    for (let round = 0; round < 1000; round += 1) await use();
    await threadsGone();
    const grown = megabytes() - rss;
    const after = left();
    report(JSON.stringify(after) === JSON.stringify(before) ? 'same' : [before, after]);
    report(grown);
    `,
      { nodeFlags: ['--expose-gc'], timeoutMs: 60_000 },
    );
    t.is(same, 'same');
    // A socket or a ring that is kept a thousand times would show as tens of megabytes.
    t.true(Number(grown) < 8, `${String(grown)} MB more`);
  },
);

test.serial('tunnels that fail to open leave nothing behind either', async (t) => {
  const [same] = await runInSite(
    sites.a,
    `${LEFT}
    const fail = () => createTunnel({ ...options, local: '192.0.2.77:9000' }).catch(({ code }) => code);
    const codes = new Set();
    for (let round = 0; round < 50; round += 1) codes.add(await fail());
    await threadsGone();
    const before = left();
    for (let round = 0; round < 200; round += 1) codes.add(await fail());
    await threadsGone();
    report(JSON.stringify(left()) === JSON.stringify(before) ? [...codes] : [before, left()]);
    `,
  );
  t.deepEqual(same, ['ERR_TTUN_ADDRESS_NOT_LOCAL']);
});

test.serial('aborting at any time while a tunnel opens leaves the device free', async (t) => {
  const reported = await runInSite(
    sites.a,
    `${LEFT}
    const outcomes = new Set();
    const openAndClose = async () => (await createTunnel(options)).close();
    await openAndClose();
    await threadsGone();
    const before = left();
    for (let round = 0; round < 100; round += 1) {
      const controller = new AbortController();
      const opening = createTunnel(options, { signal: controller.signal });
      const abort = () => controller.abort(new Error('enough'));
      // At once, when it is open, and at moments between.
      if (round % 10 === 0) abort();
      else if (round % 10 === 1) void opening.then(abort);
      else setTimeout(abort, round % 10 - 2);
      // Aborted before it was open it rejects, and after that it closes.
      outcomes.add(await opening.then(async (tunnel) => (await tunnel.closed).reason, ({ message }) => message));
    }
    await openAndClose();
    await threadsGone();
    const after = left();
    report([...outcomes].toSorted());
    report(JSON.stringify(after) === JSON.stringify(before) ? 'same' : [before, after]);
    `,
  );
  t.deepEqual(reported, [['closed', 'enough'], 'same']);
});

for (const [what, end, expected] of [
  ['process.exit()', 'process.exit(3);', 3],
  ['an uncaught exception', `throw new Error('expected');`, 1],
  ['nothing being left to do', 'tunnel.unref();', 0],
] as const) {
  test.serial(`a device is restored when the program is ended by ${what}`, async (t) => {
    const device = (): Promise<string> => sites.a.ip('address', 'show', 'dev', sites.a.tun);
    const before = await device();
    const program = `
      import { spawnSync } from 'node:child_process';
      const { createTunnel } = await import('${PACKAGE}');
      const tunnel = await createTunnel({
        device: '${sites.a.tun}', local: '${sites.a.outer.ipv4}:9000', remote: '10.0.1.2:9000',
        interface: { addresses: ['10.77.0.1/24'], mtu: 1300 },
      });
      console.log(spawnSync('ip', ['-brief', 'address']).stdout.toString());
      ${end}
    `;
    const { stdout, status } = await sites.a.runToEnd([
      process.execPath,
      '--input-type=module',
      '-e',
      program,
    ]);
    t.regex(stdout, /10\.77\.0\.1\/24/);
    t.is(status, expected);
    t.is(await device(), before);
  });
}

test.serial('under full load, no JavaScript runs except what the program started', async (t) => {
  await using peer = await RemoteTunnel.open(sites.b, {
    device: 'tun0',
    local: '10.0.1.2:9000',
    remote: '10.0.1.1:9000',
  });
  const flood = sites.b.start(['ping', '-f', '-q', sites.a.inner.ipv4]);
  const [seen] = await runInSite(
    sites.a,
    `
    import { createHook } from 'node:async_hooks';
    import { setTimeout as sleep } from 'node:timers/promises';
    const tunnel = await createTunnel(options);
    tunnel.on('close', () => {}).on('error', () => {}).on('peer', () => {});
    while (tunnel.stats().decap.packets < 100) await sleep(5);
    await sleep(20);
    let callbacks = 0;
    const hook = createHook({ before() { callbacks += 1; } }).enable();
    const before = tunnel.stats().decap.packets;
    // One timer of the program itself, and what resolves its promise.
    await sleep(1000);
    hook.disable();
    report({ callbacks, packets: tunnel.stats().decap.packets - before });
    await tunnel.close();
    `,
  );
  await flood.stop('SIGINT');
  const { callbacks, packets } = Object(seen);
  t.true(packets > 1000, `${packets} packets`);
  t.true(callbacks <= 3, `${callbacks} callbacks`);
  t.true((await peer.stats()).encap.packets > 0);
});

test.serial('closing under full load is quick', async (t) => {
  await using peer = await RemoteTunnel.open(sites.b, {
    device: 'tun0',
    local: '10.0.1.2:9000',
    remote: '10.0.1.1:9000',
  });
  const flood = sites.b.start(['ping', '-f', '-q', sites.a.inner.ipv4]);
  const reported = await runInSite(
    sites.a,
    `
    import { setTimeout as sleep } from 'node:timers/promises';
    for (let round = 0; round < 10; round += 1) {
      const tunnel = await createTunnel(options);
      while (tunnel.stats().decap.packets < 100) await sleep(5);
      await tunnel.close();
      const { encap, decap } = tunnel.stats();
      report(encap.received === encap.packets + encap.dropped && decap.received === decap.packets + decap.dropped);
    }
    `,
  );
  await flood.stop('SIGINT');
  t.deepEqual(
    reported,
    Array.from({ length: 10 }, () => true),
  );
  t.true((await peer.stats()).encap.packets > 0);
});
