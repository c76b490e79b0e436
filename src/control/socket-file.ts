/** The files of control sockets: each is named after its process, and may outlive it. */
import { lstat, readdir, stat, unlink } from 'node:fs/promises';
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { directoriesToLookIn, isTrustworthy, userId } from './directories.ts';

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
