/**
 * A mount namespace in which root's directory of sockets is not shared with other tests. Network namespaces are those of the
 * host.
 */
import { mkdir } from 'node:fs/promises';
import { runToEnd, start } from '../../testbed/exec.ts';
import type { BackgroundProcess, Command, RunOptions, RunResult, StartOptions } from '../../testbed/exec.ts';
import type { Site } from '../../testbed/site.ts';
import { BIN } from '../../testbed/tunnel.ts';

export class Room implements AsyncDisposable {
  readonly #holder: BackgroundProcess;
  readonly #started: BackgroundProcess[] = [];

  private constructor(holder: BackgroundProcess) {
    this.#holder = holder;
  }

  static async open(): Promise<Room> {
    await mkdir('/run/ttun', { recursive: true, mode: 0o700 });
    // Named network namespaces are mounts, so a slave mount sees those created later.
    const holder = start(['unshare', '--mount', '--propagation', 'slave', 'sh', '-ec', FURNISH]);
    await holder.waitForLine('ready');
    return new Room(holder);
  }

  /** How to run a command in the room, and in a site's network namespace. */
  inside(command: Command, site: Site | null = null): Command {
    const network = site === null ? [] : ['ip', 'netns', 'exec', site.namespace];
    return ['nsenter', `--mount=/proc/${this.#holder.pid}/ns/mnt`, ...network, ...command];
  }

  /** Runs ttun to its end, with any exit status. */
  ttun(
    args: readonly string[],
    { site, ...options }: RunOptions & { readonly site?: Site } = {},
  ): Promise<RunResult> {
    return runToEnd(this.inside([process.execPath, BIN, ...args], site), options);
  }

  /** Starts a program in the room; it ends with the room. */
  start(
    command: Command,
    { site, ...options }: StartOptions & { readonly site?: Site } = {},
  ): BackgroundProcess {
    const started = start(this.inside(command, site), options);
    this.#started.push(started);
    return started;
  }

  startTtun(
    args: readonly string[],
    options: StartOptions & { readonly site?: Site } = {},
  ): BackgroundProcess {
    return this.start([process.execPath, BIN, ...args], options);
  }

  /** Path, from outside, of the control socket of a process. */
  socketOf({ pid }: BackgroundProcess): string {
    return `/proc/${this.#holder.pid}/root/run/ttun/${pid}.sock`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const started of [...this.#started, this.#holder]) await started[Symbol.asyncDispose]();
  }
}

const FURNISH = 'mount -t tmpfs -o mode=700 tmpfs /run/ttun; echo ready; exec sleep infinity';
