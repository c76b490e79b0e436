/** Options and files against their schemas: every problem at once, each with a hint. */
import { inspect } from 'node:util';
import * as v from 'valibot';
import { TtunError } from '../errors.ts';
import { suggest } from '../text.ts';
import { formatPath } from './document.ts';
import type { KeyPath } from './document.ts';
import type { TunnelOptions } from '../options.ts';
import { isTable } from '../schema-tools.ts';
import { FILE, TUNNEL } from '../schema.ts';
import type { ResolvedFile, ResolvedOptions } from '../schema.ts';

/**
 * Checks options and fills in the defaults.
 *
 * @throws TtunError with code `ERR_TTUN_INVALID_OPTIONS` that names every problem
 */
export function resolveOptions(options: TunnelOptions): ResolvedOptions {
  const { output, findings } = validate(TUNNEL, options, 'object');
  if (output !== null) return output;
  const lines = findings.map(({ path, message }) => asLine(`${formatPath(path) || 'options'}: ${message}`));
  const hint = findings.map((finding) => asLine(finding.hint)).join('; ');
  throw new TtunError('ERR_TTUN_INVALID_OPTIONS', lines.join('; '), { hint });
}

/** A file as it was checked. */
export interface CheckedFile {
  /** `null` if there are problems. */
  readonly file: ResolvedFile | null;
  readonly findings: readonly Finding[];
  /** The valid options of each tunnel, even if others are invalid. */
  readonly tunnels: readonly NamedTunnel[];
}

export interface NamedTunnel {
  readonly name: string;
  readonly options: Partial<ResolvedOptions>;
}

export function resolveFile(value: unknown, word: TableWord): CheckedFile {
  const { output, findings, parts } = validate(FILE, value, word);
  const tunnels =
    output === null
      ? tunnelsIn(parts, findings)
      : [...output.tunnels].map(([name, options]) => ({ name, options }));
  return { file: output, findings, tunnels };
}

function tunnelsIn(parts: unknown, findings: readonly Finding[]): NamedTunnel[] {
  const tunnels = isTable(parts) ? parts['tunnels'] : undefined;
  if (!isTable(tunnels)) return [];
  const wrong = new Map<unknown, Set<unknown>>();
  for (const {
    path: [, tunnel, key],
  } of findings) {
    const keys = wrong.get(tunnel) ?? new Set();
    wrong.set(tunnel, keys.add(key));
  }
  return Object.entries(tunnels).map(([name, table]) => {
    const keys = wrong.get(name);
    const entries = isTable(table) && keys?.has(undefined) !== true ? Object.entries(table) : [];
    return { name, options: Object.fromEntries(entries.filter(([key]) => keys?.has(key) !== true)) };
  });
}

/** A problem with the value at a path. */
export interface Finding {
  readonly path: KeyPath;
  readonly message: string;
  readonly hint: string;
}

/** The word for a value with keys in the source format. */
export type TableWord = 'object' | 'table';

interface Validated<Output> {
  /** `null` if there are findings. */
  readonly output: Output | null;
  readonly findings: readonly Finding[];
  /** The result of the schema, including invalid parts. */
  readonly parts: unknown;
}

function validate<Output>(
  schema: v.GenericSchema<unknown, Output>,
  value: unknown,
  word: TableWord,
): Validated<Output> {
  const root = nodeOf(schema);
  const inKeys = [...findInKeys(root, value, [], word)];
  const { success, output, issues = [] } = v.safeParse(schema, value);
  if (success && inKeys.length === 0) return { output, findings: [], parts: output };
  const misplaced = new Set(
    inKeys.filter(({ isTableMissing }) => isTableMissing).map(({ path }) => JSON.stringify(path)),
  );
  const isMisplaced = (path: KeyPath): boolean =>
    [...path.keys(), path.length].some((length) => misplaced.has(JSON.stringify(path.slice(0, length))));
  const inValues = issues
    .filter((issue) => !isAboutKeys(issue))
    .map((issue) => toFinding(issue, root, word))
    .filter(({ path }) => !isMisplaced(path));
  const findings = [...inValues, ...inKeys.map(({ path, message, hint }) => ({ path, message, hint }))];
  return { output: null, findings, parts: output };
}

interface FindingInKeys extends Finding {
  /** The value should be a table but is not, so its contents cannot be checked. */
  readonly isTableMissing: boolean;
}

/**
 * Problems with the keys. Valibot reports only the first unknown key of an object, accepts an array as an object, and
 * skips `__proto__` and the like.
 */
function* findInKeys(
  node: SchemaNode,
  value: unknown,
  path: KeyPath,
  word: TableWord,
): Generator<FindingInKeys> {
  if (node.item !== undefined && Array.isArray(value)) {
    for (const [index, item] of value.entries())
      yield* findInKeys(nodeOf(node.item), item, [...path, index], word);
  }
  if (!isTableNode(node) || (value === undefined && path.length > 0)) return;
  if (!isTable(value)) {
    const message = `${show(value)} is not ${TABLES[word]}`;
    yield { path, message, hint: giveTable(node, word), isTableMissing: true };
    return;
  }
  for (const [key, inner] of Object.entries(value)) {
    const child = childOf(node, key);
    const innerPath = [...path, key];
    if (node.type === 'record' && OBJECT_KEYS.has(key)) {
      yield {
        path: innerPath,
        message: 'is not a valid tunnel name',
        hint: 'choose another name',
        isTableMissing: false,
      };
    } else if (child === undefined) {
      yield {
        path: innerPath,
        message: 'unknown option',
        hint: hintForKey(key, inner, node),
        isTableMissing: false,
      };
    } else {
      yield* findInKeys(child, inner, innerPath, word);
    }
  }
}

/** Properties of every JavaScript object, which valibot leaves out of records. */
const OBJECT_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** About an unknown key; a missing one is expected by its name. */
function isAboutKeys({ type, expected }: v.BaseIssue<unknown>): boolean {
  return type === 'strict_object' && expected === 'never';
}

function toFinding(issue: v.BaseIssue<unknown>, root: SchemaNode, word: TableWord): Finding {
  const path = (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)));
  if (issue.kind !== 'schema') return { path, message: issue.message, hint: issue.expected ?? '' };
  let node: SchemaNode | undefined = root;
  for (const key of path) node = node && childOf(node, key);
  const { input } = issue;
  const wanted = node === undefined ? 'something else' : wantedBy(node);
  const message = input === undefined ? 'is missing' : `${show(input)} is not ${wanted}`;
  return { path, message, hint: node === undefined ? '' : hintForType(node, word) };
}

function wantedBy(node: SchemaNode): string {
  if (node.options !== undefined) return node.options.map((option) => wantedBy(nodeOf(option))).join(' or ');
  if (node.type === 'literal') return write(node.literal);
  return WORDS[node.type] ?? node.type;
}

const WORDS: Readonly<Record<string, string>> = {
  string: 'a string',
  boolean: 'a boolean',
  number: 'a number',
  array: 'an array',
  strict_object: 'an object',
  record: 'an object',
};

function hintForType(node: SchemaNode, word: TableWord): string {
  if (node.type === 'boolean') return 'give true or false';
  if (node.type === 'record') return 'add tunnels.NAME with device, local and remote';
  if (isTableNode(node)) return giveTable(node, word);
  if (node.options !== undefined) return `give ${examplesOf(node).map(write).join(' or ')}`;
  return `give ${wantedBy(node)} such as ${write(examplesOf(node)[0])}`;
}

const TABLES: Readonly<Record<TableWord, string>> = { object: 'an object', table: 'a table' };

/** With an example, where the table has one option that must be given. */
function giveTable(node: SchemaNode, word: TableWord): string {
  const required = Object.entries(node.entries ?? {}).filter(([, { type }]) => type !== 'optional');
  const [[key, option] = []] = required;
  if (key === undefined || option === undefined || required.length > 1)
    return `give ${TABLES[word]} of options`;
  const equals = word === 'table' ? ' =' : ':';
  return `give ${TABLES[word]} of options such as { ${key}${equals} ${write(examplesOf(nodeOf(option))[0])} }`;
}

// Hints for unknown keys.

/** A replacement for an unknown key with this value. */
function hintForKey(key: string, value: unknown, table: SchemaNode): string {
  const known = Object.keys(table.entries ?? {});
  const meant = suggestKey(key, known);
  if (meant !== null) return `did you mean ${meant}?`;
  // `mtu` can only mean the MTU of the interface.
  const inner = known.find((name) => hasKey(childOf(table, name), key));
  if (inner !== undefined) return `did you mean ${inner}.${key}?`;
  if (known.includes('tunnels') && isTable(value) && 'device' in value) {
    return `move it under tunnels: ${formatPath(['tunnels', key])}`;
  }
  return known.length === 1 ? `the only option is ${known[0]}` : `the options are ${known.join(', ')}`;
}

function suggestKey(key: string, known: readonly string[]): string | null {
  const bare = bareOf(key);
  const respelt = known.find((name) => bareOf(name) === bare);
  const other = known.find((name) => OTHER_NAMES.get(bare) === name);
  return respelt ?? other ?? suggest(key, known);
}

/** The same for `allowed_sources`, `allowed-sources` and `AllowedSources`. */
function bareOf(key: string): string {
  return key.toLowerCase().replaceAll(/[_\s-]/g, '');
}

function hasKey(node: SchemaNode | undefined, key: string): boolean {
  return (
    node !== undefined &&
    isTableNode(nodeOf(node)) &&
    node.entries !== undefined &&
    Object.hasOwn(node.entries, key)
  );
}

/** Names for these options in other programs: `ip`, WireGuard, OpenVPN. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['tun', 'device'],
  ['dev', 'device'],
  ['name', 'device'],
  ['ifname', 'device'],
  ['listen', 'local'],
  ['bind', 'local'],
  ['source', 'local'],
  ['listenport', 'local'],
  ['peer', 'remote'],
  ['endpoint', 'remote'],
  ['allowedpeers', 'peers'],
  ['destination', 'remote'],
  ['allowedips', 'allowedSources'],
  ['sources', 'allowedSources'],
  ['mss', 'clampMss'],
  ['mssfix', 'clampMss'],
  ['clampmsstopmtu', 'clampMss'],
  ['pmtu', 'pathMtu'],
  ['pmtud', 'pathMtu'],
  ['pmtudisc', 'pathMtu'],
  ['df', 'pathMtu'],
  ['mtudisc', 'pathMtu'],
  ['mark', 'fwmark'],
  ['somark', 'fwmark'],
  ['sobindtodevice', 'bindDevice'],
  ['tos', 'dscp'],
  ['trafficclass', 'dscp'],
  ['udp6zerocsumrx', 'zeroChecksum6'],
  ['noencapcsum6', 'zeroChecksum6'],
  ['address', 'addresses'],
  ['ip', 'addresses'],
  ['route', 'routes'],
  ['ping', 'probe'],
  ['keepalive', 'probe'],
  ['persistentkeepalive', 'probe'],
  ['user', 'owner'],
  ['queues', 'multiQueue'],
  ['gso', 'segment'],
  ['udpsegment', 'segment'],
  ['gro', 'receive'],
  ['udpgro', 'receive'],
  ['csum', 'checksum'],
  ['vnethdr', 'virtioHeader'],
]);

// Values in messages.

/** `"text"`, `1400`, `a list`: no more of it than fits on a line. */
function show(value: unknown): string {
  if (typeof value === 'string') return shortened(JSON.stringify(value));
  if (value instanceof Date) return 'a date';
  if (Array.isArray(value)) return value.length === 0 ? '[]' : 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : shortened(inspect(value));
}

/** A value as written in both TOML and JavaScript: `'tun0'`, `['10.0.2.0/24']`. */
function write(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(write).join(', ')}]`;
  return typeof value === 'string' ? `'${value}'` : String(value);
}

/** One line of visible text, whatever control characters a file contains. */
export function asLine(text: string): string {
  const visible = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase();
    return `\\u{${code}}`;
  });
  return visible.length <= LONGEST_LINE ? visible : `${visible.slice(0, LONGEST_LINE)}…`;
}

const LONGEST_LINE = 400;
const LONGEST_VALUE = 60;

function shortened(text: string): string {
  return text.length <= LONGEST_VALUE ? text : `${text.slice(0, LONGEST_VALUE)}…`;
}

// A schema as a tree.

/** The parts of a schema that are looked at here; which ones it has depends on its type. */
interface SchemaNode extends v.GenericSchema {
  /** Of an object. */
  readonly entries?: Readonly<Record<string, SchemaNode>>;
  /** Of a record. */
  readonly value?: SchemaNode;
  /** Of an array. */
  readonly item?: SchemaNode;
  /** Of a union. */
  readonly options?: readonly SchemaNode[];
  /** Of an optional value. */
  readonly wrapped?: SchemaNode;
  /** Of a literal. */
  readonly literal?: unknown;
}

/** The schema of the value, if it is given. */
function nodeOf(schema: v.GenericSchema): SchemaNode {
  const node: SchemaNode = schema;
  return node.wrapped === undefined ? node : nodeOf(node.wrapped);
}

/** The schema under a key; `undefined` for an unknown key. */
function childOf(node: SchemaNode, key: PropertyKey): SchemaNode | undefined {
  const { entries, item, value } = node;
  if (entries === undefined) {
    const child = item ?? value;
    return child && nodeOf(child);
  }
  const child = Object.hasOwn(entries, key) ? entries[String(key)] : undefined;
  return child && nodeOf(child);
}

/** Whether its values have keys. */
function isTableNode({ entries, type }: SchemaNode): boolean {
  return entries !== undefined || type === 'record';
}

/** Valid values, for hints. */
function examplesOf(node: SchemaNode): readonly unknown[] {
  const { examples } = v.getMetadata(node);
  return Array.isArray(examples) ? examples : [];
}
