import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LabFailure } from './lab.ts';
import { describeEnding, Program } from './program.ts';
import type { Ending } from './program.ts';
import type { Site } from './sites.ts';
import type { Story } from './story.ts';

/** A program that has run to its end, and what it printed. */
export interface Finished {
  ending: Ending;
  stdout: string[];
  stderr: string[];
}

export interface ObserveOptions {
  /** ms after which it is taken for stuck. */
  limit: number;
  /** What it reads on its standard input. */
  input?: string;
  /** What else would do the same. */
  remark?: string;
}

/** Runs the lab's commands, each shown before it runs and recorded after. */
export class Commands {
  readonly #story: Story;
  readonly #signal: AbortSignal;

  constructor(story: Story, signal: AbortSignal) {
    this.#story = story;
    this.#signal = signal;
  }

  /** Runs a command that changes the system: it is never cut short, and it has to succeed. */
  async change({ argv, shown }: CommandLine): Promise<void> {
    this.#signal.throwIfAborted();
    await changeSystem(this.#story, { argv, shown });
  }

  /** Runs a command that only looks or sends; it is killed when the lab is to stop or when it takes too long. */
  async observe({ argv, shown }: CommandLine, options: ObserveOptions): Promise<Finished> {
    this.#signal.throwIfAborted();
    const { limit, input = '', remark } = options;
    this.#story.command(input ? `echo "${input.trim()}" | ${shown}` : shown, remark);
    const running = start(argv, input);
    await this.#letEnd(running.program, limit);
    const finished = await running.finished;
    this.#record(shown, finished);
    this.#signal.throwIfAborted();
    return finished;
  }

  /**
   * Runs a server, and `work` once it listens. `work` gets a function that waits until the server has ended by itself; a server
   * that has not is stopped afterwards.
   */
  async withServer<T>(
    { argv, shown }: CommandLine,
    listens: { address: string; port: number; remark?: string },
    work: (served: (limit: number) => Promise<Finished>) => Promise<T>,
  ): Promise<T> {
    this.#signal.throwIfAborted();
    this.#story.command(`${shown} &`, listens.remark);
    const { program, finished } = start(argv, '');
    try {
      if (!(await waitUntilListening(program, listens, this.#signal))) {
        const ending = await program.stop('SIGTERM', 500);
        const { stderr } = await finished;
        throw new LabFailure(`\`${shown}\` did not start: ${stderr.join(' ') || describeEnding(ending)}`);
      }
      return await work(async (limit) => {
        await this.#letEnd(program, limit);
        this.#signal.throwIfAborted();
        return finished;
      });
    } finally {
      await program.stop('SIGTERM', 500);
      this.#record(shown, await finished);
    }
  }

  /** Waits for a program to end; kills it after `limit` ms, or when the lab is to stop. */
  async #letEnd(program: Program, limit: number): Promise<void> {
    const kill = () => program.kill('SIGKILL');
    const timer = setTimeout(kill, limit);
    this.#signal.addEventListener('abort', kill);
    await program.ended;
    this.#signal.removeEventListener('abort', kill);
    clearTimeout(timer);
  }

  #record(shown: string, { ending, stdout, stderr }: Finished): void {
    this.#story.record({ command: shown, exitCode: ending.exitCode, output: [...stdout, ...stderr] });
  }
}

/** Shows, runs and records a command that has to succeed, whether or not the lab is to stop: that is how it cleans up. */
export async function changeSystem(story: Story, { argv, shown }: CommandLine): Promise<void> {
  story.command(shown);
  const { ending, stderr } = await start(argv, '').finished;
  story.record({ command: shown, exitCode: ending.exitCode, output: stderr });
  if (ending.exitCode !== 0) {
    throw new LabFailure(`\`${shown}\` failed: ${stderr.join(' ') || describeEnding(ending)}`);
  }
}

function start(argv: readonly string[], input: string): { program: Program; finished: Promise<Finished> } {
  const lines = { stdout: [] as string[], stderr: [] as string[] };
  const program = new Program(argv, (line, stream) => lines[stream].push(line), input);
  return { program, finished: program.ended.then((ending) => ({ ending, ...lines })) };
}

/** What is run, and how it is written for people to read and to type. */
export interface CommandLine {
  argv: readonly string[];
  shown: string;
}

/** A program of the system, shown as it is run. None of the arguments may hold a space. */
export function system(commandLine: string): CommandLine {
  return { argv: commandLine.split(' '), shown: commandLine };
}

/** One of the small Node programs in `guest/`. */
export function guest(name: string, ...args: string[]): CommandLine {
  const path = fileURLToPath(new URL(`./guest/${name}.js`, import.meta.url));
  return {
    argv: [process.execPath, path, ...args],
    shown: ['node', shorter(relative(process.cwd(), path), path), ...args].join(' '),
  };
}

/** This very ttun, shown as users type it. */
export function ttun(...args: string[]): CommandLine {
  const path = fileURLToPath(new URL('../bin.js', import.meta.url));
  return { argv: [process.execPath, path, ...args], shown: ['ttun', ...args].join(' ') };
}

/** The same, inside a site. */
export function inSite(site: Site, { argv, shown }: CommandLine): CommandLine {
  const prefix = ['ip', 'netns', 'exec', site.name];
  return { argv: [...prefix, ...argv], shown: `${prefix.join(' ')} ${shown}` };
}

function shorter(one: string, other: string): string {
  return one.length < other.length ? one : other;
}

const patience = 5000;
const listenState = '0A';

/**
 * Waits until a program listens for TCP connections at an IPv4 address, seen in the socket table of the network namespace
 * it runs in: trying to connect would use up a server that serves only once. False if it does not come to that.
 */
export async function waitUntilListening(
  program: Program,
  { address, port }: { address: string; port: number },
  signal: AbortSignal,
): Promise<boolean> {
  const limit = AbortSignal.timeout(patience);
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
      .some(([, local, , state]) => local === kernelForm(address, port) && state === listenState);
  } catch {
    // It has ended.
    return false;
  }
}

/** `/proc/net/tcp` prints an address as one number in the byte order of the machine, and the port after it, in hex. */
function kernelForm(address: string, port: number): string {
  const bytes = Uint8Array.from(address.split('.'), Number);
  const [asNumber = 0] = new Uint32Array(bytes.buffer);
  return `${hex(asNumber, 8)}:${hex(port, 4)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}

/** Whether a program can be started by its name. */
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
