/** The page in a headless browser, without errors or warnings of the browser. */
import type { ExecutionContext } from 'ava';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { startHttpServer } from '../../src/http/server.ts';
import type { HttpServer } from '../../src/http/server.ts';
import type { TunnelHost } from '../../src/tunnel-host.ts';

/** For root, without a graphics card, and without requests to other servers. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
}

export interface Visit {
  readonly page: Page;
  readonly server: HttpServer;
}

/**
 * Serves the page, opens it, waits until it shows values, and checks at the end that the browser had no complaints. Of tests that run
 * at the same time, a few do so, and the others wait for their turn.
 */
export async function visit(
  t: ExecutionContext,
  browser: Browser,
  host: TunnelHost,
  look: (visit: Visit) => Promise<void>,
  options: BrowserContextOptions = {},
): Promise<void> {
  if (visits < MOST_VISITS) visits += 1;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    await visitNow(t, browser, host, look, options);
  } finally {
    const next = waiting.shift();
    if (next === undefined) visits -= 1;
    else next();
  }
}

const MOST_VISITS = 4;
let visits = 0;
const waiting: (() => void)[] = [];

async function visitNow(
  t: ExecutionContext,
  browser: Browser,
  host: TunnelHost,
  look: (visit: Visit) => Promise<void>,
  options: BrowserContextOptions,
): Promise<void> {
  const server = await startHttpServer('127.0.0.1:0', host);
  const context = await browser.newContext(options);
  try {
    const page = await context.newPage();
    const complaints = listen(page, server);
    await page.goto(server.url);
    await page.locator('body.ready').waitFor();
    await look({ page, server });
    t.deepEqual(complaints, []);
  } finally {
    await context.close();
    await server.close();
  }
}

/** Errors, warnings, violations of the content security policy, and requests to others. */
function listen(page: Page, server: HttpServer): string[] {
  const complaints: string[] = [];
  page.on('console', (message) => {
    // The browser logs a process that does not answer, which is part of some tests.
    if (!message.text().includes('ERR_CONNECTION_REFUSED'))
      complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(server.url)) complaints.push(`request to ${request.url()}`);
  });
  return complaints;
}

/** The text of an element. */
export async function textOf(page: Page, selector: string): Promise<string> {
  return ((await page.locator(selector).first().textContent()) ?? '').trim();
}
