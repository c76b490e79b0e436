import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { BackgroundProcess } from '../../testbed/exec.ts';
import { createSites } from '../../testbed/sites.ts';
import type { Sites } from '../../testbed/sites.ts';
import { RemoteTunnel } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';

const FOLDER = new URL('../../examples/', import.meta.url);
/** Makes of TypeScript, and of what is newer than Node 20, what that runs. */
const COMPILE = ['--import', import.meta.resolve('@oxc-node/core/register')];

let sites: Sites;
let peer: RemoteTunnel;
test.before(async () => {
  sites = await createSites();
  peer = await RemoteTunnel.open(sites.b, {
    device: 'tun0',
    local: '10.0.1.2:9000',
    remote: '10.0.1.1:9000',
  });
});
test.after.always(async () => {
  await peer?.[Symbol.asyncDispose]();
  await sites[Symbol.asyncDispose]();
});

/** Starts an example as its comment says, in the site whose peer waits. */
function startExample(file: string, ...args: readonly string[]): BackgroundProcess {
  const flags = file.endsWith('.ts') ? COMPILE : [];
  const program = fileURLToPath(new URL(file, FOLDER));
  return sites.a.start([
    process.execPath,
    ...flags,
    program,
    'tun0',
    '10.0.1.1:9000',
    '10.0.1.2:9000',
    ...args,
  ]);
}

/** Sends packets both ways until the example prints `line`. */
async function passPackets(example: BackgroundProcess, line: RegExp): Promise<void> {
  await using ping = sites.a.start(['ping', '-i', '0.1', sites.b.inner.ipv4]);
  await example.waitForLine(line);
  void ping;
}

test.serial('every example is listed in its README, and tested here', async (t) => {
  const files = (await readdir(FOLDER)).filter((file) => /\.(?:mjs|ts)$/.test(file));
  const readme = await readFile(new URL('README.md', FOLDER), 'utf8');
  const here = await readFile(new URL(import.meta.url), 'utf8');
  t.true(files.length > 0);
  for (const file of files) {
    t.true(readme.includes(`](${file})`), `${file} in the README`);
    t.true(here.includes(`startExample('${file}'`), `${file} here`);
  }
});

test.serial('embed-and-poll prints the traffic, and exits with 0 on Ctrl-C', async (t) => {
  await using example = startExample('embed-and-poll.mjs');
  await passPackets(example, /^sent 0\.0[1-9] Mbit\/s, \d+ packets\/s \| received 0\.0[1-9] Mbit\/s/);
  // It is up from the start, or once the first packet was answered; a sample may come first.
  await example.waitForLine('the tunnel is up');
  t.deepEqual(await example.stop('SIGINT'), { status: 0, signal: null });
});

test.serial('embed-and-poll reports a missing device', async (t) => {
  const program = fileURLToPath(new URL('embed-and-poll.mjs', FOLDER));
  const ends = ['10.0.1.1:9000', '10.0.1.2:9000'];
  const { status, stderr } = await sites.a.runToEnd([process.execPath, program, 'tun9', ...ends]);
  t.is(status, 1);
  t.regex(stderr, /ERR_TTUN_DEVICE_NOT_FOUND/);
});

test.serial('http-service serves JSON and Prometheus metrics', async (t) => {
  await using example = startExample('http-service.mjs', '0');
  const url = await example.waitForLine(/^http:/);
  const get = async (path: string): Promise<string> => {
    const source = `process.stdout.write(await (await fetch(process.argv[1])).text())`;
    const fetched = [process.execPath, '--input-type=module', '-e', source, new URL(path, url).href];
    return (await sites.a.run(fetched)).stdout;
  };
  await sites.a.run(['ping', '-c', '2', '-i', '0.2', sites.b.inner.ipv4]);
  t.like(JSON.parse(await get('/tunnel')), { state: 'up', encap: { packets: 2 }, decap: { packets: 2 } });
  const metrics = await get('/metrics');
  t.regex(metrics, /^my_tunnel_up 1$/m);
  t.regex(metrics, /^my_tunnel_sent_bytes_total 168$/m);
  t.regex(metrics, /^my_tunnel_dropped_packets_total\{direction="received",reason="device-down"\} 0$/m);
  t.deepEqual(await example.stop('SIGINT'), { status: 0, signal: null });
});

test.serial('opentelemetry exports the counters, for the last time when the tunnel has ended', async (t) => {
  await using example = startExample('opentelemetry.mjs');
  await passPackets(example, /name: 'tunnel\.io'/);
  const exported = example.lines.length;
  t.deepEqual(await example.stop('SIGINT'), { status: 0, signal: null });
  const last = example.lines.slice(exported).join('\n');
  for (const name of ['tunnel.io', 'tunnel.packets', 'tunnel.dropped', 'tunnel.up'])
    t.true(last.includes(`'${name}'`));
});

test.serial('abort-and-await-using ends after a packet from the peer, and releases the device', async (t) => {
  await using example = startExample('abort-and-await-using.ts');
  await example.waitForLine('open');
  await passPackets(example, /^\d+ packets arrived from the peer$/);
  const { status } = await example.exited;
  t.is(status, 0);
  const { encap } = await peer.stats();
  t.true(encap.packets > 0);
});

test.serial('worker reports on its tunnel from a thread, and releases it when terminated', async (t) => {
  await using example = startExample('worker.mjs');
  await passPackets(example, /^up: [1-9]\d* packets sent, [1-9]\d* received$/);
  await example.stop('SIGINT');
  t.false(example.lines.some((line) => line.includes('Error')));
  await using again = startExample('embed-and-poll.mjs');
  await waitFor('the next to attach', () => again.lines.some((line) => line.startsWith('sent ')));
  t.deepEqual(await again.stop('SIGINT'), { status: 0, signal: null });
});
