/** Values against a schema: all that is wrong at once, each with what would be right. */
import * as v from 'valibot';
import type { KeyPath } from './document.ts';
import { isTable } from './schema/actions.ts';
import { childOf, examplesOf, isTableNode, nodeOf } from './schema/nodes.ts';
import type { SchemaNode } from './schema/nodes.ts';
import { hintForKey } from './unknown-key.ts';
import { show, write } from './wording.ts';

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
