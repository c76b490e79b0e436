/** Where captured packets go: a file, or standard output. */
import { open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import type { Packet } from '../../../control/capture/pcapng-reader.ts';
import { describeSystemError } from '../../../system-error.ts';
import type { Target } from './arguments.ts';
import { JSON_LINES, linesFor, PCAP, PCAPNG } from './formats.ts';
import type { Format } from './formats.ts';

/** The output cannot be written. */
export class OutputError extends Error {}

/** Nobody reads the output any more, which is a way to say that one has seen enough. */
export class ReaderGone extends Error {}

export class Output {
  /** ` to x.pcap`; empty for standard output. */
  readonly place: string;
  readonly #stream: Writable;
  readonly #format: Format;

  private constructor(stream: Writable, format: Format, path: string | null) {
    this.place = path === null ? '' : ` to ${path}`;
    this.#stream = stream;
    this.#format = format;
    // Failures show where it is written.
    stream.on('error', () => {});
  }

  /** @throws OutputError when the file cannot be made */
  static async open(target: Target): Promise<Output> {
    if (target.kind === 'lines') return new Output(process.stdout, linesFor(process.stdout), null);
    if (target.kind === 'json') return new Output(process.stdout, JSON_LINES, null);
    const format = target.kind === 'pcap' ? PCAP : PCAPNG;
    return target.path === null
      ? new Output(process.stdout, format, null)
      : new Output(await createFile(target.path), format, target.path);
  }

  /** All of these resolve as fast as the output takes it; they throw OutputError or ReaderGone. */
  async begin(snapLength: number): Promise<void> {
    await this.#write(this.#format.begin(snapLength));
  }

  async packets(packets: readonly Packet[], blocks: Buffer): Promise<void> {
    await this.#write(this.#format.packets(packets, blocks));
  }

  async close(): Promise<void> {
    if (this.#stream === process.stdout) return;
    await settled((done) => this.#stream.end(done)).catch((error: unknown) => {
      throw this.#failure(error);
    });
  }

  async #write(data: Buffer | string): Promise<void> {
    if (data.length === 0) return;
    await settled((done) => this.#stream.write(data, done)).catch((error: unknown) => {
      throw this.#failure(error);
    });
  }

  #failure(error: unknown): Error {
    if (isCode(error, 'EPIPE')) return new ReaderGone();
    return new OutputError(`writing${this.place} failed: ${describeSystemError(error)}`);
  }
}

/** What was captured may be confidential: the file is for its owner alone, unless it was there before. */
async function createFile(path: string): Promise<Writable> {
  try {
    return (await open(path, 'w', 0o600)).createWriteStream();
  } catch (error) {
    throw new OutputError(`${path} cannot be written: ${describeSystemError(error)}`);
  }
}

function settled(start: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
