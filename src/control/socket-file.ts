/** Control sockets as files: each is named after its process, may outlive it, and is in one of a few directories. */
import { lstat, mkdir, readdir, stat, unlink } from 'node:fs/promises';
import { createConnection } from 'node:net';
import type { Server, Socket } from 'node:net';
import { basename, join } from 'node:path';
import { describeSystemError, hintForLimit } from '../errors.ts';
import { ControlError } from './protocol.ts';
import type { NetworkNamespace } from './protocol.ts';

/** Paths of all sockets, whether or not their processes still run. */
export async function findSocketFiles(): Promise<string[]> {
  const directories = await directoriesToSearch();
  const found = await Promise.all(directories.map((directory) => socketFilesIn(directory)));
  return found.flat();
}

/**
 * Connects to a process. Removes the file if its process is gone and the file is ours.
 *
 * @returns `null` if there is no process, or it belongs to another user
 * @throws ControlError if there may be a process, but it cannot be reached
 */
export async function connectTo(path: string): Promise<Socket | null> {
  // A symbolic link could make this process, perhaps running as root, connect to another socket.
  const before = await lstat(path).catch(() => null);
  if (before?.isSocket() !== true) return null;
  try {
    return await connect(path);
  } catch (error) {
    const isAbandoned = hasCode(error, 'ECONNREFUSED') && !(await isBeingCreated(path, before));
    if (isAbandoned && before.uid === userId()) await removeIfSame(path, before.ino);
    if (EXPECTED.some((code) => hasCode(error, code))) return null;
    // For example EAGAIN: many clients wait for a process that is stopped.
    const reason = describeSystemError(error);
    throw new ControlError(
      'no-answer',
      `the process at ${path} cannot be reached: ${reason}`,
      hintForLimit(error),
    );
  }
}

/** Errors of connect(2) that mean: no process, no file, or a socket of another user. */
const EXPECTED = ['ECONNREFUSED', 'ENOENT', 'EACCES', 'EPERM'];

/**
 * Listens on a socket of this process, and returns its path.
 *
 * @throws ControlError if no directory can be used; the system's error if there are no file descriptors left
 */
export async function listenOnSocketFile(server: Server): Promise<string> {
  const problems: string[] = [];
  for (const place of placesForSocket()) {
    try {
      await prepare(place);
      return await listenIn(place.directory, server);
    } catch (error) {
      // Unrelated to the directory.
      if (hintForLimit(error) !== null) throw error;
      problems.push(`${place.directory}: ${describeSystemError(error)}`);
    }
  }
  throw new ControlError('no-directory', `no directory for the control socket (${problems.join('; ')})`);
}

/** `1234.sock`, or `1234-2.sock` if a process of another PID namespace has that name. */
const SOCKET_NAME = /^(?<pid>\d+)(?:-\d+)?\.sock$/;

async function socketFilesIn(directory: string): Promise<string[]> {
  if (!(await isTrustworthy(directory))) return [];
  const names = await readdir(directory).catch(() => []);
  return names.filter((name) => SOCKET_NAME.test(name)).map((name) => join(directory, name));
}

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/** Between bind(2) and listen(2), connections are refused too. */
async function isBeingCreated(path: string, { mtimeMs }: { readonly mtimeMs: number }): Promise<boolean> {
  const pid = SOCKET_NAME.exec(basename(path))?.groups?.['pid'];
  const isYoung = Math.abs(Date.now() - mtimeMs) < CREATION_LIMIT_MS;
  return isYoung && (await stat(`/proc/${pid}`).catch(() => null)) !== null;
}

const CREATION_LIMIT_MS = 5000;

/** A new process may have taken the path meanwhile. */
async function removeIfSame(path: string, inode: number): Promise<void> {
  const now = await lstat(path).catch(() => null);
  if (now?.ino === inode) await unlink(path).catch(() => {});
}

async function listenIn(directory: string, server: Server): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const suffix = attempt === 1 ? '' : `-${attempt}`;
    const path = join(directory, `${process.pid}${suffix}.sock`);
    if (Buffer.byteLength(path) > LONGEST_PATH) throw new Error('the path is too long for a socket');
    // Removes the socket of a dead process that had our PID.
    (await connectTo(path).catch(() => null))?.destroy();
    try {
      await listen(server, path);
      return path;
    } catch (error) {
      if (!hasCode(error, 'EADDRINUSE') || attempt === MOST_ATTEMPTS) throw error;
    }
  }
}

/** Bytes in sun_path of unix(7) without the final zero. Node would truncate a longer path. */
const LONGEST_PATH = 107;

const MOST_ATTEMPTS = 8;

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // Node creates the socket within the call, so no other user can connect at any time.
    const umask = process.umask(0o177);
    server.listen({ path }, () => {
      server.off('error', reject);
      resolve();
    });
    process.umask(umask);
  });
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

// Directories.

/** A directory that may hold sockets. */
interface Place {
  readonly directory: string;
  /** Permission bits that must not be set. */
  readonly forbidden: number;
}

/** For root and services: one for the whole system, because network namespaces share /run. */
const SYSTEM = '/run/ttun';

/** Where this process may create its socket, the best place first. */
export function placesForSocket(): Place[] {
  const own = userId();
  const places: Place[] = [...fromServiceManager()];
  if (own === 0) places.push({ directory: SYSTEM, forbidden: WRITE_BY_OTHERS });
  return [...places, ...fromSession(), temporary(own)];
}

/** Directories with sockets that this process may use: for root, those of all users. */
async function directoriesToSearch(): Promise<string[]> {
  const own = userId();
  const places = [...fromServiceManager(), { directory: SYSTEM }, ...fromSession(), temporary(own)];
  const directories = places.map(({ directory }) => directory);
  if (own !== 0) return [...new Set([...directories, `/run/user/${own}/ttun`])];
  const sessions = (await entriesOf('/run/user')).map((user) => `/run/user/${user}/ttun`);
  const temporaries = (await entriesOf('/tmp')).filter((name) => TEMPORARY_NAME.test(name));
  return [...new Set([...directories, ...sessions, ...temporaries.map((name) => join('/tmp', name))])];
}

/**
 * Creates the directory if it does not exist.
 *
 * @throws Error that says why it cannot be used
 */
export async function prepare({ directory, forbidden }: Place): Promise<void> {
  await mkdir(directory, 0o700).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await lstat(directory);
  if (!found.isDirectory()) throw new Error('not a directory');
  if (found.uid !== userId()) throw new Error('owned by another user');
  if ((found.mode & forbidden) !== 0)
    throw new Error(`accessible to other users; type: chmod 700 ${directory}`);
}

/** Whether the directory belongs to the user in its name, if there is one. */
async function isTrustworthy(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => null);
  if (found === null || !found.isDirectory()) return false;
  const owner = TEMPORARY_NAME.exec(basename(directory))?.groups?.['uid'];
  return owner === undefined || found.uid === Number(owner);
}

const WRITE_BY_OTHERS = 0o022;
const ANY_ACCESS_BY_OTHERS = 0o077;

/** `RuntimeDirectory=ttun` of a systemd unit (systemd.exec(5)); the directory of another service is not for us. */
function fromServiceManager(): Place[] {
  const directories = (process.env['RUNTIME_DIRECTORY'] ?? '').split(':');
  return directories
    .filter((directory) => directory.startsWith('/') && basename(directory) === 'ttun')
    .map((directory) => ({ directory, forbidden: WRITE_BY_OTHERS }));
}

/** XDG Base Directory Specification: relative paths are to be ignored. */
function fromSession(): Place[] {
  const base = process.env['XDG_RUNTIME_DIR'] ?? '';
  return base.startsWith('/') ? [{ directory: join(base, 'ttun'), forbidden: WRITE_BY_OTHERS }] : [];
}

/** Any user may have created this one before us, so its permissions must be the strictest. */
function temporary(uid: number): Place {
  return { directory: `/tmp/ttun-${uid}`, forbidden: ANY_ACCESS_BY_OTHERS };
}

const TEMPORARY_NAME = /^ttun-(?<uid>\d+)$/;

async function entriesOf(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

// User and network namespace of this process.

/** Effective user ID. */
export function userId(): number {
  // Node has geteuid() on Linux, the only system with tunnels.
  return process.geteuid?.() ?? -1;
}

export async function describeNetworkNamespace(): Promise<NetworkNamespace> {
  const { ino, dev } = await stat('/proc/self/ns/net');
  for (const name of await entriesOf(NAMED_NAMESPACES)) {
    // `ip netns add` mounts the namespace under its name (ip-netns(8)).
    const found = await stat(`${NAMED_NAMESPACES}/${name}`).catch(() => null);
    if (found?.ino === ino && found.dev === dev) return { inode: ino, name };
  }
  return { inode: ino, name: null };
}

const NAMED_NAMESPACES = '/run/netns';
