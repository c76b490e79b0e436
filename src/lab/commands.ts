/** Runs programs, prints them as people would type them, and records what they print. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { packageFile } from '../native.ts';
import { helperProgram, markedEnvironment } from './namespaces.ts';
import type { HelperRole } from './namespaces.ts';
import { LabFailure } from './transcript.ts';
import type { Transcript } from './transcript.ts';

/** A program that has run to its end, and what it printed. */
export interface Finished {
  ending: Ending;
  stdout: string[];
  stderr: string[];
}

export interface ObserveOptions {
  /** ms after which it is killed. */
  limit: number;
  /** Its standard input. */
  input?: string;
  /** A remark shown above it. */
  remark?: string;
}

/** Runs the lab's commands: each is printed before it runs, and recorded afterwards. */
export class Commands {
  readonly #transcript: Transcript;
  readonly #signal: AbortSignal;

  constructor(transcript: Transcript, signal: AbortSignal) {
    this.#transcript = transcript;
    this.#signal = signal;
  }

  /** Runs a command that changes the system: it is never interrupted, and must succeed. */
  async change({ argv, shown }: CommandLine): Promise<void> {
    this.#signal.throwIfAborted();
    await changeSystem(this.#transcript, { argv, shown });
  }

  /** Runs a command that changes nothing; it is killed when the lab is to stop, or after its limit. */
  async observe({ argv, shown }: CommandLine, options: ObserveOptions): Promise<Finished> {
    this.#signal.throwIfAborted();
    const { limit, input = '', remark } = options;
    this.#transcript.command(input ? `echo "${input.trim()}" | ${shown}` : shown, remark);
    const running = start(argv, input);
    await this.#waitForExit(running.program, limit);
    const finished = await running.finished;
    this.#record(shown, finished);
    this.#signal.throwIfAborted();
    return finished;
  }

  /**
   * Runs a server, and `work` once it listens. `work` gets a function that waits until the server has exited; one that still runs
   * afterwards is stopped.
   */
  async withServer<T>(
    { argv, shown }: CommandLine,
    listens: { address: string; port: number; remark?: string },
    work: (served: (limit: number) => Promise<Finished>) => Promise<T>,
  ): Promise<T> {
    this.#signal.throwIfAborted();
    this.#transcript.command(`${shown} &`, listens.remark);
    const { program, finished } = start(argv, '');
    try {
      if (!(await waitUntilListening(program, listens, this.#signal))) {
        const ending = await program.stop('SIGTERM', 500);
        const { stderr } = await finished;
        throw new LabFailure(`\`${shown}\` did not start: ${stderr.join(' ') || describeEnding(ending)}`);
      }
      return await work(async (limit) => {
        await this.#waitForExit(program, limit);
        this.#signal.throwIfAborted();
        return finished;
      });
    } finally {
      await program.stop('SIGTERM', 500);
      this.#record(shown, await finished);
    }
  }

  /** Waits until a program exits; kills it after `limit` ms, or when the lab is to stop. */
  async #waitForExit(program: Program, limit: number): Promise<void> {
    const kill = () => program.kill('SIGKILL');
    const timer = setTimeout(kill, limit);
    this.#signal.addEventListener('abort', kill);
    await program.ended;
    this.#signal.removeEventListener('abort', kill);
    clearTimeout(timer);
  }

  #record(shown: string, { ending, stdout, stderr }: Finished): void {
    this.#transcript.record({ command: shown, exitCode: ending.exitCode, output: [...stdout, ...stderr] });
  }
}

/** Prints, runs and records a command that must succeed, even when the lab is to stop: cleaning up needs that. */
export async function changeSystem(transcript: Transcript, { argv, shown }: CommandLine): Promise<void> {
  transcript.command(shown);
  const { ending, stderr } = await start(argv, '').finished;
  transcript.record({ command: shown, exitCode: ending.exitCode, output: stderr });
  if (ending.exitCode !== 0) {
    throw new LabFailure(`\`${shown}\` failed: ${stderr.join(' ') || describeEnding(ending)}`);
  }
}

function start(argv: readonly string[], input: string): { program: Program; finished: Promise<Finished> } {
  const lines = { stdout: [] as string[], stderr: [] as string[] };
  const program = new Program(argv, (line, stream) => lines[stream].push(line), input);
  return { program, finished: program.ended.then((ending) => ({ ending, ...lines })) };
}

/** A command to run, and its printed form for people to read and type. */
export interface CommandLine {
  argv: readonly string[];
  shown: string;
}

/** A program of the system, printed as it is run. No argument may contain a space. */
export function system(commandLine: string): CommandLine {
  return { argv: commandLine.split(' '), shown: commandLine };
}

/** A role of the lab's helper program, which replaces tools that may be missing. */
export function helper(role: HelperRole, ...args: string[]): CommandLine {
  const program = helperProgram();
  const path = shorter(relative(process.cwd(), program), program);
  return {
    argv: [process.execPath, program, role, ...args],
    shown: ['node', path, role, ...args].join(' '),
  };
}

/** This ttun, printed as users type it. */
export function ttun(...args: string[]): CommandLine {
  return {
    argv: [process.execPath, packageFile('dist/bin.js'), ...args],
    shown: ['ttun', ...args].join(' '),
  };
}

/** The same, inside a site. */
export function inSite(site: { readonly name: string }, { argv, shown }: CommandLine): CommandLine {
  const prefix = ['ip', 'netns', 'exec', site.name];
  return { argv: [...prefix, ...argv], shown: `${prefix.join(' ')} ${shown}` };
}

function shorter(one: string, other: string): string {
  return one.length < other.length ? one : other;
}

/** ms for a server to listen. */
const LISTEN_LIMIT = 5000;

/** TCP_LISTEN (include/net/tcp_states.h), as /proc/net/tcp prints it. */
const LISTEN_STATE = '0A';

/**
 * Waits until a program listens for TCP connections at an IPv4 address, according to the socket table of its network namespace:
 * a connection attempt would use up a server that serves only once. False if it never does.
 */
async function waitUntilListening(
  program: Program,
  { address, port }: { address: string; port: number },
  signal: AbortSignal,
): Promise<boolean> {
  const limit = AbortSignal.timeout(LISTEN_LIMIT);
  while (program.running && !limit.aborted) {
    signal.throwIfAborted();
    if (isListening(program.pid, address, port)) return true;
    await delay(10);
  }
  return false;
}

function isListening(pid: number | undefined, address: string, port: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .some(([, local, , state]) => local === procForm(address, port) && state === LISTEN_STATE);
  } catch {
    // It has ended.
    return false;
  }
}

/** `/proc/net/tcp` prints an address as one number in host byte order, then the port, in hex. */
function procForm(address: string, port: number): string {
  const bytes = Uint8Array.from(address.split('.'), Number);
  const [asNumber = 0] = new Uint32Array(bytes.buffer);
  return `${hex(asNumber, 8)}:${hex(port, 4)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}

/** Whether a program is found on the PATH. */
export function isOnPath(name: string): boolean {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .some((directory) => isExecutable(join(directory, name)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** How a program ended. */
export interface Ending {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** Set when it could not be started at all. */
  startError: Error | null;
}

type OnLine = (line: string, stream: 'stdout' | 'stderr') => void;

/** A program that the lab started and will end. */
export class Program {
  /** Resolves when the program has ended and its output was read. */
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;

  constructor(argv: readonly string[], onLine: OnLine, input = '') {
    const [file = '', ...rest] = argv;
    // In its own session (`detached`), so that Ctrl-C reaches only the lab, which then ends everything in order.
    this.#child = spawn(file, rest, { detached: true, env: markedEnvironment() });
    this.ended = waitForEnd(this.#child, onLine);
    // A program may end without reading its input; its exit code shows that.
    this.#child.stdin?.on('error', () => undefined).end(input);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Sends a signal, unless the program has ended already. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends `signal`, and SIGKILL if the program still runs after `graceMs`. */
  async stop(signal: NodeJS.Signals, graceMs: number): Promise<Ending> {
    this.kill(signal);
    const timer = setTimeout(() => this.kill('SIGKILL'), graceMs);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }
}

function waitForEnd(child: ChildProcess, onLine: OnLine): Promise<Ending> {
  for (const stream of ['stdout', 'stderr'] as const) {
    const input = child[stream];
    if (input) createInterface({ input }).on('line', (line) => onLine(line, stream));
  }
  return new Promise((resolve) => {
    child.on('error', (startError) => resolve({ exitCode: null, signal: null, startError }));
    child.on('close', (exitCode, signal) => resolve({ exitCode, signal, startError: null }));
  });
}

/** "exit code 1", "SIGKILL" or why it could not start. */
export function describeEnding({ exitCode, signal, startError }: Ending): string {
  if (startError) return startError.message;
  return signal ?? `exit code ${exitCode}`;
}
