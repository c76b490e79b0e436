/** The control socket of this process, which `ttun show`, `ttun capture` and `ttun reload` connect to. */
import { unlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { TtunError } from '../errors.ts';
import { loadBinding } from '../native.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import { SHOWN_VALUES } from '../tunnel-host.ts';
import type { TunnelHost } from '../tunnel-host.ts';
import type { Capture } from './capture.ts';
import {
  ControlError,
  LineReader,
  LineTooLong,
  LONGEST_REQUEST,
  MOST_CLIENTS,
  parseRequest,
  PROTOCOL,
  send,
} from './protocol.ts';
import type { CaptureRequest, ErrorReply, ProcessReport, Reply, Request } from './protocol.ts';
import { describeNetworkNamespace, listenOnSocketFile, userId } from './socket-file.ts';

export interface ControlServer {
  /** Path of the socket. */
  readonly path: string;
  /** Removes the socket. Clients still get pending data if they read it within 500 ms. */
  close(): Promise<void>;
}

export interface ControlSettings {
  /** Path of the configuration file, for the reply to `show`. */
  readonly config?: string;
}

/**
 * Creates the socket and serves it. It does not keep the process alive.
 *
 * @throws ControlError if there is no directory for the socket; tunnels run without it too
 */
export async function startControlServer(
  host: TunnelHost,
  { config }: ControlSettings = {},
): Promise<ControlServer> {
  const about = await describeThisProcess(config ?? null);
  let beginClosing: (() => void) | undefined;
  const closing = new Promise<void>((resolve) => {
    beginClosing = resolve;
  });
  const clients = new Map<Socket, Promise<void>>();
  // A client may close its half after the last request, and still wait for replies.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.unref();
    if (clients.size >= MOST_CLIENTS) return refuse(socket, tooManyClients());
    clients.set(socket, closed(socket));
    socket.once('close', () => clients.delete(socket));
    void serve(socket, { host, about, closing });
  });
  const path = await listenOnSocketFile(server);
  // With too many open files, connections are not accepted; clients may try again.
  server.on('error', () => {});
  server.unref();
  const removeAtExit = (): void => removeNow(path);
  process.once('exit', removeAtExit);

  const close = async (): Promise<void> => {
    // Also removes the file.
    server.close();
    process.off('exit', removeAtExit);
    beginClosing?.();
    const limit = setTimeout(() => {
      for (const socket of clients.keys()) socket.destroy();
    }, FLUSH_LIMIT_MS);
    await Promise.all(clients.values());
    clearTimeout(limit);
  };
  return { path, close };
}

const FLUSH_LIMIT_MS = 500;

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}

/** @param config path of the configuration file */
async function describeThisProcess(config: string | null): Promise<Omit<ProcessReport, 'http'>> {
  return {
    pid: process.pid,
    uid: userId(),
    version: loadBinding().version(),
    startedAt: Math.round(performance.timeOrigin),
    config,
    networkNamespace: await describeNetworkNamespace(),
  };
}

function removeNow(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It is gone already.
  }
}

interface Served {
  readonly host: TunnelHost;
  readonly about: Omit<ProcessReport, 'http'>;
  /** Resolves when no more requests are to be answered. */
  readonly closing: Promise<void>;
}

/**
 * Serves a client until it has no more requests or disconnects. A reply is made only once the client has read the previous one, so
 * a client that does not read costs the memory of one reply.
 */
async function serve(socket: Socket, served: Served): Promise<void> {
  // A client may disconnect at any time; reads and writes report it.
  socket.on('error', () => {});
  const reader = new LineReader(socket, LONGEST_REQUEST);
  try {
    for (;;) {
      const line = await Promise.race([reader.line(), served.closing]);
      if (typeof line !== 'string') break;
      const capture = await answer(socket, line, served);
      if (capture === null) continue;
      // Anything the client sends during a capture ends it.
      const stop = Promise.race([reader.line(), served.closing]);
      await capture.stream(socket, `ttun ${served.about.version}`, stop);
      break;
    }
  } catch (error) {
    if (error instanceof LineTooLong) socket.write(toLine(toErrorReply(lineTooLong())));
  }
  finish(socket);
}

function refuse(socket: Socket, error: ControlError): void {
  socket.on('error', () => {});
  socket.write(toLine(toErrorReply(error)));
  finish(socket);
}

/** A client that is still writing would miss the last reply if its writes failed, so it may write for a moment longer. */
function finish(socket: Socket): void {
  socket.end();
  socket.resume();
  const limit = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(limit));
}

const LINGER_MS = 1000;

/** Resolves to a capture if packets are to follow the reply. */
async function answer(socket: Socket, line: string, served: Served): Promise<Capture | null> {
  let reply: Reply;
  let capture: Capture | null = null;
  try {
    const request = parseRequest(line);
    if (request.request === 'capture') capture = await startCapture(request, served.host);
    reply = await toReply(request, served);
  } catch (error) {
    reply = toErrorReply(error);
  }
  try {
    await send(socket, toLine(reply));
  } catch (error) {
    capture?.end();
    throw error;
  }
  return capture;
}

async function toReply(request: Request, { host, about }: Served): Promise<Reply> {
  switch (request.request) {
    case 'show': {
      const http = host.http?.() ?? null;
      const tunnels = host.reports();
      return { protocol: PROTOCOL, process: { ...about, http }, tunnels, values: SHOWN_VALUES };
    }
    case 'reload':
      if (host.reload === undefined) throw noConfiguration();
      return { protocol: PROTOCOL, reload: await host.reload() };
    case 'measure-path': {
      const { tunnel, address } = request;
      const path = await findTunnel(tunnel, host).measurePath(address === null ? {} : { address });
      return { protocol: PROTOCOL, path };
    }
    default:
      return { protocol: PROTOCOL, capture: { tunnel: request.tunnel, format: 'pcapng' } };
  }
}

async function startCapture(request: CaptureRequest, host: TunnelHost): Promise<Capture> {
  const tunnel = findTunnel(request.tunnel, host);
  const { Capture: Started } = await import('./capture.ts');
  return new Started(tunnel, request);
}

function findTunnel(wanted: string, host: TunnelHost): OpenTunnel {
  const tunnel = host.find(wanted);
  if (tunnel !== undefined && tunnel.stats().state !== 'closed') return tunnel;
  const reports = host.reports();
  const report = reports.find(({ name }) => name === wanted);
  if (report === undefined) {
    const names = reports.map(({ name }) => name).join(', ');
    throw new ControlError(
      'unknown-tunnel',
      `there is no tunnel ${wanted}; ${names === '' ? 'this process has none' : `this process has ${names}`}`,
    );
  }
  const { message, hint } = report.problem ?? { message: 'it has not been opened yet', hint: null };
  throw new ControlError('tunnel-not-open', `${wanted} is not open: ${message}`, hint);
}

function tooManyClients(): ControlError {
  return new ControlError(
    'too-many-clients',
    `${MOST_CLIENTS} clients are already connected`,
    'close some of them; ss -xp lists them',
  );
}

function noConfiguration(): ControlError {
  return new ControlError(
    'no-configuration',
    'this process was started without a configuration file, so there is nothing to reload',
    'restart it with other arguments, or use ttun up with a configuration file',
  );
}

function lineTooLong(): ControlError {
  return new ControlError('line-too-long', `the request is longer than ${LONGEST_REQUEST} bytes`);
}

function toErrorReply(error: unknown): ErrorReply {
  const [code, hint] =
    error instanceof ControlError || error instanceof TtunError
      ? [error.code, error.hint ?? null]
      : ['internal', null];
  const message = error instanceof Error ? error.message : String(error);
  return { protocol: PROTOCOL, error: { code, message, hint } };
}

function toLine(reply: Reply): string {
  return `${JSON.stringify(reply)}\n`;
}
