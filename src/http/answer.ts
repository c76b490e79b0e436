/** One request, answered. Nothing can be changed through this server: it only tells. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isOwnHost } from './host-check.ts';
import type { Route } from './routes.ts';

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
