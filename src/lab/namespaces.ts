/** Named network namespaces, the processes in them, and their removal should the lab be killed. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { packageFile } from '../native.ts';

/** The roles of the helper program. */
export type HelperRole = 'user-namespace' | 'cleanup' | 'knock' | 'listen' | 'send' | 'source' | 'drain';

/** The program behind everything in the lab that needs a separate process. */
export function helperProgram(): string {
  return packageFile('dist/lab/helper.js');
}

/** Where iproute2 keeps the names of network namespaces (`NETNS_RUN_DIR` in its sources). */
const directory = '/var/run/netns';

/** That directory, or its parent where `ip netns add` was never run. */
export function nameDirectory(): string {
  return existsSync(directory) ? directory : dirname(directory);
}

/** The inode number of a named namespace, which a later one of the same name does not have. Null when there is none. */
export function namespaceInode(name: string): number | null {
  return statSync(`${directory}/${name}`, { throwIfNoEntry: false })?.ino ?? null;
}

/** A process, and its command line as far as it may be read. */
export interface Occupant {
  pid: number;
  commandLine: string;
}

/** Processes that live in a network namespace. */
export function occupantsOf(name: string): Occupant[] {
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

/** Environment variable that marks every process started by a lab. */
const variable = 'TTUN_LAB';

/** This lab's own value of it. */
export const mark: string = randomUUID();

export function markedEnvironment(): NodeJS.ProcessEnv {
  // This program reads the tools' output.
  return { ...process.env, LC_ALL: 'C', [variable]: mark };
}

/** Processes that carry the mark of a lab, wherever they are in the process tree. */
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
    // It has ended, or belongs to another user.
    return [];
  }
}

/** A namespace that the lab owns, or no longer owns. `inode` is null while the namespace is being created. */
export type CleanupMessage = { owned: string; inode: number | null } | { removed: string };

/**
 * A process that removes what the lab could not remove itself because it was killed (SIGKILL, out of memory) or crashed. It reads
 * a pipe that only the lab writes to, and acts when that ends.
 */
export class Cleanup {
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;

  constructor() {
    this.#child = spawn(process.execPath, [helperProgram(), 'cleanup', mark], {
      // In its own session, so that a signal to the lab's session does not end it too.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    // Without it the lab still works, and still removes everything unless it is killed.
    this.#child.stdin?.on('error', () => undefined);
    this.#gone = new Promise((resolve) => {
      this.#child.on('exit', () => resolve());
      this.#child.on('error', () => resolve());
    });
  }

  send(message: CleanupMessage): void {
    this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** Ends it; it removes what the lab still owns. */
  async finish(): Promise<void> {
    this.#child.stdin?.end();
    await this.#gone;
  }
}
