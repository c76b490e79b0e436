/** The control socket of this process, by which `ttun show` and others ask it. */
import { unlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import type { TunnelHost } from '../service/host.ts';
import { settledWithin } from '../settled-within.ts';
import { describeSystemError } from '../system-error.ts';
import { placesForSocket, prepare } from './directories.ts';
import { ControlError } from './error.ts';
import { describeThisProcess } from './process-report.ts';
import { MOST_CLIENTS } from './protocol.ts';
import { refuse, serve } from './session.ts';
import { connectTo, LONGEST_PATH, socketName } from './socket-file.ts';

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
