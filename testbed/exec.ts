/** Runs other programs: to their end, or in the background. Everything here is bounded in time. */
import { spawn, type ChildProcess } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { DEFAULT_TIMEOUT_MS, withLimit } from './wait.ts';

/** Program and arguments; never passed through a shell. */
export type Command = readonly string[];

export interface RunOptions {
  /** Kill the program after this many milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** Written to its standard input, which is empty otherwise. */
  readonly input?: string | Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
}

export interface Exit {
  /** `null` when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunResult extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** A command did not do what was requested; the message holds the whole command line and what it printed. */
export class CommandError extends Error {
  readonly command: Command;
  readonly result: RunResult;

  constructor(command: Command, result: RunResult, what: string = describeExit(result)) {
    const said = (result.stderr.trim() || result.stdout.trim()).slice(-2000);
    super(`${command.join(' ')}: ${what}${said === '' ? '' : `: ${said}`}`);
    this.name = 'CommandError';
    this.command = command;
    this.result = result;
  }
}

/** Runs a program to its end; any exit status other than 0 is an error. */
export async function run(command: Command, options: RunOptions = {}): Promise<RunResult> {
  const result = await runToEnd(command, options);
  if (result.status !== 0) throw new CommandError(command, result);
  return result;
}

/** Runs a program to its end, whatever its exit status. Only not starting and not ending are errors. */
export async function runToEnd(
  command: Command,
  { timeoutMs = DEFAULT_TIMEOUT_MS, input, env }: RunOptions = {},
): Promise<RunResult> {
  const child = startChild(command, env, false);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  // A program may exit without reading its input; its exit status shows that.
  child.stdin?.on('error', () => {}).end(input);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  try {
    const exit = await exitOf(child);
    const result = { ...exit, stdout: stdout(), stderr: stderr() };
    if (timedOut) throw new CommandError(command, result, `still running after ${timeoutMs} ms`);
    return result;
  } finally {
    clearTimeout(timer);
  }
}

export interface StartOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Open a channel for messages (the program must be Node). Default false. */
  readonly ipc?: boolean;
}

/** Starts a program that goes on in the background until it is stopped or disposed of. */
export function start(command: Command, { env, ipc = false }: StartOptions = {}): BackgroundProcess {
  return new BackgroundProcess(command, startChild(command, env, ipc));
}

/** A program in the background. Keeps the lines it printed; `stop` and disposal end it for certain. */
export class BackgroundProcess implements AsyncDisposable {
  readonly command: Command;
  readonly child: ChildProcess;
  /** Resolves when it has ended and its output is complete. */
  readonly exited: Promise<Exit>;
  /** What it printed so far, standard output and error in order of arrival. */
  readonly lines: string[] = [];
  readonly #stdout: () => string;
  readonly #stderr: () => string;
  readonly #watchers = new Set<() => void>();
  #complete = false;

  constructor(command: Command, child: ChildProcess) {
    this.command = command;
    this.child = child;
    this.#stdout = collect(child.stdout);
    this.#stderr = collect(child.stderr);
    for (const stream of [child.stdout, child.stderr]) this.#follow(stream);
    this.exited = exitOf(child).finally(() => {
      this.#complete = true;
      this.#wake();
    });
    // Rejects for callers that wait for a line or the exit; without any, a failure to start must not end this process.
    this.exited.catch(() => {});
  }

  /** Process id of the program itself (`ip netns exec` and `setpriv` replace themselves by it). */
  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.command.join(' ')}: did not start`);
    return this.child.pid;
  }

  get running(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  get stdout(): string {
    return this.#stdout();
  }

  get stderr(): string {
    return this.#stderr();
  }

  /** Resolves to the first line, printed already or later, that matches. `from` skips that many lines. */
  async waitForLine(
    pattern: RegExp | string,
    { timeoutMs = DEFAULT_TIMEOUT_MS, from = 0 }: { timeoutMs?: number; from?: number } = {},
  ): Promise<string> {
    const matches = (line: string): boolean =>
      typeof pattern === 'string' ? line.includes(pattern) : pattern.test(line);
    const watch = new AbortController();
    const found = new Promise<string>((resolve, reject) => {
      const look = (): void => {
        const line = this.lines.slice(from).find((candidate) => matches(candidate));
        if (line !== undefined) resolve(line);
        else if (this.#complete) reject(new Error(`${this.#describe()} ended without printing ${pattern}`));
      };
      this.#watchers.add(look);
      watch.signal.addEventListener('abort', () => this.#watchers.delete(look));
      look();
    });
    try {
      return await withLimit(found, timeoutMs, () => `a line like ${pattern} from ${this.#describe()}`);
    } finally {
      watch.abort();
    }
  }

  /** Sends a signal; `false` when the process is gone. */
  kill(signal: NodeJS.Signals): boolean {
    return this.running && this.child.kill(signal);
  }

  /** Sends SIGTERM, then SIGKILL after `graceMs`, and resolves when it is gone. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 3000): Promise<Exit> {
    this.kill(signal);
    const insist = setTimeout(() => this.kill('SIGKILL'), graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(insist);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A stopped process acts on SIGTERM only once it continues.
    this.kill('SIGCONT');
    await this.stop().catch(() => {});
  }

  #follow(stream: Readable | null): void {
    if (stream === null) return;
    createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => {
      this.lines.push(line);
      this.#wake();
    });
  }

  #wake(): void {
    for (const look of this.#watchers) look();
  }

  #describe(): string {
    const said = this.lines.slice(-20).join('\n');
    return `${this.command.join(' ')}${said === '' ? '' : ` (which printed:\n${said})`}`;
  }
}

function startChild(command: Command, env: NodeJS.ProcessEnv | undefined, ipc: boolean): ChildProcess {
  const [program, ...args] = command;
  if (program === undefined) throw new TypeError('an empty command');
  return spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
    // Errors, bigints and typed arrays survive the channel.
    serialization: 'advanced',
    env: { ...process.env, PATH: SYSTEM_PATH, ...env },
  });
}

/** npm puts node_modules/.bin in front, where a package that has nothing to do with nftables has an `nft`. */
const SYSTEM_PATH = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((folder) => !folder.endsWith(join('node_modules', '.bin')))
  .join(delimiter);

function collect(stream: Readable | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.on('error', (error) => {
      // 'error' also reports a message or signal that could not be sent, after which the program still ends on its own.
      if (child.pid === undefined) reject(error);
    });
    child.once('close', (status, signal) => resolve({ status, signal }));
  });
}

function describeExit({ status, signal }: Exit): string {
  return signal === null ? `exit status ${status}` : `ended by ${signal}`;
}
