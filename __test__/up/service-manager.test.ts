import { join } from 'node:path';
import test from 'ava';
import { describeStatus } from '../../src/service/service-manager.ts';
import type { NotifyMessage } from '../../testbed/probe.ts';
import { NotifySocket } from '../../testbed/probe.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { waitFor } from '../../testbed/wait.ts';
import { reportOf } from '../stats-of-nothing.ts';
import { officeAtA, UpFolder } from './up.ts';

let sites: Sites;
test.before(async () => {
  sites = await createSites();
});
test.after.always(() => sites[Symbol.asyncDispose]());

const LATE = { device: 'tunlate', local: '10.0.1.1:9200', remote: '10.0.1.2:9200' };

function linesOf({ messages }: NotifySocket): string[] {
  return messages.flatMap(({ lines }) => lines);
}

function monotonicUsec({ lines }: NotifyMessage): number {
  const line = lines.find((candidate) => candidate.startsWith('MONOTONIC_USEC=')) ?? '';
  return Number(line.slice('MONOTONIC_USEC='.length));
}

test.serial(
  'it is ready once each tunnel has been tried, and reports changes and that it stops',
  async (t) => {
    await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites), late: LATE } });
    const path = join(folder.directory, 'notify');
    await using manager = await NotifySocket.start(sites.a, path);
    await using up = folder.up(sites.a, [], { NOTIFY_SOCKET: path });
    await manager.message('READY=1');
    t.deepEqual(linesOf(manager), [
      'READY=1',
      'STATUS=1 of 2 tunnels open; late: there is no device tunlate',
    ]);

    await sites.a.ip('tuntap', 'add', 'dev', 'tunlate', 'mode', 'tun');
    await manager.message('STATUS=2 of 2 tunnels open');
    await sites.a.ip('link', 'delete', 'tunlate');
    await manager.message(/^STATUS=1 of 2 tunnels open; late: .*tunlate/);

    await up.stop('SIGTERM');
    await manager.message('STOPPING=1');
    t.is(linesOf(manager).filter((line) => line === 'READY=1').length, 1);
    t.is(linesOf(manager).at(-2), 'STOPPING=1');
  },
);

test.serial(
  'a reload is announced with the time, and ends with READY, whether or not it succeeds',
  async (t) => {
    await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
    const name = `@ttun-test-${process.pid}`;
    await using manager = await NotifySocket.start(sites.a, name);
    await using up = folder.up(sites.a, [], { NOTIFY_SOCKET: name });
    await manager.message('READY=1');
    for (const text of [null, 'broken']) {
      if (text !== null) await folder.writeText(text);
      const from = manager.messages.length;
      up.kill('SIGHUP');
      const reloading = await manager.message('RELOADING=1', from);
      const ready = await manager.message('READY=1', from);
      const [before] = manager.messages;
      t.true(monotonicUsec(reloading) > (before?.receivedUsec ?? Infinity));
      t.true(monotonicUsec(reloading) <= reloading.receivedUsec);
      t.true(reloading.receivedUsec <= ready.receivedUsec);
    }
  },
);

test.serial('while its event loop runs, it notifies the watchdog twice per period', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
  const path = join(folder.directory, 'notify');
  await using manager = await NotifySocket.start(sites.a, path);
  await using up = folder.up(sites.a, [], { NOTIFY_SOCKET: path, WATCHDOG_USEC: '400000' });
  const pings = await waitFor('five signs of life', () => {
    const found = manager.messages.filter(({ lines }) => lines.includes('WATCHDOG=1'));
    return found.length >= 5 && found;
  });
  const [first, last] = [pings.at(0), pings.at(4)];
  // Timers fire late, never early: 4 intervals of 200 ms, minus rounding.
  t.true((last?.receivedUsec ?? 0) - (first?.receivedUsec ?? 0) > 3 * 200_000);
  t.true(up.running);
});

test.serial('the watchdog of another process is not notified', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
  const path = join(folder.directory, 'notify');
  await using manager = await NotifySocket.start(sites.a, path);
  const watchdog = { WATCHDOG_USEC: '2000', WATCHDOG_PID: '1' };
  await using up = folder.up(sites.a, [], { NOTIFY_SOCKET: path, ...watchdog });
  await manager.message('READY=1');
  await up.stop('SIGTERM');
  t.false(linesOf(manager).includes('WATCHDOG=1'));
});

test.serial('however many tunnels have problems, the message is short enough for systemd', async (t) => {
  const tunnels = Object.fromEntries(
    Array.from({ length: 100 }, (_, index) => [
      `site${index}`,
      { ...LATE, device: `tunlate${index}`, local: `10.0.1.1:${9300 + index}` },
    ]),
  );
  await using folder = await UpFolder.create({ tunnels });
  const path = join(folder.directory, 'notify');
  await using manager = await NotifySocket.start(sites.a, path);
  await using up = folder.up(sites.a, [], { NOTIFY_SOCKET: path });
  const { lines } = await manager.message('READY=1');
  t.regex(lines.join('\n'), /^STATUS=0 of 100 tunnels open; site0: .*; site4: [^;]*; 95 more problems$/m);
  // NOTIFY_BUFFER_MAX in systemd's src/core/manager.c.
  t.true(Buffer.byteLength(lines.join('\n')) < 4096);
  t.true(up.running);
});

test.serial('a long problem is truncated', (t) => {
  const report = reportOf({
    name: 'office',
    device: 'tun0',
    local: '',
    remote: '',
    phase: 'retrying',
    problem: { code: 'ERR_TTUN_SYSTEM', message: 'x'.repeat(5000), hint: null },
    stats: null,
  });
  const status = describeStatus([report], null);
  t.regex(status, /^0 of 1 tunnels open; office: x+…$/);
  t.true(status.length < 300);
});

test.serial('a service manager that cannot be reached is reported once, and the tunnels run', async (t) => {
  await using folder = await UpFolder.create({ tunnels: { office: officeAtA(sites) } });
  await using up = folder.up(sites.a, [], { NOTIFY_SOCKET: join(folder.directory, 'missing') });
  await up.waitForLine('office: attached to');
  await up.waitForLine('continuing without');
  t.deepEqual(await up.stop('SIGINT'), { status: 0, signal: null });
  t.is(up.lines.filter((line) => line.includes('continuing without')).length, 1);
});
