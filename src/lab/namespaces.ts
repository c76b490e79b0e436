import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Where iproute2 keeps the names of network namespaces (`NETNS_RUN_DIR` in its sources). */
const directory = '/var/run/netns';

/** The directory in which names can be put: that one, or the one above it where nobody has run `ip netns add` yet. */
export function nameDirectory(): string {
  return existsSync(directory) ? directory : dirname(directory);
}

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
