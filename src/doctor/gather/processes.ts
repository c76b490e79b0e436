/** Processes of this network namespace that have TUN devices or UDP sockets open, as far as this user may look. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import type { Program } from '../facts.ts';

export interface Process {
  readonly pid: number;
  readonly name: string;
  /** Names of TUN devices to which it is attached. */
  readonly devices: readonly string[];
  /** Numbers of its sockets. */
  readonly sockets: ReadonlySet<string>;
  /** Names of the devices that its tunnels have. */
  readonly tunnels: readonly string[];
}

export async function gatherProcesses(): Promise<Process[]> {
  const own = await link('/proc/self/ns/net');
  const pids = (await list('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => inspect(pid, own)));
  return found.filter((process_) => process_ !== null);
}

/** @param device the one that is to be the tunnel's */
export function toProgram({ pid, name, tunnels }: Process, device: string): Program {
  return { pid, name, isTunnel: tunnels.includes(threadName(device)) };
}

async function inspect(pid: string, namespace: string): Promise<Process | null> {
  const folder = `/proc/${pid}`;
  if ((await link(`${folder}/ns/net`)) !== namespace) return null;
  const devices: string[] = [];
  const sockets = new Set<string>();
  for (const descriptor of await list(`${folder}/fd`)) {
    const target = await link(`${folder}/fd/${descriptor}`);
    const socket = /^socket:\[(?<number>\d+)\]$/.exec(target)?.groups?.['number'];
    if (socket !== undefined) sockets.add(socket);
    // The node may lie elsewhere in the file system that the process sees.
    if (target.endsWith('/tun')) devices.push(...(await attachedTo(`${folder}/fdinfo/${descriptor}`)));
  }
  if (devices.length === 0 && sockets.size === 0) return null;
  const name = (await text(`${folder}/comm`)).trim();
  return { pid: Number(pid), name, devices, sockets, tunnels: await tunnelThreads(folder) };
}

/** `iff:	tun0` (`tun_chr_show_fdinfo` in drivers/net/tun.c). */
async function attachedTo(path: string): Promise<string[]> {
  const name = /^iff:\s*(?<name>\S+)$/m.exec(await text(path))?.groups?.['name'];
  return name === undefined || name === '(null)' ? [] : [name];
}

/** A tunnel has a thread that is called after its device. */
async function tunnelThreads(folder: string): Promise<string[]> {
  const threads = await list(`${folder}/task`);
  const names = await Promise.all(
    threads.map(async (thread) => (await text(`${folder}/task/${thread}/comm`)).trim()),
  );
  return names.filter((name) => name.startsWith(PREFIX));
}

const PREFIX = 'ttun-';
/** TASK_COMM_LEN less the final zero byte. */
const LONGEST_THREAD_NAME = 15;

function threadName(device: string): string {
  return `${PREFIX}${device}`.slice(0, LONGEST_THREAD_NAME);
}

// Processes end while they are looked at, and those of others are closed to us: that is no error.
const list = (path: string): Promise<string[]> => readdir(path).catch(() => []);
const link = (path: string): Promise<string> => readlink(path).catch(() => '');
const text = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
