/** The HTTP server: `/metrics` for Prometheus, `/stats` for programs, `/` for people. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { InvalidValue } from '../address.ts';
import { TtunError } from '../errors.ts';
import type { TunnelHost } from '../service/host.ts';
import { answer } from './answer.ts';
import { toListenError } from './listen-error.ts';
import { formatAuthority, parseListen } from './listen.ts';
import type { ListenAddress } from './listen.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { readPage } from './page-files.ts';
import { routesFor } from './routes.ts';

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
