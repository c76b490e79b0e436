/** The control socket of this process, by which `ttun show` and others ask it. */
import { unlinkSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import { describeSystemError, TtunError } from '../errors.ts';
import { loadBinding } from '../native.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { TunnelHost } from '../service/host.ts';
import { settledWithin } from '../settled-within.ts';
import type { Capture, CaptureRequest } from './capture.ts';
import { linesOf, LineTooLong, send } from './connection.ts';
import { ControlError, LONGEST_REQUEST, MOST_CLIENTS, parseRequest, PROTOCOL } from './protocol.ts';
import type {
  CaptureReply,
  ErrorReply,
  NetworkNamespace,
  ProcessReport,
  ReloadReply,
  Request,
  ShowReply,
} from './protocol.ts';
import { connectTo, LONGEST_PATH, placesForSocket, prepare, socketName, userId } from './socket-file.ts';

export interface ControlServer {
  /** Path of the socket. */
  readonly path: string;
  /** Removes the socket; clients get what they were being sent, if they read it soon. */
  close(): Promise<void>;
}

export interface ControlSettings {
  /** Path of the configuration file, to be told to who asks. */
  readonly config?: string;
}

/**
 * Makes the socket and answers on it. It does not keep the process alive.
 *
 * @throws ControlError when there is no place for the socket; the tunnels run just as well without
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
  // A client may say that it has no more requests, and still wait for answers.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.unref();
    if (clients.size >= MOST_CLIENTS) return refuse(socket, tooManyClients());
    clients.set(socket, goneOf(socket));
    socket.once('close', () => clients.delete(socket));
    void serve(socket, { host, about, closing });
  });
  const path = await listenSomewhere(server);
  // A lack of descriptors: who connects is not served, and may try again.
  server.on('error', () => {});
  server.unref();
  const removeAtExit = (): void => removeAtOnce(path);
  process.once('exit', removeAtExit);

  const close = async (): Promise<void> => {
    // Removes the file too.
    server.close();
    process.off('exit', removeAtExit);
    beginClosing?.();
    await settledWithin(FLUSH_LIMIT_MS, [...clients.values()]);
    for (const socket of clients.keys()) socket.destroy();
  };
  return { path, close };
}

function goneOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}

/** How long a slow client is waited for at the end, in ms. */
const FLUSH_LIMIT_MS = 500;

async function listenSomewhere(server: Server): Promise<string> {
  const problems: string[] = [];
  for (const place of placesForSocket()) {
    try {
      await prepare(place);
      return await listenIn(place.directory, server);
    } catch (error) {
      problems.push(`${place.directory}: ${describeSystemError(error)}`);
    }
  }
  throw new ControlError('no-directory', `there is no place for the control socket (${problems.join('; ')})`);
}

async function listenIn(directory: string, server: Server): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const path = join(directory, socketName(process.pid, attempt));
    if (Buffer.byteLength(path) > LONGEST_PATH) throw new Error('the path is too long for a socket');
    // A process that had our id may have left its socket behind; looking at it removes it.
    (await connectTo(path))?.destroy();
    try {
      await listen(server, path);
      return path;
    } catch (error) {
      if (!isAddressInUse(error) || attempt === MOST_ATTEMPTS) throw error;
    }
  }
}

const MOST_ATTEMPTS = 8;

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The socket is made within the call, and is nobody else's from the first instant.
    const umask = process.umask(0o177);
    server.listen({ path }, () => {
      server.off('error', reject);
      resolve();
    });
    process.umask(umask);
  });
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

function tooManyClients(): ControlError {
  return new ControlError(
    'too-many-clients',
    `${MOST_CLIENTS} clients are connected already`,
    'end some of them: ss -xp shows who they are',
  );
}

function removeAtOnce(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It is gone already.
  }
}

// One client of a control socket: its requests are answered one after the other.

export interface Served {
  readonly host: TunnelHost;
  readonly about: ProcessReport;
  /** Resolves when no more requests are to be answered. */
  readonly closing: Promise<void>;
}

/**
 * Serves a client until it has no more requests or has gone. An answer is made only when the client has read the one before,
 * so one that does not read costs the memory of one answer.
 */
export async function serve(socket: Socket, served: Served): Promise<void> {
  // A client may go at any time; the reads and writes below notice it.
  socket.on('error', () => {});
  const lines = linesOf(socket.iterator({ destroyOnReturn: false }), LONGEST_REQUEST);
  try {
    for (;;) {
      const next = await Promise.race([lines.next(), served.closing]);
      if (typeof next?.value !== 'string') break;
      const capture = await answer(socket, next.value, served);
      if (capture === null) continue;
      // Whatever a client sends while it is sent packets ends that.
      const stop = Promise.race([lines.next(), served.closing]);
      await capture.stream(socket, `ttun ${served.about.version}`, stop);
      break;
    }
  } catch (error) {
    if (error instanceof LineTooLong) socket.write(toLine(toReply(tooLong())));
  }
  finish(socket);
}

/** For a client that is not served at all. */
export function refuse(socket: Socket, error: ControlError): void {
  socket.on('error', () => {});
  socket.write(toLine(toReply(error)));
  finish(socket);
}

/** The client may still be writing, and would not read our last answer if that failed: so it is let write a moment longer. */
function finish(socket: Socket): void {
  socket.end();
  socket.resume();
  const limit = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(limit));
}

const LINGER_MS = 1000;

type Reply = ShowReply | ReloadReply | CaptureReply | ErrorReply;

/** Packets are to follow when it returns a capture. */
async function answer(socket: Socket, line: string, served: Served): Promise<Capture | null> {
  let reply: Reply;
  let capture: Capture | null = null;
  try {
    const request = parseRequest(line);
    if (request.request === 'capture') capture = await startCapture(request, served.host);
    reply = await fulfil(request, served);
  } catch (error) {
    reply = toReply(error);
  }
  try {
    await send(socket, toLine(reply));
  } catch (error) {
    capture?.end();
    throw error;
  }
  return capture;
}

async function fulfil(request: Request, { host, about }: Served): Promise<Reply> {
  switch (request.request) {
    case 'show':
      return { protocol: PROTOCOL, process: about, tunnels: host.reports() };
    case 'reload':
      if (host.reload === undefined) throw withoutConfiguration();
      return { protocol: PROTOCOL, reload: await host.reload() };
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
      `there is no tunnel ${wanted} here, but ${names || 'none at all'}`,
    );
  }
  const { message, hint } = report.problem ?? { message: 'it has not been opened yet', hint: null };
  throw new ControlError('tunnel-not-open', `${wanted} is not open: ${message}`, hint);
}

function withoutConfiguration(): ControlError {
  return new ControlError(
    'no-configuration',
    'this process runs by its arguments, so there is no configuration to load anew',
    'end it and start it with other arguments, or write a file for ttun up',
  );
}

function tooLong(): ControlError {
  return new ControlError('line-too-long', `a request has at most ${LONGEST_REQUEST} bytes`);
}

function toReply(error: unknown): ErrorReply {
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

// What a process tells of itself.

/** @param config path of the configuration file */
export async function describeThisProcess(config: string | null): Promise<ProcessReport> {
  return {
    pid: process.pid,
    uid: userId(),
    version: (await loadBinding()).version(),
    startedAt: Math.round(performance.timeOrigin),
    config,
    networkNamespace: await describeNetworkNamespace(),
  };
}

export async function describeNetworkNamespace(): Promise<NetworkNamespace> {
  const { ino, dev } = await stat('/proc/self/ns/net');
  return { inode: ino, name: await nameOf(ino, dev) };
}

/** `ip netns add` leaves a mount of the namespace under its name (ip-netns(8)). */
async function nameOf(inode: number, device: number): Promise<string | null> {
  const names = await readdir(NAMED_NAMESPACES).catch(() => []);
  for (const name of names) {
    const found = await stat(`${NAMED_NAMESPACES}/${name}`).catch(() => null);
    if (found?.ino === inode && found.dev === device) return name;
  }
  return null;
}

const NAMED_NAMESPACES = '/run/netns';
