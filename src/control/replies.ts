/**
 * Checks of the replies received over control sockets. They may come from another version of ttun, or from a hostile user.
 */
import * as v from 'valibot';
import { STATES, STATS } from '../stats-table.ts';
import type { Stat, TunnelStats } from '../stats-table.ts';
import { REPORT_STATES } from '../tunnel-host.ts';
import type { ReloadReport } from '../tunnel-host.ts';
import type { TunnelChange } from '../tunnel.ts';
import type { PathMeasurement } from '../path.ts';
import { ControlError, PROTOCOL } from './protocol.ts';
import type { ShowReply } from './protocol.ts';

// Each throws a ControlError: the error that the process at `path` replied with, or one that says that the reply is invalid.

export function toShowReply(line: string, path: string): ShowReply {
  const reply = parse(line);
  const checked = v.safeParse(SHOW_REPLY, reply);
  if (checked.success) return checked.output;
  throw toError(reply, path);
}

export function toReloadReport(line: string, path: string): ReloadReport {
  const reply = parse(line);
  const checked = v.safeParse(RELOAD_REPLY, reply);
  if (checked.success) return checked.output.reload;
  throw toError(reply, path);
}

export function toPathMeasurement(line: string, path: string): PathMeasurement {
  const reply = parse(line);
  const checked = v.safeParse(MEASURE_REPLY, reply);
  if (checked.success) return checked.output.path;
  throw toError(reply, path);
}

export function checkCaptureReply(line: string, path: string): void {
  const reply = parse(line);
  if (!v.is(CAPTURE_REPLY, reply)) throw toError(reply, path);
}

/** Replaces characters that could control the terminal, in all strings and keys. */
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

function toError(reply: unknown, path: string): ControlError {
  if (v.is(ERROR_REPLY, reply)) {
    const { code, message, hint } = reply.error;
    return new ControlError(code, message, hint);
  }
  return new ControlError(
    'no-answer',
    `the process at ${path} sent an invalid reply; is it another version of ttun?`,
  );
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
    // Absent in older versions.
    restored: v.optional(v.record(v.string(), v.array(v.string())), {}),
  }),
});

const LARGEST = v.nullable(v.looseObject({ bytes: v.number(), isLimit: v.boolean() }));

const ECN_TREATMENT = v.picklist(['kept', 'cleared', 'marked', 'dropped', 'unknown']);

const MEASURE_REPLY = v.looseObject({
  protocol: v.literal(PROTOCOL),
  path: v.looseObject({
    address: v.string(),
    requests: v.number(),
    answers: v.number(),
    rtt: v.nullable(v.looseObject({ min: v.number(), median: v.number(), max: v.number() })),
    largestSent: LARGEST,
    largestReceived: LARGEST,
    peerMtu: v.nullable(v.number()),
    longer: v.nullable(v.looseObject({ bytes: v.number(), requests: v.number(), answers: v.number() })),
    ecnSent: ECN_TREATMENT,
    ecnReceived: ECN_TREATMENT,
  }),
});

const CAPTURE_REPLY = v.looseObject({
  protocol: v.literal(PROTOCOL),
  capture: v.looseObject({ tunnel: v.string(), format: v.literal('pcapng') }),
});

/** Later versions may add kinds. */
const CHANGE = v.looseObject({
  kind: v.string(),
  at: v.number(),
  level: v.picklist(['info', 'notice', 'warning', 'error']),
  message: v.string(),
});

const STATS_OF_ANY_VERSION = v.pipe(
  v.unknown(),
  v.transform(completed),
  v.custom<TunnelStats>((value) => STATS.every((stat) => hasValue(value, stat))),
);

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
      diagnosis: v.optional(v.nullable(v.string()), null),
      advice: v.nullable(v.looseObject({ text: v.string(), command: v.string() })),
      // Older versions have none.
      history: v.optional(v.array(v.custom<TunnelChange>((value) => v.is(CHANGE, value))), []),
      stats: v.nullable(STATS_OF_ANY_VERSION),
    }),
  ),
  values: v.array(v.looseObject({ path: v.string(), label: v.string(), unit: v.string(), help: v.string() })),
});

/** Adds statistics that an older version does not have, such as a counter, as 0. */
function completed(stats: unknown): unknown {
  if (!isObject(stats)) return stats;
  const complete: Record<string, unknown> = { ...stats };
  for (const { path, kind } of STATS) {
    // Every version has the times and the state.
    if (path.includes('.') && kind in ABSENT) add(complete, path.split('.'), ABSENT[kind]);
  }
  return complete;
}

const ABSENT: Readonly<Partial<Record<Stat['kind'], unknown>>> = {
  counter: 0,
  drop: 0,
  bucket: 0,
  gauge: 0,
  'gauge-if-known': null,
  text: '',
  'text-if-known': null,
  flag: false,
  errors: {},
};

function add(inside: Record<string, unknown>, [name = '', ...rest]: readonly string[], value: unknown): void {
  const present = Object.hasOwn(inside, name) ? inside[name] : undefined;
  if (rest.length === 0) {
    if (present === undefined) inside[name] = value;
    return;
  }
  if (present !== undefined && !isObject(present)) return;
  const section = { ...present };
  inside[name] = section;
  add(section, rest, value);
}

function hasValue(stats: unknown, { path, kind }: Stat): boolean {
  const steps = path === '' ? [] : path.split('.');
  const value = steps.reduce<unknown>(
    (inside, step) => (isObject(inside) && Object.hasOwn(inside, step) ? inside[step] : undefined),
    stats,
  );
  switch (kind) {
    case 'section':
      return isObject(value) && (!/\.(drops|buckets)$/.test(path) || hasNumbersOnly(value));
    case 'errors':
      return isObject(value) && hasNumbersOnly(value);
    case 'drop':
    case 'bucket':
      // Other versions may have others.
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
    case 'text-if-known':
      return typeof value === 'string' || value === null;
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
