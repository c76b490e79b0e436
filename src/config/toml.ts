import { ParseError, parseTOML } from 'toml-eslint-parser';
import type { AST } from 'toml-eslint-parser';
import { ConfigSyntaxError, MAXIMUM_DEPTH, Places } from './document.ts';
import type { Document, KeyPath, Place } from './document.ts';

/** @throws ConfigSyntaxError */
export function parseToml(text: string): Document {
  return new TomlReader().read(parseTree(text));
}

function parseTree(text: string): AST.TOMLProgram {
  try {
    return parseTOML(text);
  } catch (error) {
    if (error instanceof RangeError) throw tooDeep({ line: 1, column: 1 });
    if (!(error instanceof ParseError)) throw error;
    const { message, lineNumber: line, column } = error;
    const problem = message === 'Must be a newline' ? 'unexpected character' : lowerFirst(message);
    throw new ConfigSyntaxError(
      `not valid TOML: ${problem}`,
      { line, column: column + 1 },
      hintFor(text, line),
    );
  }
}

function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}

/** The most common mistake: text values need quotes. */
function hintFor(text: string, line: number): string | null {
  const written = text.split(/\r?\n/)[line - 1] ?? '';
  const [, key, value] = /^\s*([\w.-]+)\s*=\s*([^\s"'[{#][^#]*?)\s*(?:#.*)?$/.exec(written) ?? [];
  if (key === undefined || value === undefined || /^(?:true|false|\d+)$/.test(value)) return null;
  return `put quotes around text: ${key} = "${value.replaceAll('"', '')}"`;
}

/** Builds the value of a syntax tree, in which the parser has already refused duplicate keys. */
class TomlReader {
  readonly #places = new Places();

  read({ body: [top] }: AST.TOMLProgram): Document {
    const value = newTable();
    for (const statement of top.body) {
      if (statement.type === 'TOMLKeyValue') this.#keyValue(statement, value, []);
      else this.#table(statement, value);
    }
    return { value, places: this.#places };
  }

  #table({ key, resolvedKey, body }: AST.TOMLTable, top: Table): void {
    const table = this.#descend(top, resolvedKey, [], placeOf(key));
    for (const statement of body) this.#keyValue(statement, table, resolvedKey);
  }

  #keyValue({ key, value }: AST.TOMLKeyValue, table: Table, above: KeyPath): void {
    const keys = key.keys.map((part) => (part.type === 'TOMLBare' ? part.name : part.value));
    const last = keys.pop() ?? '';
    const place = placeOf(key);
    const inner = this.#descend(table, keys, above, place);
    const path = [...above, ...keys, last];
    this.#places.add(path, place);
    inner[last] = this.#value(value, path);
  }

  /** The table under these keys, created where it does not exist yet. */
  #descend(table: Table, keys: KeyPath, above: KeyPath, place: Place): Table {
    let current = table;
    for (const [index, key] of keys.entries()) {
      // Deeper ones are never looked up.
      if (above.length + index < MAXIMUM_DEPTH)
        this.#places.add([...above, ...keys.slice(0, index + 1)], place);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parser has refused keys of anything but tables
      current = (current[key] ??= typeof keys[index + 1] === 'number' ? [] : newTable()) as Table;
    }
    return current;
  }

  #value(node: AST.TOMLContentNode, path: KeyPath): unknown {
    if (path.length > MAXIMUM_DEPTH) throw tooDeep(placeOf(node));
    if (node.type === 'TOMLValue') return node.value;
    if (node.type === 'TOMLArray') {
      return node.elements.map((element, index) => {
        const inner = [...path, index];
        this.#places.add(inner, placeOf(element));
        return this.#value(element, inner);
      });
    }
    const table = newTable();
    for (const statement of node.body) this.#keyValue(statement, table, path);
    return table;
  }
}

/** An array of tables has numbers as keys. */
type Table = Record<string | number, unknown>;

/** Without a prototype, so that `__proto__` is a key like others. */
function newTable(): Table {
  return Object.create(null);
}

function placeOf({ loc: { start } }: AST.TOMLNode): Place {
  return { line: start.line, column: start.column + 1 };
}

function tooDeep(place: Place): ConfigSyntaxError {
  return new ConfigSyntaxError(
    `not valid TOML: lists and tables are nested more than ${MAXIMUM_DEPTH} levels deep`,
    place,
  );
}
