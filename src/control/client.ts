/** A client of control sockets: queries the processes that run tunnels. */
import type { Socket } from 'node:net';
import type { PathMeasurement } from '../path.ts';
import type { ReloadReport } from '../tunnel-host.ts';
import { ControlError, LineReader, LineTooLong, PROTOCOL } from './protocol.ts';
import type { CaptureRequest, MeasureRequest, Request, ShowReply } from './protocol.ts';
import { checkCaptureReply, toPathMeasurement, toReloadReport, toShowReply } from './replies.ts';
import { connectTo, findSocketFiles } from './socket-file.ts';

/** The replies of all running processes. */
export interface Survey {
  /** Oldest process first. */
  readonly replies: readonly Found[];
  /** Processes that run but gave no valid reply. */
  readonly silent: readonly Silent[];
}

export interface Found {
  /** Path of the socket. */
  readonly path: string;
  readonly reply: ShowReply;
}

export interface Silent {
  readonly path: string;
  readonly error: ControlError;
}

/** Queries all processes of this user, or of all users if this is root. Each has `limitMs` to reply. */
export async function survey(limitMs: number = REPLY_LIMIT_MS): Promise<Survey> {
  const paths = await findSocketFiles();
  const answers = (await Promise.all(paths.map((path) => show(path, limitMs)))).filter(
    (answer) => answer !== null,
  );
  const replies = answers.filter((answer) => 'reply' in answer);
  return {
    replies: replies.sort((left, right) => left.reply.process.startedAt - right.reply.process.startedAt),
    silent: answers.filter((answer) => 'error' in answer),
  };
}

async function show(path: string, limitMs: number): Promise<Found | Silent | null> {
  try {
    await using connection = await Connection.open(path);
    return connection === null ? null : { path, reply: await connection.show(limitMs) };
  } catch (error) {
    if (error instanceof ControlError) return { path, error };
    throw error;
  }
}

/** A connection to one process. Requests must not overlap. */
export class Connection implements AsyncDisposable {
  readonly #path: string;
  readonly #socket: Socket;
  readonly #reader: LineReader;

  private constructor(path: string, socket: Socket) {
    this.#path = path;
    this.#socket = socket;
    // Reads and writes report failures.
    socket.on('error', () => {});
    this.#reader = new LineReader(socket, LONGEST_REPLY);
  }

  /** `null` if the process is gone, or refuses the connection. */
  static async open(path: string): Promise<Connection | null> {
    const socket = await connectTo(path);
    return socket === null ? null : new Connection(path, socket);
  }

  async show(limitMs: number): Promise<ShowReply> {
    return toShowReply(await this.#ask({ request: 'show' }, limitMs), this.#path);
  }

  /** @throws ControlError that lists the problems of the new configuration */
  async reload(): Promise<ReloadReport> {
    return toReloadReport(await this.#ask({ request: 'reload' }, RELOAD_LIMIT_MS), this.#path);
  }

  /** @throws ControlError, also if the process is of a version that cannot measure */
  async measurePath(request: MeasureRequest): Promise<PathMeasurement> {
    const line = await this.#ask({ request: 'measure-path', ...request }, MEASURE_LIMIT_MS);
    return toPathMeasurement(line, this.#path);
  }

  /**
   * Packets of a tunnel as a pcapng file, in pieces. It ends after the requested number of packets, when the tunnel ends, or after
   * `finish`; the last block holds the statistics. While the caller does not read, the process buffers packets in its ring, and
   * counts the rest.
   */
  async capture(request: CaptureRequest): Promise<AsyncIterable<Buffer>> {
    checkCaptureReply(await this.#ask({ request: 'capture', ...request }, REPLY_LIMIT_MS), this.#path);
    return this.#reader.rest();
  }

  /** No more requests follow; pending replies still arrive. */
  finish(): void {
    this.#socket.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    return Promise.resolve();
  }

  async #ask(request: Request, limitMs: number): Promise<string> {
    this.#socket.write(`${JSON.stringify({ protocol: PROTOCOL, ...request })}\n`);
    // Reads fail once it is destroyed.
    const limit = setTimeout(() => this.#socket.destroy(), limitMs);
    let problem = 'does not answer';
    try {
      const line = await this.#reader.line();
      if (line !== null) return line;
    } catch (error) {
      if (error instanceof LineTooLong) problem = 'sent a reply that is too long';
    } finally {
      clearTimeout(limit);
    }
    throw new ControlError('no-answer', `the process at ${this.#path} ${problem}`);
  }
}

/** In bytes: thousands of tunnels. */
const LONGEST_REPLY = 32 * 1024 * 1024;

const REPLY_LIMIT_MS = 2000;
/** A reload may resolve names and set up devices. */
const RELOAD_LIMIT_MS = 60_000;
/** Another client's measurement may come first. */
const MEASURE_LIMIT_MS = 120_000;
