import { parse, TomlError } from 'smol-toml';
import { ConfigSyntaxError, Places } from './document.ts';
import type { Document, KeyPath } from './document.ts';

/** @throws ConfigSyntaxError */
export function parseToml(text: string): Document {
  let places: Places | undefined;
  return {
    value: parseAll(text),
    locate: (path) => {
      places ??= findPlaces(text);
      return places.closest(path);
    },
  };
}

function parseAll(text: string): unknown {
  try {
    return parse(text, { maxDepth: DEEPEST });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [first = ''] = error.message.split('\n', 1);
    const problem = first.replace('Invalid TOML document: ', '');
    throw new ConfigSyntaxError(`not valid TOML: ${problem}`, error, hintFor(text, error.line));
  }
}

/** Of lists and tables within each other. No configuration needs as many. */
const DEEPEST = 32;

/** The most common slip: the values are all text. */
function hintFor(text: string, line: number): string | null {
  const [, key, value] =
    /^\s*([\w.-]+)\s*=\s*([^\s"'[{#][^#]*?)\s*(?:#.*)?$/.exec(linesOf(text)[line - 1] ?? '') ?? [];
  if (key === undefined || value === undefined || /^(?:true|false|\d+)$/.test(value)) return null;
  return `put quotes round text: ${key} = "${value.replaceAll('"', '')}"`;
}

/**
 * The lines on which keys begin. The parser does not tell them, so it is asked about one statement after the other: a
 * statement ends with the first line with which it is complete.
 */
function findPlaces(text: string): Places {
  const places = new Places();
  const lines = linesOf(text);
  let table: KeyPath = [];
  let budget = LARGEST_SEARCH;
  for (let first = 0; first < lines.length;) {
    let end = first;
    let statement: string;
    let value: unknown;
    do {
      end += 1;
      statement = lines.slice(first, end).join('\n');
      budget -= statement.length;
      if (end > lines.length || budget < 0) return places;
      value = tryToParse(statement);
    } while (value === undefined);

    const place = { line: first + 1, column: null };
    if (statement.trimStart().startsWith('[')) {
      table = headerPath(value);
      for (let length = 1; length <= table.length; length++) places.add(table.slice(0, length), place);
    } else {
      for (const path of pathsIn(value, table)) places.add(path, place);
    }
    first = end;
  }
  return places;
}

/** Characters to parse in all while looking for places: a statement of very many lines is not worth more. */
const LARGEST_SEARCH = 2 ** 24;

function linesOf(text: string): string[] {
  return text.split(/\r?\n/);
}

function tryToParse(statement: string): unknown {
  try {
    return parse(statement, { maxDepth: DEEPEST });
  } catch {
    return undefined;
  }
}

/** `[a.b]` alone is a table in a table, and nothing in that. */
function headerPath(value: unknown): KeyPath {
  const path: string[] = [];
  let table = firstOf(value);
  while (path.length < DEEPEST) {
    const [entry] = Object.entries(table);
    if (entry === undefined) break;
    path.push(entry[0]);
    table = firstOf(entry[1]);
  }
  return path;
}

/** The element, of a `[[table]]`. */
function firstOf(value: unknown): object {
  const table: unknown = Array.isArray(value) ? value[0] : value;
  return typeof table === 'object' && table !== null ? table : {};
}

function* pathsIn(value: unknown, above: KeyPath): Generator<KeyPath> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    const path = [...above, Array.isArray(value) ? Number(key) : key];
    yield path;
    if (path.length < DEEPEST) yield* pathsIn(inner, path);
  }
}
