import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { runInSite } from './in-site.ts';

let sites: Sites;
test.before(async () => {
  sites = await createSites();
});
test.after.always(() => sites[Symbol.asyncDispose]());

test.serial('samples come at equal intervals, each with the rates since the previous one', async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    import { diffStats } from '${new URL('../../dist/index.js', import.meta.url).href}';
    const tunnel = await createTunnel(options);
    let before = tunnel.stats();
    let samples = 0;
    for await (const { at, stats, rate } of tunnel.samples({ intervalMs: 50 })) {
      // The first interval begins a moment after the first snapshot here.
      const since = diffStats(before, stats).intervalMs;
      report(at === stats.timestamp && (samples === 0 ? rate.intervalMs <= since : rate.intervalMs === since));
      before = stats;
      samples += 1;
      if (samples === 4) break;
    }
    report(tunnel.stats().uptimeMs >= 4 * 50 - 1);
    await tunnel.close();
    `,
  );
  t.deepEqual(reported, [true, true, true, true, true]);
});

test.serial(
  'a slow consumer misses samples: none is queued, and the rates cover every interval',
  async (t) => {
    const [sample] = await runInSite(
      sites.a,
      `
    import { setTimeout as sleep } from 'node:timers/promises';
    const tunnel = await createTunnel(options);
    const samples = tunnel.samples({ intervalMs: 100 });
    const first = (await samples.next()).value;
    await sleep(350);
    const asked = tunnel.stats().uptimeMs;
    const second = (await samples.next()).value;
    report({
      early: second.stats.uptimeMs < asked,
      covered: second.rate.intervalMs === second.stats.uptimeMs - first.stats.uptimeMs,
      interval: second.rate.intervalMs,
    });
    await tunnel.close();
    `,
    );
    t.like(sample, { early: false, covered: true });
    t.true(Object(sample).interval >= 350);
  },
);

test.serial('when the tunnel ends, there is a last sample at once, and the loop ends', async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    const tunnel = await createTunnel(options);
    setTimeout(() => tunnel.close(), 100);
    for await (const { stats } of tunnel.samples({ intervalMs: 3_600_000 })) report(stats.state);
    for await (const { stats, rate } of tunnel.samples()) report([stats.state, rate.intervalMs]);
    const slow = tunnel.samples();
    report((await slow.next()).done);
    report((await slow.next()).done);
    `,
  );
  t.deepEqual(reported, ['closed', ['closed', 0], false, true]);
});

test.serial('a consumer that was busy when the tunnel ended gets the last sample too', async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    const tunnel = await createTunnel(options);
    for await (const { stats } of tunnel.samples({ intervalMs: 10 })) {
      report(stats.state);
      await tunnel.close();
    }
    `,
  );
  t.deepEqual(reported, ['waiting', 'closed']);
});

test.serial('an aborted signal ends the samples at once, and leaves the tunnel open', async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    const tunnel = await createTunnel(options);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    for await (const sample of tunnel.samples({ intervalMs: 3_600_000, signal: controller.signal })) report('sample');
    for await (const sample of tunnel.samples({ signal: AbortSignal.abort() })) report('sample');
    report(tunnel.state);
    await tunnel.close();
    `,
  );
  t.deepEqual(reported, ['waiting']);
});

test.serial('several loops may take samples at the same time, at different intervals', async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    process.on('warning', ({ message }) => report(message));
    const tunnel = await createTunnel(options);
    const take = async (intervalMs) => {
      let samples = 0;
      for await (const { stats } of tunnel.samples({ intervalMs })) {
        samples += 1;
        if (samples === 5) break;
      }
      return samples;
    };
    const counts = await Promise.all(Array.from({ length: 30 }, (_, index) => take(10 + index)));
    report(counts.every((count) => count === 5));
    await tunnel.close();
    `,
  );
  t.deepEqual(reported, [true], 'no warning of a leak either');
});

test.serial('samples keep the process alive only while one is awaited', async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    const tunnel = await createTunnel(options);
    tunnel.unref();
    for await (const sample of tunnel.samples({ intervalMs: 50 })) {
      report('sample');
      break;
    }
    const abandoned = tunnel.samples({ intervalMs: 50 });
    await abandoned.next();
    report('another');
    `,
  );
  t.deepEqual(reported, ['sample', 'another']);
});

for (const intervalMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31]) {
  test.serial(`an interval of ${intervalMs} ms is refused`, async (t) => {
    const reported = await runInSite(
      sites.a,
      `
      const tunnel = await createTunnel(options);
      try { tunnel.samples({ intervalMs: ${intervalMs} }); } catch ({ code, message }) { report([code, message]); }
      await tunnel.close();
      `,
    );
    t.deepEqual(reported, [['ERR_TTUN_INVALID_OPTIONS', `intervalMs: ${intervalMs} is not an interval`]]);
  });
}

test.serial('an invalid signal is refused at once, not by a timer later', async (t) => {
  const reported = await runInSite(
    sites.a,
    `
    const tunnel = await createTunnel(options);
    for (const signal of [{}, 'now', null]) {
      try { tunnel.samples({ signal }); } catch ({ code, message }) { report([code, message]); }
      await createTunnel(options, { signal }).catch(({ code, message }) => report([code, message]));
    }
    await tunnel.close();
    `,
  );
  t.deepEqual(
    reported,
    Array.from({ length: 6 }, () => ['ERR_TTUN_INVALID_OPTIONS', 'signal: not an AbortSignal']),
  );
});
