import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { markedEnvironment } from './namespaces.ts';

/** How a program ended. */
export interface Ending {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** Set when it could not be started at all. */
  startError: Error | null;
}

export type OnLine = (line: string, stream: 'stdout' | 'stderr') => void;

/** A program that the lab started and will end. */
export class Program {
  /** Resolves when the program has ended and all that it printed was read. */
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;

  constructor(argv: readonly string[], onLine: OnLine, input = '') {
    const [file = '', ...rest] = argv;
    // In a session of its own (`detached`), so that Ctrl-C reaches only the lab, which then ends things in order.
    this.#child = spawn(file, rest, { detached: true, env: markedEnvironment() });
    this.ended = waitForEnd(this.#child, onLine);
    // A program may end without reading its input: that shows in how it ends.
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

  /** Asks the program to end; kills it when it has not done so after `patience` ms. */
  async stop(signal: NodeJS.Signals, patience: number): Promise<Ending> {
    this.kill(signal);
    const lastResort = setTimeout(() => this.kill('SIGKILL'), patience);
    try {
      return await this.ended;
    } finally {
      clearTimeout(lastResort);
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
