/** The HTTP server: `/metrics` for Prometheus, `/stats` for programs, `/` for people. It changes nothing. */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { Socket } from 'node:net';
import { extname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatAuthority, InvalidValue } from '../address.ts';
import { TtunError } from '../errors.ts';
import type { TtunErrorCode } from '../errors.ts';
import { parseListen } from '../listen.ts';
import type { ListenAddress } from '../listen.ts';
import { packageFile } from '../native.ts';
import type { TunnelHost } from '../tunnel-host.ts';
import { formatMetrics, METRICS_CONTENT_TYPE } from './metrics.ts';
import { readProcessStats, readStats } from './stats.ts';

export interface HttpServer {
  /** Such as `http://127.0.0.1:9750/`. */
  readonly url: string;
  /** Closes it at once, with all connections. May be called twice. */
  close(): Promise<void>;
}

/**
 * Starts the server.
 *
 * @param listen `127.0.0.1:9750`, `[::1]:9750`, `localhost:9750`, `9750` for port 9750 of 127.0.0.1, or `:9750` for all
 *   addresses of this host
 * @throws TtunError
 */
export async function startHttpServer(listen: string, host: TunnelHost): Promise<HttpServer> {
  const address = checkListen(listen);
  const routes = await loadRoutes(host);
  const server = createServer(
    LIMITS,
    oneAtATime((request, response) => answer(request, response, routes, address.host)),
  );
  server.maxConnections = MOST_CONNECTIONS;
  server.setTimeout(IDLE_MS);
  await listenAt(server, address);
  // With too many open files, connections are not accepted until some are closed.
  server.on('error', () => {});
  let closing: Promise<void> | undefined;
  return {
    url: `http://${localAuthority(server, address)}/`,
    close() {
      closing ??= close(server);
      return closing;
    },
  };
}

/** Requests have a few hundred bytes, and a scraper and a few pages need few connections: slow or misbehaving clients must not block others. */
const LIMITS = {
  headersTimeout: 5000,
  requestTimeout: 5000,
  keepAliveTimeout: 10_000,
  maxHeaderSize: 8192,
  connectionsCheckingInterval: 1000,
};
const MOST_CONNECTIONS = 64;
/** How long a client may take to read more of a response. */
const IDLE_MS = 15_000;

function checkListen(listen: string): ListenAddress {
  try {
    return parseListen(listen);
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new TtunError('ERR_TTUN_INVALID_OPTIONS', `cannot serve HTTP: ${error.message}`, {
      hint: error.hint,
    });
  }
}

async function listenAt(server: Server, { host, port }: ListenAddress): Promise<void> {
  try {
    const address = host === null || isIP(host) !== 0 ? host : await resolveHost(host);
    const listening = once(server, 'listening');
    server.listen({ port, ...(address === null ? {} : { host: address }) });
    await listening;
  } catch (error) {
    throw toListenError(error, { host, port });
  }
}

/** A name server that does not answer, perhaps because only a tunnel leads to it, must not delay the tunnels. */
async function resolveHost(name: string): Promise<string> {
  const timeout = sleep(LOOKUP_LIMIT_MS, null, { ref: false });
  const found = await Promise.race([lookUp(name), timeout]);
  if (found !== null) return found.address;
  throw Object.assign(new Error('timeout'), { code: 'EAI_AGAIN', syscall: 'getaddrinfo' });
}

const LOOKUP_LIMIT_MS = 2000;

/** Lookups that are still running, by name. Each occupies one of the few threads of Node's pool, and cannot be cancelled. */
const lookups = new Map<string, Promise<LookupAddress>>();

function lookUp(name: string): Promise<LookupAddress> {
  const running = lookups.get(name);
  if (running !== undefined) return running;
  const started = lookup(name).finally(() => lookups.delete(name));
  lookups.set(name, started);
  return started;
}

function toListenError(cause: unknown, { host, port }: ListenAddress): TtunError {
  const where = host === null ? `port ${port} of all addresses` : formatAuthority(host, port);
  const { code, syscall, errno, message }: NodeJS.ErrnoException =
    cause instanceof Error ? cause : new Error(String(cause));
  const [ttunCode, problem, hint] = describe(code, host, port) ?? ['ERR_TTUN_SYSTEM', message, undefined];
  const details = { syscall, errno, hint, cause };
  return new TtunError(ttunCode, `cannot serve HTTP at ${where}: ${problem}`, details);
}

type Description = readonly [code: TtunErrorCode, problem: string, hint: string];

function describe(code: string | undefined, host: string | null, port: number): Description | null {
  switch (code) {
    case 'EADDRINUSE':
      return [
        'ERR_TTUN_PORT_IN_USE',
        'another program is listening there',
        `find it with: ss -ltnp 'sport = ${port}'; or choose another port`,
      ];
    case 'EACCES':
    case 'EPERM':
      return [
        'ERR_TTUN_PORT_PERMISSION',
        `this user may not listen on port ${port}`,
        'choose a port above 1023',
      ];
    case 'EADDRNOTAVAIL':
      return [
        'ERR_TTUN_ADDRESS_NOT_LOCAL',
        `no interface of this host has the address ${host}`,
        'list the addresses with: ip address; 127.0.0.1 is always available',
      ];
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return [
        'ERR_TTUN_ADDRESS_NOT_LOCAL',
        `${host} has no address`,
        'give an address of this host, such as 127.0.0.1',
      ];
    default:
      return null;
  }
}

/** Where clients on this host reach it. */
function localAuthority(server: Server, { host }: ListenAddress): string {
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return formatAuthority(host === null || host === '0.0.0.0' || host === '::' ? 'localhost' : host, port);
}

interface Content {
  readonly type: string;
  readonly body: string | Buffer;
}

/** By path; called for each request. */
type Routes = ReadonlyMap<string, () => Content>;

/** Reads the page's files once, so that an update does not affect a running server. */
async function loadRoutes(host: TunnelHost): Promise<Routes> {
  const routes = new Map<string, () => Content>([
    ['/metrics', () => toMetrics(host)],
    ['/stats', () => toJson(readStats(host))],
  ]);
  const folder = packageFile('page');
  for (const name of await readdir(folder)) {
    const type = TYPES[extname(name)] ?? 'application/octet-stream';
    const content = { type, body: await readFile(join(folder, name)) };
    routes.set(name === 'index.html' ? '/' : `/page/${name}`, () => content);
  }
  return routes;
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

function toMetrics(host: TunnelHost): Content {
  return { type: METRICS_CONTENT_TYPE, body: formatMetrics(host.reports(), readProcessStats()) };
}

function toJson(document: unknown): Content {
  return { type: 'application/json; charset=utf-8', body: `${JSON.stringify(document)}\n` };
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/**
 * Answers one request of a connection at a time, and closes connections that pipeline requests (RFC 9112, section 9.3.2). No browser
 * and no Prometheus does that, and a client that never reads could otherwise make us hold thousands of responses.
 */
function oneAtATime(handle: RequestListener): RequestListener {
  const busy = new WeakSet<Socket>();
  return (request, response) => {
    const { socket } = request;
    if (busy.has(socket)) {
      socket.destroy();
      return;
    }
    busy.add(socket);
    response.once('finish', () => busy.delete(socket));
    handle(request, response);
  };
}

/** @param listenHost the name or address that the server listens on; `null` for all addresses */
function answer(
  request: IncomingMessage,
  response: ServerResponse,
  routes: Routes,
  listenHost: string | null,
): void {
  const { method = '', headers, url = '' } = request;
  const [path = ''] = url.split('?', 1);
  if (!isOwnHost(headers.host, listenHost)) {
    const message = 'the Host header must be an address of this server, or localhost';
    return refuse(response, 421, message);
  }
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return refuse(response, 405, 'this server is read-only: use GET or HEAD');
  }
  const route = routes.get(path);
  if (route === undefined) return refuse(response, 404, 'not found; this server has / /metrics /stats');
  let content: Content;
  try {
    content = route();
  } catch (error) {
    return refuse(response, 500, `failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  send(response, 200, content);
}

/**
 * Whether a Host header names this server by an address, as `localhost`, or by the name it listens on. Other names may be an attempt
 * at DNS rebinding: the name of a hostile web page that resolves to 127.0.0.1, so that the page may read what a local server serves.
 */
export function isOwnHost(header: string | undefined, listenHost: string | null): boolean {
  const host = /^(?:\[(?<ipv6>[^\]]*)\]|(?<plain>[^:]*))(?::\d*)?$/.exec(header ?? '')?.groups;
  if (host === undefined) return false;
  const { ipv6, plain } = host;
  if (plain === undefined) return isIP(ipv6 ?? '') === 6;
  const name = plain.toLowerCase();
  return isIP(name) === 4 || name === 'localhost' || name === listenHost;
}

function refuse(response: ServerResponse, status: number, message: string): void {
  // The body of a refused request is not read, so the connection cannot be used again.
  response.shouldKeepAlive = false;
  send(response, status, { type: 'text/plain; charset=utf-8', body: `${message}\n` });
}

/** For HEAD, Node sends the headers only. */
function send(response: ServerResponse, status: number, { type, body }: Content): void {
  response.writeHead(status, { ...HEADERS, 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

/** Responses are current values for this client only, and the page loads nothing from other servers. */
const HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};
