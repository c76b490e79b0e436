/** Asks the processes that run tunnels, by their control sockets. */
import type { Socket } from 'node:net';
import type { ReloadReport } from '../service/host.ts';
import type { CaptureRequest } from './capture.ts';
import { Incoming, LineTooLong } from './connection.ts';
import { ControlError, PROTOCOL } from './protocol.ts';
import type { ShowReply } from './protocol.ts';
import { checkCaptureReply, toReloadReport, toShowReply } from './reply.ts';
import { connectTo, findSocketFiles } from './socket-file.ts';

/** What all running processes tell. */
export interface Survey {
  /** The process that runs longest comes first. Those of other users are there when this user is root. */
  readonly replies: readonly Found[];
  /** Processes that are there but gave no answer. */
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

/**
 * Asks all processes of this user, and if it is root those of everybody, for their tunnels.
 *
 * @param limitMs how long an answer is waited for
 */
export async function survey(limitMs: number = ANSWER_LIMIT_MS): Promise<Survey> {
  const paths = await findSocketFiles();
  const answers = await Promise.all(paths.map((path) => askToShow(path, limitMs)));
  const found = answers.filter((answer) => answer !== null);
  const replies = found.filter((answer) => 'reply' in answer);
  return {
    replies: replies.sort((left, right) => left.reply.process.startedAt - right.reply.process.startedAt),
    silent: found.filter((answer) => 'error' in answer),
  };
}

async function askToShow(path: string, limitMs: number): Promise<Found | Silent | null> {
  try {
    await using connection = await Connection.open(path);
    return connection === null ? null : { path, reply: await connection.show(limitMs) };
  } catch (error) {
    if (error instanceof ControlError) return { path, error };
    throw error;
  }
}

/** A connection to one process; requests are answered one after the other. */
export class Connection implements AsyncDisposable {
  readonly #path: string;
  readonly #socket: Socket;
  readonly #incoming: Incoming;

  private constructor(path: string, socket: Socket) {
    this.#path = path;
    this.#socket = socket;
    // Failures show in the reads and writes.
    socket.on('error', () => {});
    this.#incoming = new Incoming(socket.iterator({ destroyOnReturn: false }), LONGEST_REPLY);
  }

  /** `null` when no process is there any more, or it does not let us in. */
  static async open(path: string): Promise<Connection | null> {
    const socket = await connectTo(path);
    return socket === null ? null : new Connection(path, socket);
  }

  async show(limitMs: number = ANSWER_LIMIT_MS): Promise<ShowReply> {
    return toShowReply(await this.#ask({ request: 'show' }, limitMs));
  }

  /** @throws ControlError with what is wrong with the new configuration */
  async reload(): Promise<ReloadReport> {
    return toReloadReport(await this.#ask({ request: 'reload' }, RELOAD_LIMIT_MS));
  }

  /**
   * Packets of a tunnel as a pcapng file, piece by piece. It ends after the wanted number of packets, when the tunnel ends, or
   * after `finish`; the last block then tells the figures. While nobody takes the pieces, the process keeps no more than its
   * ring holds, and counts what it leaves out.
   */
  async capture(request: CaptureRequest): Promise<AsyncIterable<Buffer>> {
    checkCaptureReply(await this.#ask({ request: 'capture', ...request }, ANSWER_LIMIT_MS));
    return this.#incoming.rest();
  }

  /** Says that there are no more requests; what is still to come comes. */
  finish(): void {
    this.#socket.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    return Promise.resolve();
  }

  async #ask(request: { readonly request: string }, limitMs: number): Promise<string> {
    this.#socket.write(`${JSON.stringify({ protocol: PROTOCOL, ...request })}\n`);
    // Destroying it ends the reading.
    const limit = setTimeout(() => this.#socket.destroy(), limitMs);
    try {
      const line = await this.#incoming.line();
      if (line !== null) return line;
    } catch (error) {
      if (error instanceof LineTooLong) throw this.#noAnswer('answers with a line that is too long');
    } finally {
      clearTimeout(limit);
    }
    throw this.#noAnswer('does not answer');
  }

  #noAnswer(what: string): ControlError {
    return new ControlError('no-answer', `the process at ${this.#path} ${what}`);
  }
}

/** The longest answer that is read, in bytes: thousands of tunnels. */
const LONGEST_REPLY = 32 * 1024 * 1024;

const ANSWER_LIMIT_MS = 2000;
/** It may resolve names and set up devices. */
const RELOAD_LIMIT_MS = 60_000;
