import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
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

/** Environment variable that every process started by a lab carries, so that they can be told from anybody else's. */
const variable = 'TTUN_LAB';

/** This lab's own value of it. */
export const mark: string = randomUUID();

export function markedEnvironment(): NodeJS.ProcessEnv {
  // Tools are read by this program, so they had better speak one language.
  return { ...process.env, LC_ALL: 'C', [variable]: mark };
}

/** Processes that carry the mark of a lab, wherever they are by now in the tree of processes. */
export function findMarked(of: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => readEnvironment(pid).includes(`${variable}=${of}`))
    .map(Number);
}

function readEnvironment(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    // It has ended meanwhile, or belongs to somebody else.
    return [];
  }
}
