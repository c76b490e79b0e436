import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { startHttpServer } from '../../src/http/server.ts';
import { start } from '../../testbed/exec.ts';
import { createSites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { openPair } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';
import { LiveHost } from './live-host.ts';

const ALERTS = fileURLToPath(new URL('../../contrib/prometheus/alerts.yml', import.meta.url));

/** Replies of the Prometheus API. */
interface Prometheus {
  /** Results of a query by name and labels of their series. */
  readonly query: (expression: string) => Promise<Readonly<Record<string, string>>>;
  readonly get: (path: string) => Promise<object>;
}

async function startPrometheus(t: ExecutionContext, target: string): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'ttun-prometheus-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const config = join(folder, 'prometheus.yml');
  await writeFile(
    config,
    `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ['${ALERTS}']
scrape_configs: [{ job_name: ttun, static_configs: [{ targets: ['${target}'] }] }]
`,
  );
  const address = `127.0.0.1:${await freePort()}`;
  const prometheus = start([
    'prometheus',
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${address}`,
  ]);
  t.teardown(() => prometheus[Symbol.asyncDispose]());

  const get = async (path: string): Promise<object> => {
    const response = await fetch(`http://${address}/api/v1/${path}`);
    return Object(await response.json()).data;
  };
  const query = async (expression: string): Promise<Readonly<Record<string, string>>> => {
    const { result } = Object(await get(`query?${new URLSearchParams({ query: expression }).toString()}`));
    return Object.fromEntries(
      result.map(({ metric, value }: { metric: object; value: [number, string] }) => {
        const { __name__: name, job: _job, instance: _instance, ...labels } = Object(metric);
        return [`${name ?? ''}${JSON.stringify(labels)}`, value[1]];
      }),
    );
  };
  await waitFor('Prometheus to be ready', () => prometheusIsReady(address), { timeoutMs: 30_000 });
  return { query, get };
}

async function prometheusIsReady(address: string): Promise<boolean> {
  try {
    return (await fetch(`http://${address}/-/ready`)).ok;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is this
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('Prometheus scrapes running tunnels, and loads the alert rules', async (t) => {
  await using sites = await createSites();
  const pair = await openPair(sites);
  await using a = pair[0];
  await using b = pair[1];
  using host = await LiveHost.of({ here: a, there: b });
  const server = await startHttpServer('127.0.0.1:0', host);
  t.teardown(() => server.close());
  const { query, get } = await startPrometheus(t, new URL(server.url).host);

  await waitFor('the first scrape', async () => (await query('up'))['up{}'] === '1');
  await ping(sites.a, sites.b.inner.ipv4, { count: 5 });
  // On a busy machine ping sends further requests while a reply is late.
  const pings = (await a.stats()).encap.packets;
  t.true(pings >= 5);
  const sent = await waitFor('a scrape after the pings', async () => {
    const found = await query('ttun_packets_total');
    return found['ttun_packets_total{"direction":"decap","tunnel":"here"}'] === String(pings) ? found : null;
  });
  t.deepEqual(sent, {
    'ttun_packets_total{"direction":"encap","tunnel":"here"}': String(pings),
    'ttun_packets_total{"direction":"decap","tunnel":"here"}': String(pings),
    'ttun_packets_total{"direction":"encap","tunnel":"there"}': String(pings),
    'ttun_packets_total{"direction":"decap","tunnel":"there"}': String(pings),
  });
  t.deepEqual(await query('sum by (tunnel) (ttun_bytes_total{direction="encap"})'), {
    '{"tunnel":"here"}': String(pings * 84),
    '{"tunnel":"there"}': String(pings * 84),
  });
  t.deepEqual(await query('ttun_up'), { 'ttun_up{"tunnel":"here"}': '1', 'ttun_up{"tunnel":"there"}': '1' });
  t.deepEqual(await query('sum(ttun_dropped_packets_total)'), { '{}': '0' });
  t.deepEqual(await query('time() - ttun_last_received_timestamp_seconds > 60'), {});

  const metadata = Object(await get('metadata'));
  t.is(metadata.ttun_packets_total[0].type, 'counter');
  t.is(metadata.ttun_up[0].type, 'gauge');

  const { groups } = Object(await get('rules'));
  const rules: readonly { readonly name: string; readonly health: string }[] = groups[0].rules;
  t.is(rules.length, 12);
  await waitFor('the rules to be evaluated', async () => {
    const [group] = Object(await get('rules')).groups;
    return group.rules.every(({ health }: { health: string }) => health === 'ok');
  });
});
