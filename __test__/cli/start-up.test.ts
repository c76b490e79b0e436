/** What a process loads: a tunnel starts quickly because it loads only what it needs. */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { run } from '../../testbed/exec.ts';
import { createSites } from '../../testbed/sites.ts';
import { BIN } from '../../testbed/tunnel.ts';

/** Libraries, and the parts of ttun that a single tunnel does not need. */
const HEAVY = [
  'node:http',
  'node:https',
  'node:crypto',
  'node:worker_threads',
  '/node_modules/',
  '/dist/config/',
  '/dist/http/',
  '/dist/doctor/',
  '/dist/lab/',
];

/** Makes Node record each script that a process loads, as for measuring coverage. */
async function recordLoaded(
  t: ExecutionContext,
): Promise<{ env: NodeJS.ProcessEnv; loaded: () => Promise<string[]> }> {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-loaded-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const loaded = async (): Promise<string[]> => {
    const reports = await Promise.all(
      (await readdir(folder)).map(async (file): Promise<CoverageReport> =>
        JSON.parse(await readFile(join(folder, file), 'utf8')),
      ),
    );
    return reports.flatMap(({ result }) => result.map(({ url }) => url));
  };
  return { env: { ...process.env, NODE_V8_COVERAGE: folder }, loaded };
}

interface CoverageReport {
  readonly result: readonly { readonly url: string }[];
}

function heavyOnes(urls: readonly string[]): string[] {
  return urls.filter((url) =>
    HEAVY.some((part) => url === part || (part.includes('/') && url.includes(part))),
  );
}

test('a tunnel, from its start to its end, loads no schema, TOML, HTTP or other heavy code', async (t) => {
  await using sites = await createSites();
  const { env, loaded } = await recordLoaded(t);
  const tunnelArguments = ['tun0', '10.0.1.1', '9000', '10.0.1.2', '9000'];
  await using tunnel = sites.a.start([process.execPath, BIN, ...tunnelArguments], { env });
  await tunnel.waitForLine('attached to tun0');
  t.deepEqual(await tunnel.stop('SIGINT'), { status: 0, signal: null });
  const urls = await loaded();
  t.true(
    urls.some((url) => url.endsWith('/dist/cli/run-tunnel.js')),
    'loaded modules are recorded',
  );
  t.deepEqual(heavyOnes(urls), []);
  // No other command, and nothing of the help.
  t.deepEqual(urls.flatMap((url) => /\/dist\/cli\/(.*)\.js$/.exec(url)?.[1] ?? []).sort(), [
    'args',
    'commands',
    'events',
    'main',
    'packet-lines',
    'run-tunnel',
    'text',
    'tunnel-arguments',
  ]);
});

for (const option of ['--version', '--help'] as const) {
  test(`${option} loads no schema, TOML, HTTP or other heavy code`, async (t) => {
    const { env, loaded } = await recordLoaded(t);
    await run([process.execPath, BIN, option], { env });
    const urls = await loaded();
    t.true(
      urls.some((url) => url.endsWith('/dist/cli/main.js')),
      'loaded modules are recorded',
    );
    t.deepEqual(heavyOnes(urls), []);
  });
}

test('heavy modules are noticed', async (t) => {
  const { env, loaded } = await recordLoaded(t);
  await run([process.execPath, '--input-type=module', '-e', "import 'node:http'"], { env });
  t.deepEqual(heavyOnes(await loaded()), ['node:http']);
});
