import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';

/** Where iproute2 keeps the names of network namespaces (`NETNS_RUN_DIR` in its sources). */
const directory = '/var/run/netns';

/** What tells a namespace from a later one of the same name: its inode number. Null when there is none of that name. */
export function namespaceIdentity(name: string): number | null {
  return statSync(`${directory}/${name}`, { throwIfNoEntry: false })?.ino ?? null;
}

/** A process, with what it runs as far as one may see it. */
export interface Inhabitant {
  pid: number;
  commandLine: string;
}

/** Processes that live in a network namespace. */
export function inhabitantsOf(name: string): Inhabitant[] {
  const { stdout } = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' });
  return (stdout ?? '')
    .split('\n')
    .filter(Boolean)
    .map((pid) => ({ pid: Number(pid), commandLine: commandLineOf(pid) }));
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}
