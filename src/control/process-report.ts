/** What a process tells of itself. */
import { readdir, stat } from 'node:fs/promises';
import { loadBinding } from '../native.ts';
import { userId } from './directories.ts';
import type { NetworkNamespace, ProcessReport } from './protocol.ts';

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
