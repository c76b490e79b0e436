/** A client of control sockets: queries the processes that run tunnels. */
import type { Socket } from 'node:net';
import * as v from 'valibot';
import { STATES, STATS } from '../stats-table.ts';
import type { Stat, TunnelStats } from '../stats-table.ts';
import { REPORT_STATES } from '../tunnel-host.ts';
import type { ReloadReport } from '../tunnel-host.ts';
import { ControlError, LineReader, LineTooLong, PROTOCOL } from './protocol.ts';
import type { CaptureRequest, Request, ShowReply } from './protocol.ts';
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
    return toShowReply(await this.#ask({ request: 'show' }, limitMs));
  }

  /** @throws ControlError that lists the problems of the new configuration */
  async reload(): Promise<ReloadReport> {
    return toReloadReport(await this.#ask({ request: 'reload' }, RELOAD_LIMIT_MS));
  }

  /**
   * Packets of a tunnel as a pcapng file, in pieces. It ends after the requested number of packets, when the tunnel ends, or after
   * `finish`; the last block holds the statistics. While the caller does not read, the process buffers packets in its ring, and
   * counts the rest.
   */
  async capture(request: CaptureRequest): Promise<AsyncIterable<Buffer>> {
    checkCaptureReply(await this.#ask({ request: 'capture', ...request }, REPLY_LIMIT_MS));
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

// Replies may come from another version of ttun, or from another user with bad intentions. Each check below throws a ControlError
// with the error that the process replied, or one that the reply is invalid.

function toShowReply(line: string): ShowReply {
  const reply = parse(line);
  if (v.is(SHOW_REPLY, reply)) return reply;
  throw toError(reply);
}

function toReloadReport(line: string): ReloadReport {
  const reply = parse(line);
  if (v.is(RELOAD_REPLY, reply)) return reply.reload;
  throw toError(reply);
}

function checkCaptureReply(line: string): void {
  const reply = parse(line);
  if (!v.is(CAPTURE_REPLY, reply)) throw toError(reply);
}

/** Replaces characters in all texts and keys that could control the terminal they are printed on. */
function parse(line: string): unknown {
  try {
    return JSON.parse(line, (_key, value: unknown) => {
      if (typeof value === 'string') return printable(value);
      if (!isObject(value)) return value;
      return Object.fromEntries(Object.entries(value).map(([key, field]) => [printable(key), field]));
    });
  } catch {
    return undefined;
  }
}

function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, '\uFFFD');
}

/** Control characters except line feeds, which messages may contain, and format characters, which can reverse text. */
const UNPRINTABLE = /(?!\n)[\p{Cc}\p{Cf}]/gu;

function toError(reply: unknown): ControlError {
  if (v.is(ERROR_REPLY, reply)) {
    const { code, message, hint } = reply.error;
    return new ControlError(code, message, hint);
  }
  return new ControlError('no-answer', 'it sent an invalid reply; is it another version of ttun?');
}

// Later versions may add properties.

const PROBLEM = v.looseObject({ code: v.string(), message: v.string(), hint: v.nullable(v.string()) });

const ERROR_REPLY = v.looseObject({ error: PROBLEM });

const RELOAD_REPLY = v.looseObject({
  protocol: v.literal(PROTOCOL),
  reload: v.looseObject({
    added: v.array(v.string()),
    changed: v.array(v.string()),
    removed: v.array(v.string()),
    unchanged: v.array(v.string()),
  }),
});

const CAPTURE_REPLY = v.looseObject({
  protocol: v.literal(PROTOCOL),
  capture: v.looseObject({ tunnel: v.string(), format: v.literal('pcapng') }),
});

const SHOW_REPLY = v.looseObject({
  protocol: v.literal(PROTOCOL),
  process: v.looseObject({
    pid: v.number(),
    uid: v.number(),
    version: v.string(),
    startedAt: v.number(),
    config: v.nullable(v.string()),
    networkNamespace: v.looseObject({ inode: v.number(), name: v.nullable(v.string()) }),
    http: v.nullable(
      v.looseObject({ listen: v.string(), url: v.nullable(v.string()), problem: v.nullable(PROBLEM) }),
    ),
  }),
  tunnels: v.array(
    v.looseObject({
      name: v.string(),
      device: v.string(),
      local: v.string(),
      remote: v.string(),
      phase: v.picklist(['opening', 'open', 'retrying', 'closed']),
      state: v.picklist(REPORT_STATES),
      stateText: v.string(),
      problem: v.nullable(PROBLEM),
      advice: v.nullable(v.looseObject({ text: v.string(), command: v.string() })),
      stats: v.nullable(v.custom<TunnelStats>((value) => STATS.every((stat) => hasValue(value, stat)))),
    }),
  ),
  values: v.array(v.looseObject({ path: v.string(), label: v.string(), unit: v.string(), help: v.string() })),
});

function hasValue(stats: unknown, { path, kind }: Stat): boolean {
  const steps = path === '' ? [] : path.split('.');
  const value = steps.reduce<unknown>(
    (inside, step) => (isObject(inside) && Object.hasOwn(inside, step) ? inside[step] : undefined),
    stats,
  );
  switch (kind) {
    case 'section':
      return isObject(value) && (!path.endsWith('.drops') || hasNumbersOnly(value));
    case 'errors':
      return isObject(value) && hasNumbersOnly(value);
    case 'drop':
      // Other versions may have other reasons.
      return true;
    case 'counter':
    case 'gauge':
      return typeof value === 'number';
    case 'gauge-if-known':
      return typeof value === 'number' || value === null;
    case 'state':
      return STATES.some((state) => state === value);
    case 'text':
      return typeof value === 'string';
    default:
      return typeof value === 'boolean';
  }
}

function hasNumbersOnly(record: Readonly<Record<string, unknown>>): boolean {
  return Object.values(record).every((value) => typeof value === 'number');
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
