/** Replies of other processes, which may be of another version, or of another user with bad intentions. */
import * as v from 'valibot';
import { REPORT_STATES } from '../tunnel-host.ts';
import type { ReloadReport } from '../tunnel-host.ts';
import { STATES, STATS } from '../stats-table.ts';
import type { Stat, TunnelStats } from '../stats-table.ts';
import { ControlError, PROTOCOL } from './protocol.ts';
import type { ShowReply } from './protocol.ts';

/** @throws ControlError with the error that the process answers, or if the reply is invalid */
export function toShowReply(line: string): ShowReply {
  const reply = parse(line);
  if (v.is(SHOW_REPLY, reply)) return reply;
  throw toError(reply);
}

/** @throws ControlError with the error that the process answers, or if the reply is invalid */
export function toReloadReport(line: string): ReloadReport {
  const reply = parse(line);
  if (v.is(RELOAD_REPLY, reply)) return reply.reload;
  throw toError(reply);
}

/** @throws ControlError with the error that the process answers, or if the reply is invalid */
export function checkCaptureReply(line: string): void {
  const reply = parse(line);
  if (!v.is(CAPTURE_REPLY, reply)) throw toError(reply);
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
  if (v.is(ERROR_REPLY, reply)) {
    const { code, message, hint } = reply.error;
    return new ControlError(code, message, hint);
  }
  return new ControlError('no-answer', 'it sent an invalid reply; is it another version of ttun?');
}

// Unknown properties are kept: they may be of a later version.

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
      // Another version may lack it.
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
