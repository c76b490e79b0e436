/** Checks of values that came from elsewhere, put together as their types are. */
import type { HttpReport, Problem, ReloadReport, TunnelReport } from '../tunnel-host.ts';
import type {
  DecapDropReason,
  DecapStats,
  DeviceStats,
  EncapDropReason,
  EncapStats,
  SocketStats,
  TunnelStats,
} from '../stats.ts';
import { ControlError, PROTOCOL } from './protocol.ts';
import type { CaptureReply, NetworkNamespace, ProcessReport, ReloadReply, ShowReply } from './protocol.ts';

export type Guard<T> = (value: unknown) => value is T;

export const isText: Guard<string> = (value) => typeof value === 'string';
export const isNumber: Guard<number> = (value) => typeof value === 'number';
export const isFlag: Guard<boolean> = (value) => typeof value === 'boolean';

export function nullOr<T>(guard: Guard<T>): Guard<T | null> {
  return (value): value is T | null => value === null || guard(value);
}

export function oneOf<T extends string | number>(...words: readonly T[]): Guard<T> {
  return (value): value is T => words.some((word) => word === value);
}

export function listOf<T>(guard: Guard<T>): Guard<readonly T[]> {
  return (value): value is readonly T[] => Array.isArray(value) && value.every((item) => guard(item));
}

/** An object with any keys: those of another version are as good as ours. */
export function recordOf<T, Key extends string = string>(guard: Guard<T>): Guard<Readonly<Record<Key, T>>> {
  return (value): value is Readonly<Record<Key, T>> =>
    isObject(value) && Object.values(value).every((item) => guard(item));
}

/** An object with these fields; it may have more. */
export function objectWith<T extends object>(fields: {
  readonly [Key in keyof T]-?: Guard<T[Key]>;
}): Guard<T> {
  const checks = Object.entries<Guard<unknown>>(fields);
  return (value): value is T =>
    isObject(value) && checks.every(([key, guard]) => Object.hasOwn(value, key) && guard(value[key]));
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// Answers of other processes, which may be of another version, or of another user who means no good.

/** @throws ControlError with the error that the process answers, or if the reply is invalid */
export function toShowReply(line: string): ShowReply {
  const reply = parse(line);
  if (isShowReply(reply)) return reply;
  throw toError(reply);
}

/** @throws ControlError with the error that the process answers, or if the reply is invalid */
export function toReloadReport(line: string): ReloadReport {
  const reply = parse(line);
  if (isReloadReply(reply)) return reply.reload;
  throw toError(reply);
}

/** @throws ControlError with the error that the process answers, or if the reply is invalid */
export function checkCaptureReply(line: string): void {
  const reply = parse(line);
  if (!isCaptureReply(reply)) throw toError(reply);
}

/** Texts go to a terminal, which must not take anything in them for a command; names of reasons and of errors do, too. */
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

/**
 * Control characters, but for the line feed, which messages may contain; and those that are not seen, among which are some that
 * turn the direction of writing.
 */
const UNPRINTABLE = /(?!\n)[\p{Cc}\p{Cf}]/gu;

function toError(reply: unknown): ControlError {
  if (isErrorReply(reply)) {
    const { code, message, hint } = reply.error;
    return new ControlError(code, message, hint);
  }
  return new ControlError('no-answer', 'it sent an invalid reply; is it another version of ttun?');
}

const isProblem: Guard<Problem> = objectWith({ code: isText, message: isText, hint: nullOr(isText) });

const isErrorReply = objectWith<{ readonly error: Problem }>({ error: isProblem });

const isReloadReply: Guard<ReloadReply> = objectWith<ReloadReply>({
  protocol: oneOf(PROTOCOL),
  reload: objectWith<ReloadReport>({
    added: listOf(isText),
    changed: listOf(isText),
    removed: listOf(isText),
    unchanged: listOf(isText),
  }),
});

const isCaptureReply: Guard<CaptureReply> = objectWith<CaptureReply>({
  protocol: oneOf(PROTOCOL),
  capture: objectWith<CaptureReply['capture']>({ tunnel: isText, format: oneOf('pcapng') }),
});

const isDevice: Guard<DeviceStats> = objectWith<DeviceStats>({
  name: isText,
  index: isNumber,
  mtu: isNumber,
  offload: objectWith<DeviceStats['offload']>({ checksum: isFlag, tso: isFlag, uso: isFlag }),
});

const isSocket: Guard<SocketStats> = objectWith<SocketStats>({
  local: isText,
  remote: isText,
  pathMtu: nullOr(isNumber),
  segmentsPerSend: isNumber,
  gro: isFlag,
  receiveBuffer: isNumber,
  sendBuffer: isNumber,
  receiveOverflow: isNumber,
  errors: recordOf(isNumber),
});

const isEncap: Guard<EncapStats> = objectWith<EncapStats>({
  received: isNumber,
  packets: isNumber,
  bytes: isNumber,
  reads: isNumber,
  sends: isNumber,
  fragmented: isNumber,
  dropped: isNumber,
  drops: recordOf<number, EncapDropReason>(isNumber),
});

const isDecap: Guard<DecapStats> = objectWith<DecapStats>({
  received: isNumber,
  packets: isNumber,
  bytes: isNumber,
  receives: isNumber,
  writes: isNumber,
  dropped: isNumber,
  drops: recordOf<number, DecapDropReason>(isNumber),
  lastAt: nullOr(isNumber),
});

const isStats: Guard<TunnelStats> = objectWith<TunnelStats>({
  timestamp: isNumber,
  openedAt: isNumber,
  uptimeMs: isNumber,
  state: oneOf<TunnelStats['state']>('up', 'waiting', 'closed'),
  device: isDevice,
  socket: isSocket,
  encap: isEncap,
  decap: isDecap,
});

const isTunnel: Guard<TunnelReport> = objectWith<TunnelReport>({
  name: isText,
  device: isText,
  local: isText,
  remote: isText,
  phase: oneOf<TunnelReport['phase']>('opening', 'open', 'retrying', 'closed'),
  problem: nullOr(isProblem),
  stats: nullOr(isStats),
});

const isProcess: Guard<ProcessReport> = objectWith<ProcessReport>({
  pid: isNumber,
  uid: isNumber,
  version: isText,
  startedAt: isNumber,
  config: nullOr(isText),
  networkNamespace: objectWith<NetworkNamespace>({ inode: isNumber, name: nullOr(isText) }),
  http: nullOr(objectWith<HttpReport>({ listen: isText, url: nullOr(isText), problem: nullOr(isProblem) })),
});

const isShowReply: Guard<ShowReply> = objectWith<ShowReply>({
  protocol: oneOf(PROTOCOL),
  process: isProcess,
  tunnels: listOf(isTunnel),
});
