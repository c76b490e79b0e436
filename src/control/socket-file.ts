/** The files of control sockets: each is named after its process, and may outlive it. */
import { lstat, mkdir, readdir, stat, unlink } from 'node:fs/promises';
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { basename, join } from 'node:path';

/** `1234.sock`; with a further number where a process of another PID namespace has that name. */
export function socketName(pid: number, attempt: number): string {
  return attempt === 1 ? `${pid}.sock` : `${pid}-${attempt}.sock`;
}

const SOCKET_NAME = /^(?<pid>\d+)(?:-\d+)?\.sock$/;

/** The longest path of a socket, in bytes: sun_path of unix(7) without the final zero. Node would cut a longer one. */
export const LONGEST_PATH = 107;

/** Paths of all sockets that are there, of processes that live or not. */
export async function findSocketFiles(): Promise<string[]> {
  const directories = await directoriesToLookIn();
  const found = await Promise.all(directories.map((directory) => socketFilesIn(directory)));
  return found.flat();
}

async function socketFilesIn(directory: string): Promise<string[]> {
  if (!(await isTrustworthy(directory))) return [];
  const names = await readdir(directory).catch(() => []);
  return names.filter((name) => SOCKET_NAME.test(name)).map((name) => join(directory, name));
}

/**
 * Connects to a process. A file that its process left behind is removed if it is ours.
 *
 * @returns `null` when no process is there, or it does not let us in
 */
export async function connectTo(path: string): Promise<Socket | null> {
  // Of links there are none, unless somebody wants us, as root perhaps, to talk to another socket.
  const before = await lstat(path).catch(() => null);
  if (before?.isSocket() !== true) return null;
  try {
    return await connect(path);
  } catch (error) {
    if (isRefused(error) && before.uid === userId() && !(await isBeingMade(path, before))) {
      await removeIfStill(path, before.ino);
    }
    return null;
  }
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

/** Nobody listens (connect(2)): a queue that is full is another error. */
function isRefused(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
}

/** There is an instant between the making of a socket and the listening on it. */
async function isBeingMade(path: string, { mtimeMs }: { readonly mtimeMs: number }): Promise<boolean> {
  const pid = SOCKET_NAME.exec(path.slice(path.lastIndexOf('/') + 1))?.groups?.['pid'];
  const isYoung = Math.abs(Date.now() - mtimeMs) < MAKING_LIMIT_MS;
  return isYoung && (await stat(`/proc/${pid}`).catch(() => null)) !== null;
}

const MAKING_LIMIT_MS = 5000;

/** A new process may have taken the place meanwhile. */
async function removeIfStill(path: string, inode: number): Promise<void> {
  const now = await lstat(path).catch(() => null);
  if (now?.ino === inode) await unlink(path).catch(() => {});
}

// In which directories the sockets are: where a process puts its own, and where others look for it.

/** A directory that may hold sockets. */
export interface Place {
  readonly directory: string;
  /** Permissions that nobody else may have. */
  readonly private: number;
}

/** For root, and for services: one for the whole system, whatever the network namespace. */
const SYSTEM = '/run/ttun';

/** Where this process may put its socket, the best place first. */
export function placesForSocket(): Place[] {
  const own = userId();
  const places: Place[] = [...fromServiceManager()];
  if (own === 0) places.push({ directory: SYSTEM, private: WRITE_BY_OTHERS });
  return [...places, ...fromSession(), temporary(own)];
}

/** Where sockets may be that this process may use: root may use those of everybody. */
export async function directoriesToLookIn(): Promise<string[]> {
  const own = userId();
  const places = [...fromServiceManager(), { directory: SYSTEM }, ...fromSession(), temporary(own)];
  const directories = places.map(({ directory }) => directory);
  if (own !== 0) return [...new Set([...directories, `/run/user/${own}/ttun`])];
  const sessions = (await entriesOf('/run/user')).map((user) => `/run/user/${user}/ttun`);
  const temporaries = (await entriesOf('/tmp')).filter((name) => TEMPORARY_NAME.test(name));
  return [...new Set([...directories, ...sessions, ...temporaries.map((name) => join('/tmp', name))])];
}

/**
 * Makes the directory where it is missing.
 *
 * @throws Error that tells why it cannot be used
 */
export async function prepare({ directory, private: forbidden }: Place): Promise<void> {
  await mkdir(directory, 0o700).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await lstat(directory);
  if (!found.isDirectory()) throw new Error('it is not a directory');
  if (found.uid !== userId()) throw new Error('it belongs to another user');
  if ((found.mode & forbidden) !== 0) throw new Error(`others may use it; type: chmod 700 ${directory}`);
}

/** Whether sockets in there are those of the user to whom it is said to belong. */
export async function isTrustworthy(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => null);
  if (found === null || !found.isDirectory()) return false;
  const owner = TEMPORARY_NAME.exec(basename(directory))?.groups?.['uid'];
  return owner === undefined || found.uid === Number(owner);
}

const WRITE_BY_OTHERS = 0o022;
const ANYTHING_BY_OTHERS = 0o077;

/** `RuntimeDirectory=ttun` of a systemd unit (systemd.exec(5)); a directory of some other service is not for us. */
function fromServiceManager(): Place[] {
  const directories = (process.env['RUNTIME_DIRECTORY'] ?? '').split(':');
  return directories
    .filter((directory) => directory.startsWith('/') && basename(directory) === 'ttun')
    .map((directory) => ({ directory, private: WRITE_BY_OTHERS }));
}

/** XDG Base Directory Specification: a path that is not absolute is to be ignored. */
function fromSession(): Place[] {
  const base = process.env['XDG_RUNTIME_DIR'] ?? '';
  return base.startsWith('/') ? [{ directory: join(base, 'ttun'), private: WRITE_BY_OTHERS }] : [];
}

/** Anybody may have made this one before us, so it is looked at most strictly. */
function temporary(uid: number): Place {
  return { directory: `/tmp/ttun-${uid}`, private: ANYTHING_BY_OTHERS };
}

const TEMPORARY_NAME = /^ttun-(?<uid>\d+)$/;

async function entriesOf(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

/** The user as whom this process acts; tunnels exist on Linux only, where there always is one. */
export function userId(): number {
  return process.geteuid?.() ?? -1;
}
