/** What goes over the control socket: a request is a line of JSON, and so is the answer. docs/control-socket.md tells of it. */
import type { ReloadReport, TunnelReport } from '../service/host.ts';
import { parseCaptureRequest } from './capture.ts';
import type { CaptureRequest } from './capture.ts';

/** The version of the protocol; other versions are refused. */
export const PROTOCOL = 1 as const;

/** The longest line that a process reads, in bytes. */
export const LONGEST_REQUEST = 65_536;

/** So many clients are served at once. */
export const MOST_CLIENTS = 32;

export interface ShowReply {
  readonly protocol: typeof PROTOCOL;
  readonly process: ProcessReport;
  readonly tunnels: readonly TunnelReport[];
}

/** The process that answers. */
export interface ProcessReport {
  readonly pid: number;
  /** Numeric id of the user as whom it runs. */
  readonly uid: number;
  /** Of ttun. */
  readonly version: string;
  /** ms since the epoch. */
  readonly startedAt: number;
  /** Path of the configuration file; `null` when it runs by its arguments. */
  readonly config: string | null;
  readonly networkNamespace: NetworkNamespace;
}

export interface NetworkNamespace {
  /** Number of its inode, by which the kernel tells namespaces apart: `readlink /proc/self/ns/net`. */
  readonly inode: number;
  /** As `ip netns` calls it; `null` where it has no name. */
  readonly name: string | null;
}

export interface ReloadReply {
  readonly protocol: typeof PROTOCOL;
  readonly reload: ReloadReport;
}

/** After it comes a pcapng file, up to the end of the connection. */
export interface CaptureReply {
  readonly protocol: typeof PROTOCOL;
  readonly capture: { readonly tunnel: string; readonly format: 'pcapng' };
}

export interface ErrorReply {
  readonly protocol: typeof PROTOCOL;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null };
}

// The requests that a process understands.

export type Request =
  | { readonly request: 'show' }
  | { readonly request: 'reload' }
  | ({ readonly request: 'capture' } & CaptureRequest);

/** @throws ControlError that says what is wrong with the line */
export function parseRequest(line: string): Request {
  const { protocol, request, ...parameters } = parseObject(line);
  if (protocol !== PROTOCOL) {
    throw new ControlError(
      'unsupported-protocol',
      `this process speaks protocol ${PROTOCOL}, not ${JSON.stringify(protocol) ?? 'one that is not named'}`,
      `send {"protocol":${PROTOCOL},"request":"show"}, or use the ttun of the version that runs`,
    );
  }
  switch (request) {
    case 'show':
    case 'reload':
      refuseParameters(request, parameters);
      return { request };
    case 'capture':
      return { request, ...parseCaptureRequest(parameters) };
    default:
      throw new ControlError(
        'unknown-request',
        `there is no request ${JSON.stringify(request) ?? '(none is given)'}`,
        'the requests are show, reload and capture',
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

function refuseParameters(request: string, parameters: Record<string, unknown>): void {
  const [name] = Object.keys(parameters);
  if (name === undefined) return;
  throw new ControlError('invalid-request', `${request} does not take ${JSON.stringify(name)}`);
}

/**
 * What went wrong between a process and whoever asks it, for programs to match on.
 *
 * - `no-directory`: there is no directory in which the socket could be
 * - `invalid-request`: the line is no request, or lacks something, or has something that the request does not take
 * - `line-too-long`: the line is longer than any request
 * - `unsupported-protocol`: the other side speaks another version of the protocol
 * - `unknown-request`: there is no such request
 * - `too-many-clients`: as many clients are connected as are served at once
 * - `unknown-tunnel`: no tunnel of this process has that name
 * - `tunnel-not-open`: the tunnel has that name, but is not open at the moment
 * - `no-configuration`: the process runs by its arguments, so there is no file to load anew
 * - `no-process`: no process runs that could be meant
 * - `several-processes`: more than one process could be meant
 * - `internal`: the process could not answer for a reason it did not expect, a bug in ttun
 * - `no-answer`: the process does not answer, or has gone
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

/** What another process answers instead of what was asked for, or why there is no answer. */
export class ControlError extends Error {
  readonly code: string;
  /** What to do about it, where that is known. */
  readonly hint: string | null;

  constructor(code: ControlErrorCode | OtherCode, message: string, hint: string | null = null) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** As another process answers it: the code of a `TtunError`, or one of a later version. */
export type OtherCode = string & Record<never, never>;
