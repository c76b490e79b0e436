/** In which directories the sockets are: where a process puts its own, and where others look for it. */
import { lstat, mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';

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
