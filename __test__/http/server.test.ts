import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { TtunError } from '../../src/errors.ts';
import { isOwnHost, startHttpServer } from '../../src/http/server.ts';
import type { HttpServer } from '../../src/http/server.ts';
import { STATS } from '../../src/stats-table.ts';
import type { TunnelHost } from '../../src/tunnel-host.ts';
import { withLimit } from '../../testbed/wait.ts';
import { hostOf, OPEN, RETRYING } from './reports.ts';

async function serve(
  t: ExecutionContext,
  listen = '127.0.0.1:0',
  host: TunnelHost = hostOf(OPEN, RETRYING),
): Promise<HttpServer> {
  const server = await startHttpServer(listen, host);
  t.teardown(() => server.close());
  return server;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Unlike fetch, sends any Host header. */
async function ask(
  { url }: HttpServer,
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { port } = new URL(url);
  const request = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }).end();
  const [response] = await once(request, 'response');
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

/** A raw connection. */
async function dial(t: ExecutionContext, { url }: HttpServer): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

test('/stats has the process and all tunnels as JSON', async (t) => {
  const server = await serve(t);
  const { status, headers, body } = await ask(server, '/stats');
  t.is(status, 200);
  t.is(headers['content-type'], 'application/json; charset=utf-8');
  const document = JSON.parse(body);
  t.deepEqual(document.tunnels, [OPEN, RETRYING]);
  t.is(document.process.pid, process.pid);
  t.is(document.process.node, process.versions.node);
  t.true(document.process.residentBytes > 1e6 && document.process.cpuSeconds > 0);
  t.true(document.process.timestamp >= document.process.startedAt + document.process.uptimeMs - 1000);
});

test('each response has current values', async (t) => {
  let name = 'first';
  const server = await serve(t, '127.0.0.1:0', { ...hostOf(), reports: () => [{ ...OPEN, name }] });
  t.regex((await ask(server, '/metrics')).body, /ttun_up\{tunnel="first"\} 1/);
  name = 'second';
  const { headers, body } = await ask(server, '/metrics?when=now');
  t.regex(body, /ttun_up\{tunnel="second"\} 1/);
  t.is(headers['cache-control'], 'no-store');
  t.is(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
});

test('HEAD is answered as GET is, without a body', async (t) => {
  const server = await serve(t);
  const { status, headers, body } = await ask(server, '/metrics', { method: 'HEAD' });
  t.is(status, 200);
  t.true(Number(headers['content-length']) > 1000);
  t.is(body, '');
});

test('the server is read-only', async (t) => {
  const server = await serve(t);
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const { status, headers, body } = await ask(server, '/stats', { method });
    t.is(status, 405, method);
    t.is(headers.allow, 'GET, HEAD');
    t.regex(body, /read-only/);
  }
});

test('an unknown path lists the known ones', async (t) => {
  const server = await serve(t);
  for (const path of [
    '/nothing',
    '/metrics/',
    '/../package.json',
    '/page/../../package.json',
    '/%2e%2e/package.json',
    '//',
  ]) {
    const { status, headers, body } = await ask(server, path);
    t.is(status, 404, path);
    t.is(headers['content-type'], 'text/plain; charset=utf-8');
    t.regex(body, /\/metrics \/stats/);
  }
});

test("only addresses and localhost are accepted as Host, not names that may be an attacker's", async (t) => {
  const server = await serve(t);
  const { port } = new URL(server.url);
  for (const host of [
    'attacker.example',
    `attacker.example:${port}`,
    '127.0.0.1.attacker.example',
    'localhost.example',
    '[::1',
    '1',
  ]) {
    const { status, body } = await ask(server, '/stats', { headers: { Host: host } });
    t.is(status, 421, `'${host}'`);
    t.false(body.includes('office'));
  }
  for (const host of [
    '127.0.0.1',
    `127.0.0.1:${port}`,
    'localhost',
    `LOCALHOST:${port}`,
    `[::1]:${port}`,
    '192.0.2.1:80',
  ]) {
    t.is((await ask(server, '/stats', { headers: { Host: host } })).status, 200, host);
  }
});

test('a request without a Host header is refused', async (t) => {
  const socket = await dial(t, await serve(t));
  socket.write('GET /stats HTTP/1.0\r\n\r\n');
  t.regex(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 421/);
});

test('the name that it listens on is accepted as Host', (t) => {
  t.true(isOwnHost('gateway.lan:9750', 'gateway.lan'));
  t.true(isOwnHost('Gateway.LAN', 'gateway.lan'));
  t.false(isOwnHost('gateway.lan.attacker.example:9750', 'gateway.lan'));
  t.false(isOwnHost('gateway.lan:9750', null));
});

test('headers forbid browsers to run, store or share responses', async (t) => {
  const server = await serve(t);
  for (const path of ['/', '/page/main.js', '/metrics', '/stats', '/nothing']) {
    const { headers } = await ask(server, path, { headers: { Origin: 'http://attacker.example' } });
    const policy = String(headers['content-security-policy']);
    t.regex(policy, /^default-src 'none';/);
    t.notRegex(policy, /unsafe|https?:|\*/);
    t.is(headers['x-content-type-options'], 'nosniff');
    t.is(headers['referrer-policy'], 'no-referrer');
    t.is(headers['cache-control'], 'no-store');
    t.is(headers['access-control-allow-origin'], undefined);
  }
});

test('close() ends idle connections, and may be called twice', async (t) => {
  const server = await serve(t);
  const socket = await dial(t, server);
  socket.write('GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'data');
  const gone = once(socket, 'close');
  await Promise.all([server.close(), server.close()]);
  await server.close();
  await withLimit(gone, 2000, () => 'the connection to end');
  await t.throwsAsync(fetch(server.url));
});

test('a client that sends no request is disconnected, and does not block others', async (t) => {
  const server = await serve(t);
  const slow = await dial(t, server);
  slow.write('GET /stats HTTP/1.1\r\nHost: loc');
  slow.resume();
  const gone = once(slow, 'close');
  t.is((await ask(server, '/stats')).status, 200);
  await withLimit(gone, 10_000, () => 'the slow connection to end');
  t.is((await ask(server, '/stats')).status, 200);
});

test('invalid HTTP and broken connections do not affect the server', async (t) => {
  const server = await serve(t);
  for (const nonsense of [
    '\0\u0001\u0002\r\n\r\n',
    'GET\r\n\r\n',
    `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n',
  ]) {
    const socket = await dial(t, server);
    socket.resume();
    const gone = once(socket, 'close');
    socket.write(nonsense);
    await withLimit(gone, 5000, () => `the end of the connection after ${nonsense.slice(0, 20)}`);
  }
  const hasty = await dial(t, server);
  hasty.write('GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n');
  hasty.resetAndDestroy();
  t.is((await ask(server, '/stats')).status, 200);
});

test('a client that pipelines requests is disconnected, and does not block others', async (t) => {
  const server = await serve(t);
  const greedy = await dial(t, server);
  const gone = once(greedy, 'close');
  greedy.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(1000));
  greedy.resume();
  await withLimit(gone, 5000, () => 'the greedy connection to end');
  // One response at most: each has several kilobytes.
  t.true(greedy.bytesRead < 2 * (await ask(server, '/metrics')).body.length);
});

test('a connection is kept for the next request', async (t) => {
  const server = await serve(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const ports = new Set<number | undefined>();
  for (let asked = 0; asked < 5; asked += 1) {
    const { port } = new URL(server.url);
    const request = httpRequest({ host: '127.0.0.1', port, path: '/metrics', agent }).end();
    const [response] = await once(request, 'response');
    t.is(response.statusCode, 200);
    await text(response);
    ports.add(request.socket?.localPort);
  }
  t.is(ports.size, 1);
});

test('there are at most 64 connections', async (t) => {
  const server = await serve(t);
  const sockets = await Promise.all(Array.from({ length: 64 }, () => dial(t, server)));
  const extra = await dial(t, server);
  extra.resume();
  await withLimit(once(extra, 'close'), 2000, () => 'the 65th connection to be refused');
  const [first] = sockets;
  first?.write('GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n');
  t.regex(String((await once(first ?? extra, 'data'))[0]), /^HTTP\/1.1 404/);
});

test('a failure of the host affects only that request', async (t) => {
  let fails = true;
  const server = await serve(t, '127.0.0.1:0', {
    ...hostOf(),
    reports() {
      if (fails) throw new Error('no statistics');
      return [OPEN];
    },
  });
  const { status, body } = await ask(server, '/metrics');
  t.is(status, 500);
  t.regex(body, /no statistics/);
  fails = false;
  t.is((await ask(server, '/metrics')).status, 200);
});

test('a response has all of a hundred tunnels', async (t) => {
  const reports = Array.from({ length: 100 }, (_, index) => ({ ...OPEN, name: `t${index}` }));
  const server = await serve(t, '127.0.0.1:0', hostOf(...reports));
  const { body } = await ask(server, '/metrics');
  const reasons = STATS.filter(({ kind }) => kind === 'drop');
  t.is(body.match(/^ttun_dropped_packets_total\{/gm)?.length, 100 * reasons.length);
  t.is(JSON.parse((await ask(server, '/stats')).body).tunnels.length, 100);
});

const REFUSED: readonly (readonly [listen: string, code: string, message: RegExp, hint: RegExp])[] = [
  ['203.0.113.1:9750', 'ERR_TTUN_ADDRESS_NOT_LOCAL', /203\.0\.113\.1:9750: no interface/, /ip address/],
  ['[2001:db8::1]:9750', 'ERR_TTUN_ADDRESS_NOT_LOCAL', /\[2001:db8::1\]:9750/, /ip address/],
  ['127.0.0.1', 'ERR_TTUN_INVALID_OPTIONS', /'127\.0\.0\.1' is not a TCP port/, /127\.0\.0\.1:9750/],
  ['127.0.0.1:http', 'ERR_TTUN_INVALID_OPTIONS', /'http' is not a TCP port/, /9750/],
  ['127.0.0.1:65536', 'ERR_TTUN_INVALID_OPTIONS', /'65536'/, /65535/],
  ['::1', 'ERR_TTUN_INVALID_OPTIONS', /no port, or no brackets/, /\[::1\]:9750/],
  ['::1:9750', 'ERR_TTUN_INVALID_OPTIONS', /no port, or no brackets/, /'\[::1\]:9750'/],
  ['1.2.3.4.5:80', 'ERR_TTUN_INVALID_OPTIONS', /1\.2\.3\.4\.5:80/, /9750/],
  ['300.1.1.1:80', 'ERR_TTUN_INVALID_OPTIONS', /300\.1\.1\.1:80/, /9750/],
  ['http://127.0.0.1:80', 'ERR_TTUN_INVALID_OPTIONS', /http:/, /9750/],
  ['a b:80', 'ERR_TTUN_INVALID_OPTIONS', /a b/, /9750/],
  ['', 'ERR_TTUN_INVALID_OPTIONS', /''/, /9750/],
];

for (const [listen, code, message, hint] of REFUSED) {
  test(`listening at '${listen}' is refused with a hint`, async (t) => {
    const error = await t.throwsAsync<TtunError>(startHttpServer(listen, hostOf()), { code, message });
    t.true(error instanceof TtunError);
    t.regex(error?.hint ?? '', hint);
  });
}

test('a port in use is an error with a command that finds its user', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  t.teardown(() => other.close());
  await once(other, 'listening');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is this
  const { port } = other.address() as AddressInfo;
  const error = await t.throwsAsync<TtunError>(startHttpServer(`${port}`, hostOf()), {
    code: 'ERR_TTUN_PORT_IN_USE',
    message: `cannot serve HTTP at 127.0.0.1:${port}: another program is listening there`,
  });
  t.regex(error?.hint ?? '', new RegExp(`ss -ltnp 'sport = ${port}'`));
});

test('a port alone means loopback, and an empty address means all addresses', async (t) => {
  const loopback = await serve(t, '0');
  t.regex(loopback.url, /^http:\/\/127\.0\.0\.1:\d+\/$/);
  const all = await serve(t, ':0');
  t.regex(all.url, /^http:\/\/localhost:\d+\/$/);
  const ipv6 = await serve(t, '[::1]:0');
  t.regex(ipv6.url, /^http:\/\/\[::1\]:\d+\/$/);
  for (const { url } of [loopback, all, ipv6]) t.is((await fetch(new URL('/metrics', url))).status, 200);
});
