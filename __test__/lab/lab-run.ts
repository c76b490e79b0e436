import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The root of the checkout. */
export const root: string = fileURLToPath(new URL('../..', import.meta.url));

/** The built command line. */
export const bin: string = `${root}dist/bin.js`;

export interface LabEnd {
  /** 128 + the signal's number when a signal ended it, as in a shell. */
  exitCode: number | null;
  signal: ChildProcess['signalCode'];
  stdout: string;
  stderr: string;
}

/** `ttun lab`, started by a test. */
export class LabRun {
  readonly ended: Promise<LabEnd>;
  readonly child: ChildProcess;
  readonly #family = randomUUID();
  #stdout = '';
  #stderr = '';

  constructor(
    args: readonly string[] = [],
    {
      argv = [process.execPath, bin, 'lab'],
      environment = {},
    }: { argv?: string[]; environment?: NodeJS.ProcessEnv } = {},
  ) {
    const [file = '', ...rest] = argv;
    this.child = spawn(file, [...rest, ...args], {
      cwd: root,
      env: { ...process.env, ...environment, LAB_FAMILY: this.#family },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (data: Buffer) => (this.#stdout += data));
    this.child.stderr?.on('data', (data: Buffer) => (this.#stderr += data));
    this.ended = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (exitCode, signal) =>
        resolve({ exitCode, signal, stdout: this.#stdout, stderr: this.#stderr }),
      );
    });
  }

  /** Waits until it has printed a text, on either stream. */
  async untilPrinted(text: string): Promise<void> {
    await until(`the lab prints "${text}"`, () => {
      if (this.child.exitCode !== null)
        throw new Error(`the lab ended first:\n${this.#stdout}${this.#stderr}`);
      return this.#stdout.includes(text) || this.#stderr.includes(text);
    });
  }

  /** The lab's processes that still run: itself and all its descendants. */
  family(): number[] {
    return processesWith(`LAB_FAMILY=${this.#family}`);
  }
}

/** What a lab has left on this machine: names of namespaces, and devices outside them. */
export function traces(): string[] {
  const namespaces = ['siteA', 'siteB'].filter((name) => existsSync(`/run/netns/${name}`));
  const devices = ['veth0', 'veth1', 'tun0'].filter((name) => existsSync(`/sys/class/net/${name}`));
  return [...namespaces, ...devices];
}

/** Waits until a condition holds; fails after a limit far above the usual time. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const limit = AbortSignal.timeout(30_000);
  while (!condition()) {
    if (limit.aborted) throw new Error(`timed out waiting until ${what}`);
    await delay(20);
  }
}

function processesWith(variable: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => readOrNothing(`/proc/${pid}/environ`).split('\0').includes(variable))
    .map(Number);
}

/** Command line of a process; empty when it has ended. */
export function commandLineOf(pid: number): string {
  return readOrNothing(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
