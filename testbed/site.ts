/** One network namespace of a test bed, and the programs that run in it. */
import { run, runToEnd, start } from './exec.ts';
import type { BackgroundProcess, Command, RunOptions, RunResult, StartOptions } from './exec.ts';
import { compileScript } from './scripts.ts';

/** An address of each family. */
export interface Addresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

export type Family = keyof Addresses;

/** How a program is run: the user, and the options of `exec.ts`. */
export interface As {
  /** Name of an unprivileged user. Default: as ourselves. */
  readonly user?: string;
}

/**
 * `ip netns exec` has given the program its own mount namespace, so this /dev/net/tun, which any user may open, exists
 * for no other user. setpriv(1) needs the group by name or number, and a user's group may have another name than the user.
 */
const BECOME_USER = `
  mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200 &&
  exec setpriv --reuid "$0" --regid "$(id -g "$0")" --init-groups "$@"`;

export class Site implements AsyncDisposable {
  readonly namespace: string;
  /** The device towards the other site; its addresses are `outer`. */
  readonly veth = 'veth0';
  /** The TUN device; its addresses are `inner`. */
  readonly tun = 'tun0';
  readonly outer: Addresses;
  readonly inner: Addresses;
  readonly #started = new Set<BackgroundProcess>();

  constructor(namespace: string, outer: Addresses, inner: Addresses) {
    this.namespace = namespace;
    this.outer = outer;
    this.inner = inner;
  }

  /** Runs a program in the namespace; any exit status other than 0 is an error. */
  run(command: Command, { user, ...options }: RunOptions & As = {}): Promise<RunResult> {
    return run(this.#inside(command, user), options);
  }

  /** Runs a program in the namespace, whatever its exit status. */
  runToEnd(command: Command, { user, ...options }: RunOptions & As = {}): Promise<RunResult> {
    return runToEnd(this.#inside(command, user), options);
  }

  /** Starts a program in the namespace; the site's disposal ends it. */
  start(command: Command, { user, ...options }: StartOptions & As = {}): BackgroundProcess {
    const started = start(this.#inside(command, user), options);
    this.#started.add(started);
    void started.exited.catch(() => {}).finally(() => this.#started.delete(started));
    return started;
  }

  /** Starts a TypeScript file of ours, with a channel for messages. */
  startScript(
    script: URL,
    args: readonly string[] = [],
    options: Omit<StartOptions, 'ipc'> & As = {},
  ): BackgroundProcess {
    const command = [process.execPath, compileScript(script), ...args];
    return this.start(command, { ...options, ipc: true });
  }

  /** `site.ip('link', 'set', 'tun0', 'down')` */
  async ip(...args: string[]): Promise<string> {
    return (await run(['ip', '-n', this.namespace, ...args])).stdout;
  }

  /** Several `ip` commands at once, one a line. Stops at the first that fails. */
  async ipBatch(...lines: string[]): Promise<void> {
    await run(['ip', '-n', this.namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  /** Writes kernel settings of this namespace: `{ 'net.ipv4.ip_forward': 1 }`. */
  async sysctl(settings: Readonly<Record<string, number | string>>): Promise<void> {
    const lines = Object.entries(settings).map(
      ([name, value]) => `echo '${value}' > /proc/sys/${name.replaceAll('.', '/')}`,
    );
    await this.run(['sh', '-e', '-c', lines.join('\n')]);
  }

  /** Ends, at the latest with SIGKILL, whatever still runs in the namespace. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#started].map((started) => started[Symbol.asyncDispose]()));
    const { stdout } = await runToEnd(['ip', 'netns', 'pids', this.namespace]);
    for (const pid of stdout.split('\n').filter(Boolean)) killIfThere(Number(pid));
  }

  /** The last resort, when this process exits at once: it does not wait. */
  killStarted(): void {
    for (const started of this.#started) started.kill('SIGKILL');
  }

  #inside(command: Command, user: string | undefined): Command {
    const as = user === undefined ? [] : ['sh', '-c', BECOME_USER, user];
    return ['ip', 'netns', 'exec', this.namespace, ...as, ...command];
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
