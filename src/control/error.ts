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
