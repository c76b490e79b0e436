import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { RemoteTunnel } from '../../testbed/tunnel.ts';
import { runInSite } from './in-site.ts';

let sites: Sites;
test.before(async () => {
  sites = await createSites();
});
test.after.always(() => sites[Symbol.asyncDispose]());

test.serial('exact statistics are the same, with every counter as a bigint', async (t) => {
  await using peer = await RemoteTunnel.open(sites.b, {
    device: 'tun0',
    local: '10.0.1.2:9000',
    remote: '10.0.1.1:9000',
  });
  const [numbers, exact] = await runInSite(
    sites.a,
    `
    import { execFileSync } from 'node:child_process';
    const tunnel = await createTunnel(options);
    execFileSync('ping', ['-c', '2', '-i', '0.2', '${sites.b.inner.ipv4}']);
    await tunnel.close();
    const withoutTime = ({ timestamp, decap: { lastAt, ...decap }, ...stats }) => ({ ...stats, decap });
    report(withoutTime(tunnel.stats()));
    const digits = (key, value) => typeof value === 'bigint' ? 'bigint ' + value : value;
    report(JSON.parse(JSON.stringify(withoutTime(tunnel.stats({ bigint: true })), digits)));
    `,
    { timeoutMs: 30_000 },
  );
  const ofProbe = ['sent', 'received', 'lost', 'late', 'measurements', 'rttSum', 'buckets'];
  const counts = new Set([
    'peerChanges',
    'reconnects',
    'receiveOverflow',
    'errors',
    'marked',
    'delayed',
    'delaySum',
    'encap',
    'decap',
    ...ofProbe,
  ]);
  const toDigits = (value: unknown, counted: boolean): unknown => {
    if (typeof value === 'number') return counted ? `bigint ${value}` : value;
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value);
    return Object.fromEntries(
      entries.map(([key, inner]) => [key, toDigits(inner, counted || counts.has(key))]),
    );
  };
  t.like(numbers, { encap: { packets: 2 }, decap: { packets: 2 } });
  t.deepEqual(exact, toDigits(numbers, false));
  t.is((await peer.stats()).encap.packets, 2);
});

test.serial('a snapshot stays as it was taken', async (t) => {
  const [first, later] = await runInSite(
    sites.a,
    `
    const tunnel = await createTunnel(options);
    const first = tunnel.stats();
    const text = JSON.stringify(first);
    await tunnel.close();
    tunnel.stats();
    tunnel.stats({ bigint: true });
    report(text === JSON.stringify(first));
    report(Object.isFrozen(first.device.offload));
    `,
  );
  t.deepEqual([first, later], [true, true]);
});

test.serial('time advances while the tunnel is open, and stops at its end', async (t) => {
  const [open, closed, wait] = await runInSite(
    sites.a,
    `
    const tunnel = await createTunnel(options);
    const uptimes = [];
    const openedAt = new Set();
    for (let reading = 0; reading < 1000; reading += 1) {
      const stats = tunnel.stats();
      uptimes.push(stats.uptimeMs);
      openedAt.add(stats.openedAt);
    }
    report(uptimes.every((uptime, index) => index === 0 || uptime > uptimes[index - 1]));
    await tunnel.close();
    const { uptimeMs } = tunnel.stats();
    await new Promise((resolve) => setTimeout(resolve, 20));
    report(tunnel.stats().uptimeMs === uptimeMs && uptimeMs >= uptimes.at(-1));
    report([...openedAt, tunnel.stats().openedAt].every((at) => at === tunnel.stats().openedAt));
    `,
  );
  t.deepEqual([open, closed, wait], [true, true, true]);
});

test.serial('errors of the socket appear and increase in both kinds of statistics', async (t) => {
  const [numbers, exact] = await runInSite(
    sites.a,
    `
    import { spawnSync } from 'node:child_process';
    const tunnel = await createTunnel(options);
    while ((tunnel.stats().socket.errors.ECONNREFUSED ?? 0) < 2) {
      spawnSync('ping', ['-c', '1', '-W', '0.1', '${sites.b.inner.ipv4}']);
    }
    await tunnel.close();
    report(tunnel.stats().socket.errors);
    report(Object.entries(tunnel.stats({ bigint: true }).socket.errors).map(([name, count]) => [name, typeof count, Number(count)]));
    `,
  );
  const { ECONNREFUSED } = Object(numbers);
  t.true(ECONNREFUSED >= 2);
  t.deepEqual(exact, [['ECONNREFUSED', 'bigint', ECONNREFUSED]]);
});
