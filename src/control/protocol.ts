/** Requests and replies of the control socket, each one line of JSON: docs/control-socket.md describes them. */
import type { Socket } from 'node:net';
import type { PathMeasurement } from '../path.ts';
import type { HttpReport, ReloadReport, ShownValue, TunnelReport } from '../tunnel-host.ts';

/** The only version of the protocol. */
export const PROTOCOL = 1 as const;

/** In bytes. */
export const LONGEST_REQUEST = 65_536;

/** Clients served at once. */
export const MOST_CLIENTS = 32;

/** The largest IP packet, in bytes. */
export const WHOLE_PACKET = 65_535;

export type Request =
  | { readonly request: 'show' }
  | { readonly request: 'reload' }
  | ({ readonly request: 'measure-path' } & MeasureRequest)
  | ({ readonly request: 'capture' } & CaptureRequest);

export interface MeasureRequest {
  readonly tunnel: string;
  /** Of the peer inside the tunnel; `null` leaves the choice to the process. */
  readonly address: string | null;
}

export interface CaptureRequest {
  readonly tunnel: string;
  /** Bytes to copy of each packet. */
  readonly snapLength: number;
  /** Packets after which the capture ends; `null` for no limit. */
  readonly count: number | null;
  /** Only packets from the peer (`in`) or to it (`out`); `null` for both. */
  readonly direction: 'in' | 'out' | null;
}

export type Reply = ShowReply | ReloadReply | MeasureReply | CaptureReply | ErrorReply;

export interface ShowReply {
  readonly protocol: typeof PROTOCOL;
  readonly process: ProcessReport;
  readonly tunnels: readonly TunnelReport[];
  /** The statistics to show in their own lines, including the reasons of drops. */
  readonly values: readonly ShownValue[];
}

/** The process that replies. */
export interface ProcessReport {
  readonly pid: number;
  /** Effective user ID. */
  readonly uid: number;
  /** Version of ttun. */
  readonly version: string;
  /** ms since the epoch. */
  readonly startedAt: number;
  /** Path of the configuration file; `null` if there is none. */
  readonly config: string | null;
  readonly networkNamespace: NetworkNamespace;
  /** `null` if HTTP is not configured. */
  readonly http: HttpReport | null;
}

export interface NetworkNamespace {
  /** Inode number, which identifies it: `readlink /proc/self/ns/net`. */
  readonly inode: number;
  /** As in `ip netns`; `null` if it has no name. */
  readonly name: string | null;
}

export interface ReloadReply {
  readonly protocol: typeof PROTOCOL;
  readonly reload: ReloadReport;
}

export interface MeasureReply {
  readonly protocol: typeof PROTOCOL;
  readonly path: PathMeasurement;
}

/** A pcapng file follows, up to the end of the connection. */
export interface CaptureReply {
  readonly protocol: typeof PROTOCOL;
  readonly capture: { readonly tunnel: string; readonly format: 'pcapng' };
}

export interface ErrorReply {
  readonly protocol: typeof PROTOCOL;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null };
}

/** A failed request: the error that the process replied, or the reason there is no reply. */
export class ControlError extends Error {
  readonly code: string;
  /** How to fix it, if known. */
  readonly hint: string | null;

  constructor(code: ControlErrorCode | OtherCode, message: string, hint: string | null = null) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/**
 * - `no-directory`: there is no directory for the socket
 * - `invalid-request`: the line is not a request, or a parameter is missing, unknown or invalid
 * - `line-too-long`: the line is longer than any request
 * - `unsupported-protocol`: the request is of another version of the protocol
 * - `unknown-request`: there is no such request
 * - `too-many-clients`: no more clients are served at present
 * - `unknown-tunnel`: this process has no tunnel with that name
 * - `tunnel-not-open`: the tunnel is not open at present
 * - `no-configuration`: the process has no configuration file to reload
 * - `no-process`: no running process matches
 * - `several-processes`: more than one running process matches
 * - `internal`: a bug in ttun
 * - `no-answer`: the process does not answer, or its reply is not valid for this version
 */
export type ControlErrorCode =
  | 'no-directory'
  | 'invalid-request'
  | 'line-too-long'
  | 'unsupported-protocol'
  | 'unknown-request'
  | 'too-many-clients'
  | 'unknown-tunnel'
  | 'tunnel-not-open'
  | 'no-configuration'
  | 'no-process'
  | 'several-processes'
  | 'internal'
  | 'no-answer';

/** A code that another process replied: of a `TtunError`, or of a later version. */
export type OtherCode = string & Record<never, never>;

/** @throws ControlError if the line is not a valid request */
export function parseRequest(line: string): Request {
  const { protocol, request, ...parameters } = parseObject(line);
  if (protocol !== PROTOCOL) {
    throw new ControlError(
      'unsupported-protocol',
      protocol === undefined
        ? `the request has no protocol version; this process uses version ${PROTOCOL}`
        : `this process uses protocol version ${PROTOCOL}, not ${JSON.stringify(protocol)}`,
      `send {"protocol":${PROTOCOL},"request":"show"}, or use the same version of ttun as the running process`,
    );
  }
  switch (request) {
    case 'show':
    case 'reload':
      refuseParameters(request, parameters);
      return { request };
    case 'measure-path':
      return { request, ...parseMeasureRequest(parameters) };
    case 'capture':
      return { request, ...parseCaptureRequest(parameters) };
    default:
      throw new ControlError(
        'unknown-request',
        request === undefined ? 'the request has no name' : `there is no request ${JSON.stringify(request)}`,
        'the requests are show, reload, measure-path and capture',
      );
  }
}

function parseObject(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new ControlError(
    'invalid-request',
    'the line is not a JSON object',
    `send {"protocol":${PROTOCOL},"request":"show"} and a newline`,
  );
}

function parseMeasureRequest(parameters: Readonly<Record<string, unknown>>): MeasureRequest {
  const { tunnel, address = null, ...others } = parameters;
  refuseParameters('measure-path', others);
  if (typeof tunnel !== 'string') throw invalid('"tunnel" must be the name of a tunnel');
  if (address !== null && typeof address !== 'string') throw invalid('"address" must be an IP address');
  return { tunnel, address };
}

function parseCaptureRequest(parameters: Readonly<Record<string, unknown>>): CaptureRequest {
  const { tunnel, snapLength = WHOLE_PACKET, count = null, direction = null, ...others } = parameters;
  refuseParameters('capture', others);
  if (typeof tunnel !== 'string') throw invalid('"tunnel" must be the name of a tunnel');
  if (!isCount(snapLength) || snapLength > WHOLE_PACKET) {
    throw invalid(`"snapLength" must be a number of bytes from 1 to ${WHOLE_PACKET}`);
  }
  if (count !== null && !isCount(count)) throw invalid('"count" must be a number of packets, at least 1');
  if (direction !== null && direction !== 'in' && direction !== 'out') {
    throw invalid('"direction" must be "in" or "out"');
  }
  return { tunnel, snapLength, count, direction };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1;
}

function refuseParameters(request: string, parameters: Readonly<Record<string, unknown>>): void {
  const [name] = Object.keys(parameters);
  if (name !== undefined) throw invalid(`${request} has no parameter ${JSON.stringify(name)}`);
}

function invalid(message: string): ControlError {
  return new ControlError('invalid-request', message);
}

/** Reads lines from a connection, and the bytes that follow the last one. Buffers one line at most. */
export class LineReader {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #longest: number;
  #buffered: Buffer = Buffer.alloc(0);

  /** @param longest line to accept, in bytes */
  constructor(socket: Socket, longest: number) {
    const chunks: AsyncIterable<Buffer> = socket.iterator({ destroyOnReturn: false });
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#longest = longest;
  }

  /**
   * The next line that is not empty, without its newline, which the last line may lack; `null` at the end.
   *
   * @throws LineTooLong, or the error that broke the connection
   */
  async line(): Promise<string | null> {
    for (;;) {
      const line = (await this.#untilNewline())?.toString().trim() ?? null;
      if (line !== '') return line;
    }
  }

  /** The remaining bytes, up to the end of the connection or its failure. */
  async *rest(): AsyncGenerator<Buffer, void> {
    try {
      if (this.#buffered.length > 0) yield this.#buffered;
      for (let chunk = await this.#next(); chunk !== null; chunk = await this.#next()) yield chunk;
    } catch {
      // The reader sees from the data whether it is complete.
    }
  }

  async #untilNewline(): Promise<Buffer | null> {
    const parts: Buffer[] = [];
    for (let size = 0; size <= this.#longest; size += parts.at(-1)?.length ?? 0) {
      const chunk = this.#buffered.length > 0 ? this.#buffered : await this.#next();
      if (chunk === null) return parts.length === 0 ? null : Buffer.concat(parts);
      const end = chunk.indexOf(NEWLINE);
      this.#buffered = end === -1 ? Buffer.alloc(0) : chunk.subarray(end + 1);
      parts.push(end === -1 ? chunk : chunk.subarray(0, end));
      if (end !== -1 && size + end <= this.#longest) return Buffer.concat(parts);
    }
    throw new LineTooLong();
  }

  async #next(): Promise<Buffer | null> {
    const { done, value } = await this.#chunks.next();
    return done === true ? null : value;
  }
}

export class LineTooLong extends Error {}

const NEWLINE = 0x0a;

/** Resolves once the kernel accepted the data, which it does as fast as the client reads; rejects if the client is gone. */
export function send(socket: Socket, data: string | Buffer): Promise<void> {
  if (data.length === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    socket.write(data, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
