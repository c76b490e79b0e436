/** Accessibility and responsive layout of the page. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { Browser, Page } from 'playwright-core';
import { startBrowser, visit } from './browser.ts';
import { RETRYING } from './reports.ts';
import { Actor, Stage } from './stage.ts';

let browser: Browser;
let axeSource: string;
test.before(async () => {
  browser = await startBrowser();
  axeSource = await readFile(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
});
test.after.always(() => browser.close());

function busy(): Actor {
  const office = new Actor({});
  office.traffic = { out: { packets: 1000, bytes: 125_000 }, in: { packets: 20_000, bytes: 25_000_000 } };
  office.drops = { ...office.drops, decap: { ...office.drops.decap, 'device-down': 123_456_789 } };
  office.device = { mtu: 1500 };
  office.probe = { rttMs: 12.3, lost: 2 };
  return office;
}

/** One of each kind. */
function variety(): Stage {
  const silent = new Actor({
    name: 'a-name-as-long-as-names-of-tunnels-may-be-in-a-config',
    remote: `${'very-long-label.'.repeat(8)}example:65535`,
  });
  silent.state = 'waiting';
  silent.socket = {
    remote: '[2001:db8:1111:2222:3333:4444:5555:6666]:65535',
    errors: { ECONNREFUSED: 1_000_000 },
  };
  return new Stage(busy(), silent, new Actor(RETRYING), new Actor({ name: 'closed', phase: 'closed' }));
}

async function openAll(page: Page): Promise<void> {
  for (const button of await page.locator('h2 button').all()) await button.click();
  await traffic(page);
}

/** Waits until there are rates. */
async function traffic(page: Page): Promise<void> {
  await page
    .locator('.rates')
    .filter({ hasText: /Received2\d\d Mbit/ })
    .waitFor();
}

/** Violations that axe-core finds, with the elements concerned. */
function violations(page: Page): Promise<readonly string[]> {
  return page.evaluate(async (source) => {
    // Through the debugger, to which the content security policy does not apply.
    // oxlint-disable-next-line no-eval -- it is how axe-core gets into the page
    const found = await (0, eval)(`${source}; axe.run()`);
    if (Object(found).passes.length < 20) throw new Error('axe-core has hardly looked');
    return Object(found).violations.map((violation: object) => {
      const { id, help, nodes } = Object(violation);
      return `${id}: ${help}: ${nodes.map((node: object) => Object(node).html).join(' ')}`;
    });
  }, axeSource);
}

const SCREENS = {
  phone: { width: 360, height: 740 },
  tablet: { width: 820, height: 1180 },
  desktop: { width: 1600, height: 1000 },
};

test.serial('axe-core finds no barriers on screens of any size, light or dark', async (t) => {
  await visit(t, browser, variety(), async ({ page }) => {
    await openAll(page);
    for (const [screen, viewport] of Object.entries(SCREENS)) {
      await page.setViewportSize(viewport);
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        const where = `${screen}, ${colorScheme}`;
        t.deepEqual(await violations(page), [], where);
        const [content, window] = await page.evaluate(() => [
          document.documentElement.scrollWidth,
          innerWidth,
        ]);
        t.is(content, window, `${where}: nothing has to be scrolled sideways`);
        const brightness = await page.evaluate(() =>
          Number(/\d+/.exec(getComputedStyle(document.body).backgroundColor)?.[0]),
        );
        t.is(brightness > 127, colorScheme === 'light', where);
      }
    }
  });
});

test.serial('everything can be reached and used by keyboard, in order, with a visible focus', async (t) => {
  await visit(t, browser, variety(), async ({ page }) => {
    const where = () => page.evaluate(() => document.activeElement?.textContent ?? '');
    await traffic(page);
    await page.keyboard.press('Tab');
    t.is(await where(), 'office');
    await page.keyboard.press('Enter');
    t.is(await page.locator('h2 button').first().getAttribute('aria-expanded'), 'true');
    t.not(
      await page.evaluate(
        () => getComputedStyle(document.activeElement ?? document.body, '::after').outlineStyle,
      ),
      'none',
    );

    await page.keyboard.press('Tab');
    const chart = page.getByRole('slider', { name: 'Throughput' });
    t.true(await chart.evaluate((element) => element === document.activeElement));
    t.not(await chart.evaluate((element) => getComputedStyle(element).outlineStyle), 'none');
    t.regex((await chart.getAttribute('aria-valuetext')) ?? '', /^now: received /);
    await page.keyboard.press('Home');
    t.is(await chart.getAttribute('aria-valuetext'), '5 min ago: unknown');
    await page.keyboard.press('End');
    t.regex((await chart.getAttribute('aria-valuetext')) ?? '', /^0 s ago: received /);
    await page.keyboard.press('ArrowLeft');
    t.is(await chart.getAttribute('aria-valuenow'), '-5');
    await page.keyboard.press('Escape');
    t.regex((await chart.getAttribute('aria-valuetext')) ?? '', /^now: received /);

    await page.keyboard.press('Tab');
    const roundTrips = page.getByRole('slider', { name: 'Round trip' });
    t.true(await roundTrips.evaluate((element) => element === document.activeElement));
    t.regex((await roundTrips.getAttribute('aria-valuetext')) ?? '', /^now: time 12\.3 ms, lost /);

    await page.keyboard.press('Tab');
    for (const name of [/^a-name/, /^branch$/, /^closed$/, /^stats as JSON$/, /^metrics for Prometheus$/]) {
      await page.keyboard.press('Tab');
      t.regex(await where(), name);
    }
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Space');
    t.is(await page.locator('h2 button').nth(3).getAttribute('aria-expanded'), 'true');
  });
});

test.serial('values change in place: the layout does not shift', async (t) => {
  const office = busy();
  await visit(t, browser, new Stage(office, ...variety().actors.slice(1)), async ({ page }) => {
    await openAll(page);
    // Shifts after a click are expected; only those of updates count.
    await page.evaluate(() => {
      const shifts: number[] = [];
      Object.assign(window, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) shifts.push(Object(entry).value);
      }).observe({ type: 'layout-shift' });
    });
    for (let round = 1; round <= 4; round += 1) {
      office.traffic = {
        out: { packets: 10 ** round, bytes: 10 ** (2 * round) },
        in: { packets: 1, bytes: 10 ** (10 - round) },
      };
      office.reopen();
      office.drops = { ...office.drops, encap: { ...office.drops.encap, 'no-buffer-space': 11 ** round } };
      await page.waitForResponse(/\/stats$/);
    }
    t.deepEqual(await page.evaluate(() => Object(window).shifts), []);
  });
});

test.serial('there is no motion if the user prefers none', async (t) => {
  await visit(
    t,
    browser,
    variety(),
    async ({ page }) => {
      const moving = await page.evaluate(
        () =>
          [...document.querySelectorAll('*')].filter((element) => {
            const { transitionProperty, animationName } = getComputedStyle(element);
            return transitionProperty !== 'none' || animationName !== 'none';
          }).length,
      );
      t.is(moving, 0);
    },
    { reducedMotion: 'reduce' },
  );
});
