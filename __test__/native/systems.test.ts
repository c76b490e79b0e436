/** What works without a native part: on systems that have none, and before one is needed. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { STATS_OF_NOTHING } from '../stats-of-nothing.ts';
import { evaluate, failure, newFolder, putTtun, ttun } from './layout.ts';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
const SYSTEMS = ['darwin', 'win32'];

test('importing the package loads no native code and starts no thread', async (t) => {
  const seen = await evaluate(
    CHECKOUT,
    `
    import { readdirSync, readFileSync } from 'node:fs';
    import { readFile } from 'node:fs/promises';
    await readFile('/dev/null'); // Node's own threads start with the first use of them.
    const threads = () => readdirSync('/proc/self/task').length;
    const before = threads();
    await load();
    const addons = readFileSync('/proc/self/maps', 'utf8').includes('.node\\n');
    console.log(JSON.stringify({ threadsStarted: threads() - before, addons }));
    `,
  );
  t.deepEqual(JSON.parse(seen), { threadsStarted: 0, addons: false });
});

for (const system of SYSTEMS) {
  test(`on ${system} the package can be imported, and opening a tunnel fails because it requires Linux`, async (t) => {
    t.deepEqual(await failure(CHECKOUT, { system }), {
      name: 'TtunError',
      code: 'ERR_TTUN_UNSUPPORTED_PLATFORM',
      message: `ttun requires Linux; this is ${system}`,
      hint: 'run it on a Linux host, in a virtual machine or in a container',
    });
  });

  test(`on ${system} configurations are parsed and rates are computed`, async (t) => {
    const [before, after] = [
      STATS_OF_NOTHING,
      { ...STATS_OF_NOTHING, uptimeMs: STATS_OF_NOTHING.uptimeMs + 1000, encap: packets(7) },
    ];
    const seen = await evaluate(
      CHECKOUT,
      `
      const { diffStats, parseConfig } = await load();
      const text = '[tunnels.office]\\ndevice = "tun0"\\nlocal = ":8000"\\nremote = "192.0.2.2:8000"';
      const { tunnels } = parseConfig(text, { format: 'toml' });
      const { encap } = diffStats(${JSON.stringify(before)}, ${JSON.stringify(after)});
      console.log(JSON.stringify({ tunnels: [...tunnels.keys()], packets: encap.packets }));
      `,
      { system },
    );
    t.deepEqual(JSON.parse(seen), { tunnels: ['office'], packets: 7 });
  });

  test(`on ${system} each command that needs Linux says so in one line`, async (t) => {
    const line = `ttun: ttun requires Linux; this is ${system}; run it on a Linux host, in a virtual machine or in a container\n`;
    for (const args of [
      ['--version'],
      ['doctor'],
      ['tun0', '192.0.2.1', '8000', '192.0.2.2', '8000'],
      ['capture', 'tun0'],
    ]) {
      const { status, stderr } = await ttun(CHECKOUT, args, { system });
      t.deepEqual({ status, stderr }, { status: 1, stderr: line }, args.join(' '));
    }
  });
}

function packets(count: number): typeof STATS_OF_NOTHING.encap {
  return { ...STATS_OF_NOTHING.encap, packets: count };
}

test('options are checked before the native part is needed', async (t) => {
  const folder = await newFolder(t);
  const root = join(folder, 'node_modules', 'ttun');
  await putTtun(root);
  const seen = await evaluate(
    root,
    `
    const { createTunnel } = await load();
    createTunnel({}).catch(({ code }) => console.log(code));
    `,
  );
  t.is(seen, 'ERR_TTUN_INVALID_OPTIONS\n');
});
