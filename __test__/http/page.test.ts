import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import type { Browser, Page } from 'playwright-core';
import { startHttpServer } from '../../src/http/server.ts';
import { SHOWN_VALUES } from '../../src/tunnel-host.ts';
import { startBrowser, visit } from './browser.ts';
import { hostOf, OPEN, RETRYING } from './reports.ts';
import { Actor, Stage } from './stage.ts';

let browser: Browser;
test.before(async () => {
  browser = await startBrowser();
});
test.after.always(() => browser.close());

const BUSY = { out: { packets: 1000, bytes: 125_000 }, in: { packets: 20_000, bytes: 25_000_000 } };

function tunnel(page: Page, name: string) {
  return page.locator('.tunnel', { has: page.getByRole('heading', { name, exact: true }) });
}

/** Waits until the page shows this text, for many polls at most. */
async function shows(page: Page, selector: string, text: RegExp | string): Promise<void> {
  await page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout: 20_000 });
}

test('a tunnel shows its name, ends, state, and its throughput in bits and packets per second', async (t) => {
  const office = new Actor({});
  office.traffic = BUSY;
  await visit(t, browser, new Stage(office), async ({ page }) => {
    await shows(page, '.rates', /Received2\d\d Mbit\/s.*Sent(?:9\d\d k|1\.\d\d M)bit\/s/);
    await shows(page, '#summary', /Up1 of 1.*Received2\d\d Mbit\/s/);
    await shows(page, '.chart:has-text("Packets")', /Received (?:19|2\d)(?:\.\d)? k\/s peak/);
    t.regex(
      (await page.locator('.ends').textContent()) ?? '',
      /192\.0\.2\.1:8000 to gateway\.example:8000 \(192\.0\.2\.2:8000\)/,
    );
    t.is(await page.locator('.state').textContent(), 'up');
    t.regex((await page.locator('.chart .line.received').first().getAttribute('d')) ?? '', /^M[\d.]+ [\d.]+/);
    await shows(
      page,
      '.details-list',
      /Last heardjust now.*Device MTU1472 bytes.*Offloadschecksum, TSO, segmentation, GRO/,
    );
    await shows(page, '#process', /Versionttun .*, Node .*CPU[\d.]+ %.*Memory[\d.]+ MB/);
    t.regex(await page.title(), /^ttun on /);
  });
});

test('a tunnel with a probe has a chart of round trips and losses, others do not', async (t) => {
  const [office, branch] = [new Actor({}), new Actor({ name: 'branch' })];
  office.probe = { rttMs: 12.3, lost: 0 };
  await visit(t, browser, new Stage(office, branch), async ({ page }) => {
    const chart = tunnel(page, 'office').locator('.chart', { hasText: 'Round trip' });
    await chart.filter({ hasText: /Time 12\.3 ms peak 12\.3 ms/ }).waitFor({ timeout: 20_000 });
    t.regex((await chart.textContent()) ?? '', /Lost 0 % peak 0 %/);
    await shows(page, '.details-list', /Round tripmedian 12\.3 ms, 99 % in 12\.3 ms, jitter 0\.70 ms/);
    office.probe = { rttMs: 12.3, lost: 3 };
    await chart.filter({ hasText: /Lost .*peak (?!0)[\d.]+ %/ }).waitFor({ timeout: 20_000 });
    t.not(await chart.locator('.area.lost').getAttribute('d'), '');
    await shows(page, '.details-list', /Probes lost3\.0 % lately, 3 of \d+ in all/);
    const other = tunnel(page, 'branch');
    t.is(await other.locator('.chart:visible').count(), 2);
    await other.locator('.details-list', { hasText: 'Round tripnot measured: no probe' }).waitFor();
  });
});

test('a tunnel whose packets wait in its queue has a chart of that, others do not', async (t) => {
  const [office, branch] = [new Actor({}), new Actor({ name: 'branch' })];
  office.waitMs = 6.25;
  await visit(t, browser, new Stage(office, branch), async ({ page }) => {
    const chart = tunnel(page, 'office').locator('.chart', { hasText: 'Queue' });
    await chart.filter({ hasText: /Wait 6\.25 ms peak 6\.25 ms/ }).waitFor({ timeout: 20_000 });
    t.regex((await chart.textContent()) ?? '', /Dropped or marked (?:0\.\d|1\.0) % peak/);
    await shows(
      page,
      '.details-list',
      /Queue64 packets wait \(65\.0 kB\); .* waited, 6\.25 ms on average, 66\.5 ms at mostRatepaced to 18\.0 Mbit\/s; the link took 20\.0 Mbit\/s/,
    );
    const other = tunnel(page, 'branch');
    t.is(await other.locator('.chart:visible').count(), 2);
    await other.locator('.details-list', { hasText: 'Queueno packet had to waitRatenot limited' }).waitFor();
  });
});

test('drops are shown by reason, and highlighted while they grow', async (t) => {
  const office = new Actor({});
  office.drops = { ...office.drops, decap: { ...office.drops.decap, 'source-not-allowed': 7 } };
  await visit(t, browser, new Stage(office), async ({ page }) => {
    const rows = page.locator('.drops tbody tr');
    const reasons = SHOWN_VALUES.filter(({ path }) => path.includes('.drops.')).length;
    t.is(await rows.count(), reasons);
    await shows(page, '.drops tr', /^source-not-allowed.*0\/s7$/);
    office.drops = { ...office.drops, encap: { ...office.drops.encap, 'peer-unreachable': 40 } };
    await shows(page, '.drops tr.growing', /^peer-unreachableno route to the peer, or refused[\d.]+\/s40$/);
    await shows(page, '.rates', /Dropped47 \+[\d.]+\/s/);
    t.is(await rows.count(), reasons);
  });
});

test('every value with a label is on the page, including every drop reason', async (t) => {
  await visit(t, browser, new Stage(new Actor({})), async ({ page }) => {
    await shows(page, '.details-list', 'Uptime');
    const terms = await page.locator('.details-list dt').allTextContents();
    const reasons = await page.locator('.drops tbody tr').allTextContents();
    for (const { path, label } of SHOWN_VALUES) {
      const reason = path.split('.drops.')[1];
      if (reason === undefined)
        t.true(
          terms.some((term) => term.toLowerCase() === label.toLowerCase()),
          path,
        );
      else
        t.true(
          reasons.some((row) => row.startsWith(`${reason}${label}`)),
          path,
        );
    }
    t.is(reasons.length, SHOWN_VALUES.filter(({ path }) => path.includes('.drops.')).length);
  });
});

test('a tunnel that is not open shows the reason and the command, until it is open', async (t) => {
  const branch = new Actor(RETRYING);
  const stage = new Stage(new Actor({}), branch);
  await visit(t, browser, stage, async ({ page }) => {
    await shows(page, '.problem', 'there is no device tun1 create it: ip tuntap add dev tun1 mode tun');
    t.is(await tunnel(page, 'branch').locator('.state').textContent(), 'down, retrying');
    t.regex(await page.title(), /^1 not up/);

    branch.report = { ...branch.report, phase: 'open', problem: null };
    await shows(page, '#announcements', 'branch: up.');
    t.is(await page.locator('.problem:visible').count(), 0);
    branch.state = 'waiting';
    await shows(page, '#announcements', 'branch: waiting for the peer.');
    branch.state = 'idle';
    await shows(page, '#announcements', 'branch: idle, last heard 2 min ago.');
    t.regex(await page.title(), /^(?!1 not up)/);
  });
});

test('a tunnel shows what to check if its peer does not answer, and what has changed', async (t) => {
  const diagnosis = '192.0.2.2 refuses port 8000: is ttun running there, with 192.0.2.1:8000 as its remote?';
  const change = { kind: 'peer-refuses', level: 'warning', message: diagnosis, at: Date.now() } as const;
  const office = new Actor({ diagnosis, history: [change] });
  await visit(t, browser, new Stage(office), async ({ page }) => {
    await shows(page, '.problem', diagnosis);
    await shows(page, '.changes li', new RegExp(`^\\d.* ${diagnosis.slice(0, 30)}`));
    const heard = {
      ...change,
      kind: 'peer-heard',
      level: 'notice',
      message: 'heard from 192.0.2.2:8000',
    } as const;
    office.report = {
      ...office.report,
      diagnosis: null,
      history: [change, { ...heard, at: Date.now() + 1 }],
    };
    await shows(page, '.changes li:first-child', /heard from 192\.0\.2\.2:8000$/);
    t.is(await page.locator('.changes li').count(), 2);
    t.is(await page.locator('.problem:visible').count(), 0);
  });
});

test('tunnels are added, removed and reordered, and expanded ones stay expanded', async (t) => {
  const [office, branch, lab] = [new Actor({}), new Actor({ name: 'branch' }), new Actor({ name: 'lab' })];
  const stage = new Stage(office, branch, lab);
  await visit(t, browser, stage, async ({ page }) => {
    const names = () => page.locator('.tunnel h2').allTextContents();
    t.is(await page.locator('.details:visible').count(), 0, 'three are shown in one line each');
    await tunnel(page, 'lab').getByRole('button').click();
    stage.actors = [lab, branch, new Actor({ name: 'new' })];
    await shows(page, '.tunnel', /^new/);
    t.deepEqual(await names(), ['lab', 'branch', 'new']);
    t.is(await tunnel(page, 'lab').locator('.details:visible').count(), 1);
    await shows(page, '#announcements', 'office: removed.');

    stage.actors = [];
    await shows(page, '#none', 'no tunnels');
    t.is(await page.locator('.tunnel').count(), 0);
  });
});

test('counters that start again at 0 give neither a negative rate nor a spike', async (t) => {
  const office = new Actor({});
  office.traffic = BUSY;
  await visit(t, browser, new Stage(office), async ({ page }) => {
    await shows(page, '.rates', /Received2\d\d Mbit\/s/);
    office.reopen();
    await shows(page, '.rates', 'Received–');
    await shows(page, '.rates', /Received2\d\d Mbit\/s/);
    t.regex((await page.locator('.chart .peak').first().textContent()) ?? '', /^peak 2\d\d Mbit\/s$/);
    // The line is interrupted where rates are unknown.
    const line = (await page.locator('.chart .line.received').first().getAttribute('d')) ?? '';
    t.is(line.match(/M/g)?.length, 2);
  });
});

test('the page shows when the process stops answering, and when it answers again', async (t) => {
  const stage = new Stage(new Actor({}));
  await visit(t, browser, stage, async ({ page, server }) => {
    await shows(page, '#connection', /^Live$/);
    await server.close();
    await shows(page, '#connection', /^ttun does not answer; last update at \d/);
    await shows(page, '#announcements', 'ttun does not answer.');
    t.true(await page.locator('body.stale').isVisible());
    t.is(await page.locator('.tunnel h2').textContent(), 'office', 'what was known last stays');

    const again = await startHttpServer(new URL(server.url).host, stage);
    try {
      await shows(page, '#connection', /^Live$/);
      await shows(page, '#announcements', 'ttun answers again.');
      t.is(await page.locator('body.stale').count(), 0);
    } finally {
      await again.close();
    }
  });
});

test('the page does not poll while it is hidden', async (t) => {
  const stage = new Stage(new Actor({}));
  await visit(t, browser, stage, async ({ page }) => {
    const hide = (hidden: boolean) =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { value, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, hidden);
    await shows(page, '.rates', '0 bit/s');
    await hide(true);
    const { questions } = stage;
    // Longer than several polls take, by the clock of the page.
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 3500)));
    // One request may have been under way.
    t.true(stage.questions <= questions + 1);
    await hide(false);
    await shows(page, '#connection', 'Live');
    await page.waitForResponse(/\/stats$/);
    t.true(stage.questions > questions);
  });
});

test('markup in a name is shown as text', async (t) => {
  const evil = '<img src=x onerror=document.title="taken">.example:1';
  const problem = { code: 'ERR_TTUN_SYSTEM', message: evil, hint: `<script>document.title="taken"</script>` };
  const bold = new Actor({ name: '<b>x</b>', local: evil, remote: evil, device: evil });
  const stage = new Stage(bold, new Actor({ ...RETRYING, problem }));
  bold.socket = { remote: evil, errors: { [evil]: 1 } };
  await visit(t, browser, stage, async ({ page }) => {
    await shows(page, '.ends', evil);
    await shows(page, '.problem', problem.hint);
    await shows(page, '.details-list', evil);
    t.is(await page.locator('main img, main script, main b').count(), 0);
    t.regex(await page.title(), /ttun on/);
  });
});

test('if packets do not fit the route, the page shows the command that fixes it', async (t) => {
  const office = new Actor({});
  const advice = { text: 'packets do not fit; to avoid that', command: 'ip link set tun0 mtu 1472' };
  office.report = { ...office.report, advice };
  await visit(t, browser, new Stage(office), async ({ page }) => {
    await shows(page, '.advice', 'Packets do not fit; to avoid that: ip link set tun0 mtu 1472');
    office.report = { ...office.report, advice: null };
    await page.locator('.advice').waitFor({ state: 'hidden', timeout: 20_000 });
    t.pass();
  });
});

test('another site can neither read the statistics nor show the page in a frame', async (t) => {
  const server = await startHttpServer('127.0.0.1:0', hostOf(OPEN));
  const stranger = createServer((_request, response) => {
    response.setHeader('Content-Type', 'text/html').end(`<iframe src="${server.url}"></iframe>`);
  }).listen(0, '127.0.0.1');
  await once(stranger, 'listening');
  const context = await browser.newContext();
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is this
    const { port } = stranger.address() as AddressInfo;
    const page = await context.newPage();
    await page.goto(`http://localhost:${port}/`);
    const read = (mode: RequestMode) =>
      page.evaluate(
        ([url, how]) =>
          fetch(url, { mode: how }).then(
            () => 'read',
            () => 'refused',
          ),
        [`${server.url}stats`, mode] as const,
      );
    t.is(await read('cors'), 'refused');
    t.is(await read('no-cors'), 'refused');
    const [, frame] = page.frames();
    t.is(await frame?.locator('.brand').count(), 0);
  } finally {
    await context.close();
    await server.close();
    stranger.close();
  }
});
