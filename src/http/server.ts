/** The HTTP server: `/metrics` for Prometheus, `/stats` for programs, `/` for people. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { Socket } from 'node:net';
import { InvalidValue } from '../address.ts';
import { TtunError } from '../errors.ts';
import type { TunnelHost } from '../service/host.ts';
import { formatAuthority, parseListen, toListenError } from './listen.ts';
import type { ListenAddress } from './listen.ts';
import { readPage, routesFor } from './routes.ts';
import type { Route } from './routes.ts';

export interface HttpServer {
  /** Where it is reached: `http://127.0.0.1:9750/`. */
  readonly url: string;
  /** Ends it at once, connections included. May be called twice. */
  close(): Promise<void>;
}

/**
 * Nobody who is slow or greedy holds what others need: a request is a few hundred bytes, a scraper and a few pages are a
 * handful of connections.
 */
const LIMITS = { headersTimeout: 5000, requestTimeout: 5000, keepAliveTimeout: 10_000, maxHeaderSize: 8192 };
const CONNECTIONS_CHECK_MS = 1000;
const MOST_CONNECTIONS = 64;
/** Silence on a connection while an answer waits to be taken, in ms. */
const IDLE_MS = 15_000;

/**
 * Starts to serve what the tunnels of `host` tell of themselves.
 *
 * @param listen `127.0.0.1:9750`, `[::1]:9750`, `localhost:9750`, `9750` for that port of 127.0.0.1, or `:9750` for all
 *   addresses of this machine
 * @throws TtunError
 */
export async function startHttpServer(listen: string, host: TunnelHost): Promise<HttpServer> {
  const address = checkListen(listen);
  const site = { routes: routesFor(host, await readPage()), listenHost: address.host };
  const server = createServer(
    { ...LIMITS, connectionsCheckingInterval: CONNECTIONS_CHECK_MS },
    oneAtATime((request, response) => answer(request, response, site)),
  );
  server.maxConnections = MOST_CONNECTIONS;
  server.setTimeout(IDLE_MS);
  await listenAt(server, address);
  // A connection that could not be accepted, for want of descriptors, is no reason to end.
  server.on('error', () => {});
  let closing: Promise<void> | undefined;
  return {
    url: `http://${reachedAt(server, address)}/`,
    close() {
      closing ??= close(server);
      return closing;
    },
  };
}

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
    const listening = once(server, 'listening');
    server.listen({ port, ...(host === null ? {} : { host }) });
    await listening;
  } catch (error) {
    throw toListenError(error, { host, port });
  }
}

/** Where someone on this machine finds it. */
function reachedAt(server: Server, { host }: ListenAddress): string {
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return formatAuthority(host === null || host === '0.0.0.0' || host === '::' ? 'localhost' : host, port);
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

// One request, answered. Nothing can be changed through this server: it only tells.

/** What is read here is of this instant, and for the program or page that asked alone; the page loads nothing from elsewhere. */
const HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

export interface Site {
  readonly routes: ReadonlyMap<string, Route>;
  /** The name or address to listen at; `null` for all addresses. */
  readonly listenHost: string | null;
}

export function answer(request: IncomingMessage, response: ServerResponse, site: Site): void {
  const { method = '', headers, url = '' } = request;
  const [path = ''] = url.split('?', 1);
  if (!isOwnHost(headers.host, site.listenHost)) {
    return refuse(
      response,
      421,
      'this server answers to its address or to localhost, not to another name in the Host header',
    );
  }
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return refuse(response, 405, 'this server can only be read: GET or HEAD');
  }
  const route = site.routes.get(path);
  if (route === undefined) return refuse(response, 404, 'not here; here are: / /metrics /stats');
  let content;
  try {
    content = route();
  } catch (error) {
    return refuse(
      response,
      500,
      `ttun could not tell: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  send(response, 200, content.type, content.body);
}

function refuse(response: ServerResponse, status: number, sentence: string): void {
  // What is not answered is not read either: a body would only follow.
  response.shouldKeepAlive = false;
  send(response, status, 'text/plain; charset=utf-8', `${sentence}\n`);
}

/** To HEAD, Node sends the headers alone. */
function send(response: ServerResponse, status: number, type: string, body: string | Buffer): void {
  response.writeHead(status, { ...HEADERS, 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

// Whom this server answers. A web page of a stranger can let its own name resolve to 127.0.0.1 and then read, in the browser
// of whoever looks at it, what a server there tells ("DNS rebinding"). The browser still sends the stranger's name in the
// Host header, which no address and no name of our own is.

/** Whether a Host header names this server by an address, as `localhost`, or by the name that it was told to listen at. */
export function isOwnHost(header: string | undefined, listenHost: string | null): boolean {
  const host = /^(?:\[(?<ipv6>[^\]]*)\]|(?<plain>[^:]*))(?::\d*)?$/.exec(header ?? '')?.groups;
  if (host === undefined) return false;
  const { ipv6, plain } = host;
  if (plain === undefined) return isIP(ipv6 ?? '') === 6;
  const name = plain.toLowerCase();
  return isIP(name) === 4 || name === 'localhost' || name === listenHost;
}

/**
 * Answers one request of a connection at a time. HTTP lets a client ask on before it has the answer (RFC 9112, section 9.3.2),
 * which no browser and no Prometheus does; and who never takes the answers could have us hold thousands of them. So that
 * connection is ended.
 */
export function oneAtATime(handle: RequestListener): RequestListener {
  const answering = new WeakSet<Socket>();
  return (request, response) => {
    const { socket } = request;
    if (answering.has(socket)) {
      socket.destroy();
      return;
    }
    answering.add(socket);
    response.once('finish', () => answering.delete(socket));
    handle(request, response);
  };
}
