/** The schema for editors, tested with an independent validator. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { parse } from 'smol-toml';
import { INTERFACES_FILE, interfacesText } from '../../schema/interfaces.ts';
import { jsonSchemaText, SCHEMA_FILE } from '../../schema/json-schema.ts';
import { PAGE_FILE, pageText } from '../../schema/tables.ts';
import { parseConfig, TtunConfigError } from '../../src/index.ts';
import { runToEnd } from '../../testbed/exec.ts';
import { ROOT } from '../readme/markdown.ts';

test('the committed JSON Schema, interfaces and tables are those that npm run schema writes', async (t) => {
  t.is(await readFile(SCHEMA_FILE, 'utf8'), await jsonSchemaText());
  t.is(await readFile(INTERFACES_FILE, 'utf8'), await interfacesText());
  t.is(await readFile(PAGE_FILE, 'utf8'), await pageText());
});

const TUNNEL = { device: 'tun0', local: ':8000', remote: 'gateway.example:8000' };

const RIGHT: readonly object[] = [
  { tunnels: { a: TUNNEL } },
  { $schema: './ttun.schema.json', http: { listen: '[::1]:9750' }, tunnels: { 'lab.bench': TUNNEL } },
  { tunnels: { a: { ...TUNNEL, fwmark: 119, allowedSources: ['10.0.0.0/8', 'fd00::1'], clampMss: false } } },
  { tunnels: { a: { ...TUNNEL, interface: { mtu: 'auto', addresses: ['10.0.2.1/24', 'fd00::1/64'] } } } },
  { tunnels: { a: { ...TUNNEL, interface: { create: true, owner: 1000, group: 'netdev', mtu: 1400 } } } },
  { tunnels: { a: { ...TUNNEL, interface: { routes: ['10.9.0.0/16', '10.8.0.1'], up: false } } } },
  { tunnels: { a: { ...TUNNEL, offload: { tso: false }, reattach: false } } },
  { tunnels: { a: { ...TUNNEL, ecn: true, dscp: 'inherit', zeroChecksum6: true, pathMtu: 'discover' } } },
  { tunnels: { a: { ...TUNNEL, probe: { address: '10.0.2.2' } } } },
  { tunnels: { a: { ...TUNNEL, probe: { address: 'fd00:2::2', interval: '1.5 s', size: 64 } } } },
  { tunnels: { a: { ...TUNNEL, probe: { address: '10.0.2.2', interval: 200, size: 65_507 } } } },
  { tunnels: { a: { ...TUNNEL, dscp: 'EF' }, b: { ...TUNNEL, device: 'tun1', local: ':8001', dscp: 63 } } },
];

const WRONG: readonly object[] = [
  {},
  { tunnels: {} },
  { tunnels: [TUNNEL] },
  { tunnels: { 'a b': TUNNEL } },
  { tunnels: { a: { device: 'tun0', local: ':8000' } } },
  { tunnels: { a: { ...TUNNEL, mtu: 1400 } } },
  { tunnels: { a: { ...TUNNEL, device: 'abcdefghijklmnop' } } },
  { tunnels: { a: { ...TUNNEL, local: '192.0.2.1' } } },
  { tunnels: { a: { ...TUNNEL, fwmark: 0 } } },
  { tunnels: { a: { ...TUNNEL, fwmark: 1.5 } } },
  { tunnels: { a: { ...TUNNEL, pathMtu: 1400 } } },
  { tunnels: { a: { ...TUNNEL, probe: '10.0.2.2' } } },
  { tunnels: { a: { ...TUNNEL, probe: { interval: '1s' } } } },
  { tunnels: { a: { ...TUNNEL, probe: { address: 'peer.example' } } } },
  { tunnels: { a: { ...TUNNEL, probe: { address: '10.0.2.2', interval: '1' } } } },
  { tunnels: { a: { ...TUNNEL, probe: { address: '10.0.2.2', size: 43 } } } },
  { tunnels: { a: { ...TUNNEL, dscp: 64 } } },
  { tunnels: { a: { ...TUNNEL, dscp: 'ef' } } },
  { tunnels: { a: { ...TUNNEL, clampMss: 'no' } } },
  { tunnels: { a: { ...TUNNEL, allowedSources: [] } } },
  { tunnels: { a: { ...TUNNEL, interface: { mtu: 67 } } } },
  { tunnels: { a: { ...TUNNEL, interface: { mtu: 'big' } } } },
  { tunnels: { a: { ...TUNNEL, interface: { addresses: ['10.0.2.1'] } } } },
  { tunnels: { a: { ...TUNNEL, interface: { addresses: ['10.0.2.1/24', '10.0.2.1/24'] } } } },
  { tunnels: { a: { ...TUNNEL, interface: { create: true, owner: true } } } },
  { tunnels: { a: { ...TUNNEL, offload: { lro: true } } } },
  { http: {}, tunnels: { a: TUNNEL } },
  { http: { listen: 9750 }, tunnels: { a: TUNNEL } },
];

test('the schema accepts everything that ttun accepts', async (t) => {
  const example = parse(await readFile(join(ROOT, 'examples/ttun.toml'), 'utf8'));
  const right = [...RIGHT, example];
  for (const config of right) t.true(takes(config), JSON.stringify(config));
  t.deepEqual(await refusedBySchema(t, right), []);
});

test('ttun refuses everything that the schema refuses', async (t) => {
  for (const config of WRONG) t.false(takes(config), JSON.stringify(config));
  const refused = await refusedBySchema(t, WRONG);
  t.deepEqual(
    WRONG.filter((config) => !refused.includes(config)),
    [],
  );
});

function takes(config: object): boolean {
  try {
    parseConfig(JSON.stringify(config), { format: 'json' });
    return true;
  } catch (error) {
    if (error instanceof TtunConfigError) return false;
    throw error;
  }
}

async function refusedBySchema(t: ExecutionContext, configs: readonly object[]): Promise<object[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-schema-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const files = configs.map((config, index) => ({ config, path: join(folder, `${index}.json`) }));
  for (const { config, path } of files) await writeFile(path, JSON.stringify(config));
  const instances = files.flatMap(({ path }) => ['--instance', path]);
  const { stdout, stderr } = await runToEnd(['jsonschema', '--output', 'pretty', ...instances, SCHEMA_FILE]);
  const refused = files.filter(({ path }) => stderr.includes(`[ValidationError]===(${path})`));
  const taken = files.filter(({ path }) => stdout.includes(`[SUCCESS]===(${path})`));
  t.is(refused.length + taken.length, files.length, stderr);
  return refused.map(({ config }) => config);
}
