/** Answers of other processes, which may be of another version, or of another user who means no good. */
import type { Problem, ReloadReport, TunnelReport } from '../service/host.ts';
import type {
  DecapDropReason,
  DecapStats,
  DeviceStats,
  EncapDropReason,
  EncapStats,
  SocketStats,
  TunnelStats,
} from '../stats.ts';
import { ControlError } from './error.ts';
import { isFlag, isNumber, isObject, isText, listOf, nullOr, objectWith, oneOf, recordOf } from './guards.ts';
import type { Guard } from './guards.ts';
import { PROTOCOL } from './protocol.ts';
import type { CaptureReply, NetworkNamespace, ProcessReport, ReloadReply, ShowReply } from './protocol.ts';

/** @throws ControlError with the error that the process answers, or when the answer makes no sense */
export function toShowReply(line: string): ShowReply {
  const reply = parse(line);
  if (isShowReply(reply)) return reply;
  throw toError(reply);
}

/** @throws ControlError with the error that the process answers, or when the answer makes no sense */
export function toReloadReport(line: string): ReloadReport {
  const reply = parse(line);
  if (isReloadReply(reply)) return reply.reload;
  throw toError(reply);
}

/** @throws ControlError with the error that the process answers, or when the answer makes no sense */
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
  return new ControlError('no-answer', 'it answers what makes no sense here; is it of another version?');
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
});

const isShowReply: Guard<ShowReply> = objectWith<ShowReply>({
  protocol: oneOf(PROTOCOL),
  process: isProcess,
  tunnels: listOf(isTunnel),
});
