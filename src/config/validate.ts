/** Values against a schema: all that is wrong at once, each with what would be right. */
import { inspect } from 'node:util';
import * as v from 'valibot';
import { suggest } from '../text.ts';
import { formatPath } from './document.ts';
import type { KeyPath } from './document.ts';
import { childOf, examplesOf, isTable, isTableNode, nodeOf } from './schema-tools.ts';
import type { SchemaNode } from './schema-tools.ts';

/** Something that is wrong with the value at a path. */
export interface Finding {
  readonly path: KeyPath;
  readonly message: string;
  readonly hint: string;
}

export type Validated<Output> =
  { readonly output: Output; readonly findings?: undefined } | { readonly findings: readonly Finding[] };

/** What a thing with keys is called where the value comes from. */
export type TableWord = 'object' | 'table';

export function validate<Output>(
  schema: v.GenericSchema<unknown, Output>,
  value: unknown,
  word: TableWord = 'object',
): Validated<Output> {
  const root = nodeOf(schema);
  const inKeys = [...findInKeys(root, value, [], word)];
  const { success, output, issues = [] } = v.safeParse(schema, value);
  if (success && inKeys.length === 0) return { output };
  const misplaced = inKeys.filter(({ isTableMissing }) => isTableMissing);
  const inValues = issues
    .filter((issue) => !isAboutKeys(issue))
    .map((issue) => toFinding(issue, root, word))
    .filter(({ path }) => !misplaced.some((other) => startsWith(path, other.path)));
  return { findings: [...inValues, ...inKeys.map(({ path, message, hint }) => ({ path, message, hint }))] };
}

interface FindingInKeys extends Finding {
  /** Something else stands where a table belongs, so that nothing can be said of what is in it. */
  readonly isTableMissing: boolean;
}

/**
 * What is wrong with the keys. Valibot tells only the first unknown key of an object, takes an array for an object, and passes
 * over `__proto__` and the like.
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
    yield { path, message, hint: giveTable(word), isTableMissing: true };
    return;
  }
  for (const [key, inner] of Object.entries(value)) {
    const child = childOf(node, key);
    const innerPath = [...path, key];
    if (node.type === 'record' && OBJECT_KEYS.has(key)) {
      yield {
        path: innerPath,
        message: 'is not a name for a tunnel',
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

/** Of every JavaScript object: valibot leaves them out of records. */
const OBJECT_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** About one that is not known; one that is missing is expected by its name. */
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
  if (isTableNode(node)) return giveTable(word);
  if (node.options !== undefined) return `give ${examplesOf(node).map(write).join(' or ')}`;
  return `give ${wantedBy(node)} such as ${write(examplesOf(node)[0])}`;
}

const TABLES: Readonly<Record<TableWord, string>> = { object: 'an object', table: 'a table' };

function giveTable(word: TableWord): string {
  return `give ${TABLES[word]} of options`;
}

function startsWith(path: KeyPath, start: KeyPath): boolean {
  return start.every((key, index) => path[index] === key);
}

// What may have been meant by a key that is not known.

/**
 * What to write in place of the key.
 *
 * @param value what stands under it
 */
export function hintForKey(key: string, value: unknown, table: SchemaNode): string {
  const known = Object.keys(table.entries ?? {});
  const meant = suggestKey(key, known);
  if (meant !== null) return `did you mean ${meant}?`;
  // Nobody writes `mtu` for anything but the MTU of the interface.
  const inner = known.find((name) => hasKey(childOf(table, name), key));
  if (inner !== undefined) return `did you mean ${inner}.${key}?`;
  if (known.includes('tunnels') && isTable(value) && 'device' in value) {
    return `put it among the tunnels: ${formatPath(['tunnels', key])}`;
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

/** What the same is called elsewhere: in `ip`, WireGuard, OpenVPN. */
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
  ['destination', 'remote'],
  ['allowedips', 'allowedSources'],
  ['sources', 'allowedSources'],
  ['mss', 'clampMss'],
  ['mssfix', 'clampMss'],
  ['clampmsstopmtu', 'clampMss'],
  ['mark', 'fwmark'],
  ['somark', 'fwmark'],
  ['sobindtodevice', 'bindDevice'],
  ['address', 'addresses'],
  ['ip', 'addresses'],
  ['route', 'routes'],
  ['user', 'owner'],
  ['queues', 'multiQueue'],
  ['gso', 'segment'],
  ['udpsegment', 'segment'],
  ['gro', 'receive'],
  ['udpgro', 'receive'],
  ['csum', 'checksum'],
  ['vnethdr', 'virtioHeader'],
]);

// How values are shown in errors.

/** `"text"`, `1400`, `a list`: no more of it than a line has room for. */
export function show(value: unknown): string {
  if (typeof value === 'string') return shortened(JSON.stringify(value));
  if (value instanceof Date) return 'a date';
  if (Array.isArray(value)) return value.length === 0 ? '[]' : 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : shortened(inspect(value));
}

/** A value as it is written in TOML and in JavaScript alike: `'tun0'`, `['10.0.2.0/24']`. */
export function write(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(write).join(', ')}]`;
  return typeof value === 'string' ? `'${value}'` : String(value);
}

/** One line that a terminal takes as nothing but text, whatever a file has put into it. */
export function asLine(text: string): string {
  const visible = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase();
    return `\\u{${code}}`;
  });
  return visible.length <= LONGEST_LINE ? visible : `${visible.slice(0, LONGEST_LINE)}…`;
}

/** The line in which something is wrong, or of a long one what is round the place. */
export function excerptAt(line: string, column: number): string {
  if (line.length <= LONGEST_VALUE) return line.trim();
  const start = Math.max(0, column - LONGEST_VALUE / 2);
  const part = line.slice(start, start + LONGEST_VALUE).trim();
  return `${start > 0 ? '…' : ''}${part}${start + LONGEST_VALUE < line.length ? '…' : ''}`;
}

const LONGEST_LINE = 400;
const LONGEST_VALUE = 60;

function shortened(text: string): string {
  return text.length <= LONGEST_VALUE ? text : `${text.slice(0, LONGEST_VALUE)}…`;
}
