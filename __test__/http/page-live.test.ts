import test from 'ava';
import { createSites } from '../../testbed/sites.ts';
import { openPair } from '../../testbed/tunnel.ts';
import { startBrowser, visit } from './browser.ts';
import { LiveHost } from './live-host.ts';

test('the page shows real tunnels under traffic, and a problem as it comes and goes', async (t) => {
  await using sites = await createSites();
  const pair = await openPair(sites, {
    onlyA: { probe: { address: sites.b.inner.ipv6, interval: '100ms' } },
  });
  await using a = pair[0];
  await using b = pair[1];
  using host = await LiveHost.of({ near: a, far: b });
  const browser = await startBrowser();
  t.teardown(() => browser.close());
  await using traffic = sites.a.start(['ping', '-q', '-i', '0.05', '-s', '1000', sites.b.inner.ipv4]);

  t.true(traffic.running);
  await visit(t, browser, host, async ({ page }) => {
    const shown = (name: string, text: RegExp): Promise<void> =>
      page
        .locator('.tunnel', { has: page.getByRole('button', { name, exact: true }) })
        .filter({ hasText: text })
        .waitFor({ timeout: 20_000 });
    await shown('near', /up10\.0\.1\.1:9000 to 10\.0\.1\.2:9000.*Received1\d\d kbit\/sSent1\d\d kbit\/s/);
    await shown('far', /up10\.0\.1\.2:9000 to 10\.0\.1\.1:9000.*Received1\d\d kbit\/sSent1\d\d kbit\/s/);

    await shown(
      'near',
      /Round tripnowTime \d+\.\d\d ms peak .*Lost 0 %.*Round tripmedian \d+\.\d\d ms, 99 % in /,
    );
    await shown('far', /Round tripnot measured: no probe/);

    await sites.b.ip('link', 'set', 'tun0', 'down');
    await shown('far', /Dropped\d+ \+[\d.]+\/s.*device-downthe device was down[\d.]+\/s\d+/);
    await shown('near', /Received0 bit\/s/);
    await sites.b.ip('link', 'set', 'tun0', 'up');
    await shown('near', /Received1\d\d kbit\/s/);
    t.is(await page.locator('[data-state=up]').count(), 2);
  });
});
