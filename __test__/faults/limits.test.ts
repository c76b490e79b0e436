/** Limits of the process: what fails for lack of file descriptors or threads says so, and nothing else. */
import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import { BIN } from '../../testbed/tunnel.ts';
import { runInSite } from '../api/in-site.ts';

test.serial(
  'without file descriptors, opening fails at each step with EMFILE and how to raise the limit',
  async (t) => {
    await using sites = await createSites();
    // With each descriptor more, the next step is the one that fails.
    const outcomes = await runInSite(
      sites.a,
      `
    import { openSync, closeSync } from 'node:fs';
    import { getSystemErrorName } from 'node:util';
    const interface_ = { create: true, addresses: ['10.8.0.1/24'] };
    for (const device of [{ ...options }, { ...options, device: 'made0', interface: interface_ }]) {
      // Once before, so that nothing more has to be loaded.
      await (await createTunnel(device)).close();
      const taken = [];
      try {
        for (;;) taken.push(openSync('/dev/null'));
      } catch {}
      for (let opened = false; !opened; ) {
        const outcome = await createTunnel(device).then(
          async (tunnel) => {
            const { reason, error } = await Promise.race([tunnel.closed, tunnel.close().then(() => tunnel.closed)]);
            return reason === 'failed' ? { opened: false, ...error } : { opened: true };
          },
          (error) => ({ opened: false, ...error, message: error.message }),
        );
        opened = outcome.opened;
        report({ ...outcome, errno: outcome.errno && getSystemErrorName(outcome.errno) });
        closeSync(taken.pop());
      }
      for (const descriptor of taken) closeSync(descriptor);
    }
    `,
    );
    const failures = outcomes
      .map((outcome) => JSON.stringify(outcome))
      .filter((outcome) => outcome.includes('"opened":false'));
    t.true(failures.length > 4, 'several steps need a descriptor');
    for (const failure of failures) {
      t.regex(failure, /"errno":"EMFILE"/);
      t.regex(failure, /"hint":"[^"]*ulimit -n/);
    }
  },
);

test.serial(
  'with few descriptors, a tunnel runs with what it has, or says in one line why it does not',
  async (t) => {
    await using sites = await createSites();
    const { a, b } = sites;
    const limits = [20, 22, 24, 25, 26, 27, 28, 30];
    await a.ipBatch(...limits.map((limit) => `tuntap add dev tun${limit} mode tun`));
    const outcomes = await Promise.all(
      limits.map(async (limit) => {
        const ends = [a.outer.ipv4, `90${limit}`, b.outer.ipv4, '9000'];
        const ttun = [process.execPath, BIN, `tun${limit}`, ...ends];
        await using tunnel = a.start(['prlimit', `--nofile=${limit}:${limit}`, ...ttun]);
        const isAttached = await tunnel.waitForLine('attached to').then(
          () => true,
          () => false,
        );
        const { status } = await tunnel.stop('SIGINT');
        return { isAttached, status, stderr: tunnel.stderr };
      }),
    );
    for (const { isAttached, status, stderr } of outcomes) {
      t.is(status, isAttached ? 0 : 1, stderr);
      t.regex(
        stderr,
        isAttached
          ? /^(?:ttun: .*\n)+$/
          : /^ttun: .*; raise the limit of open files \(each tunnel needs 6\): ulimit -n, .*\n$/,
      );
    }
    t.true(outcomes.some(({ isAttached }) => isAttached));
    t.true(outcomes.some(({ isAttached }) => !isAttached));
  },
);

test.serial(
  'a device in use by another tunnel of this process is not reported as used by another process',
  async (t) => {
    await using sites = await createSites();
    const reported = await runInSite(
      sites.a,
      `
    const second = () => createTunnel({ ...options, local: '10.0.1.1:9001' });
    const first = await createTunnel(options);
    await second().catch(({ message, hint }) => report({ message, hint }));
    await first.close();
    `,
    );
    t.deepEqual(reported, [
      {
        message: 'this process is already attached to tun0',
        hint: 'another tunnel of this process uses it: close that one, or choose another device',
      },
    ]);
  },
);
