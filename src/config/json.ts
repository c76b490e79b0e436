/**
 * JSON (RFC 8259) with the places of its keys. Hand-written, because the parsers in the registry that keep places either accept
 * more than JSON, or report a mistake by the name of a token, without a useful hint.
 */
import { ConfigSyntaxError, MAXIMUM_DEPTH, Places } from './document.ts';
import type { Document, KeyPath, Place } from './document.ts';

/** @throws ConfigSyntaxError also for a key that is given twice, of which `JSON.parse` would drop one */
export function parseJson(text: string): Document {
  const places = new Places();
  return { value: new Parser(text, places).parse(), places };
}

class Parser {
  readonly #text: string;
  readonly #places: Places;
  #at = 0;
  #line = 1;
  #lineStart = 0;

  constructor(text: string, places: Places) {
    this.#text = text;
    this.#places = places;
  }

  parse(): unknown {
    const value = this.#value([]);
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#error(`${this.#found()} after the end of the object`);
    return value;
  }

  #value(path: KeyPath): unknown {
    this.#skipSpace();
    if (path.length > MAXIMUM_DEPTH)
      throw this.#error(`objects and lists are nested more than ${MAXIMUM_DEPTH} levels deep`);
    const next = this.#text[this.#at];
    if (next === '{') return this.#object(path);
    if (next === '[') return this.#list(path);
    if (next === '"') return this.#string();
    const [word] = this.#match(/[-+\w.]+/y) ?? [];
    if (word !== undefined && WORDS.has(word)) return WORDS.get(word);
    if (word !== undefined && NUMBER.test(word)) return Number(word);
    this.#at -= word?.length ?? 0;
    throw this.#unexpectedValue(word);
  }

  #object(path: KeyPath): object {
    // Without a prototype, so that `__proto__` is a key like others.
    const object: Record<string, unknown> = Object.create(null);
    this.#at += 1;
    for (let isFirst = true; !this.#isEnd('}', isFirst); isFirst = false) {
      if (this.#text[this.#at] !== '"') {
        throw this.#error(`${this.#found()} where a key was expected`, 'write keys in double quotes');
      }
      const place = this.#place();
      const key = this.#string();
      const inner = [...path, key];
      const earlier = this.#places.get(inner);
      if (earlier !== undefined) {
        throw new ConfigSyntaxError(
          `the key ${JSON.stringify(key)} is given twice, first on line ${earlier.line}`,
          place,
          'remove one of them',
        );
      }
      this.#places.add(inner, place);
      this.#skipSpace();
      if (this.#match(/:/y) === null) throw this.#error(`${this.#found()} where ':' was expected`);
      object[key] = this.#value(inner);
    }
    return object;
  }

  #list(path: KeyPath): unknown[] {
    const list: unknown[] = [];
    this.#at += 1;
    for (let isFirst = true; !this.#isEnd(']', isFirst); isFirst = false) {
      const inner = [...path, list.length];
      this.#places.add(inner, this.#place());
      list.push(this.#value(inner));
    }
    return list;
  }

  /** Passes the comma before a further element, or the bracket after the last one. */
  #isEnd(bracket: '}' | ']', isFirst: boolean): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] === bracket) {
      this.#at += 1;
      return true;
    }
    if (isFirst) return false;
    if (this.#match(/,/y) === null)
      throw this.#error(`${this.#found()} where ',' or '${bracket}' was expected`);
    this.#skipSpace();
    if (this.#text[this.#at] === bracket) {
      throw this.#error(`'${bracket}' after a comma`, 'remove the comma after the last element');
    }
    return false;
  }

  #string(): string {
    const [literal] = this.#match(STRING) ?? [];
    if (literal !== undefined) return String(JSON.parse(literal));
    const [begun = ''] = this.#match(BEGUN_STRING) ?? [];
    const stop = this.#text[this.#at];
    if (stop === '\\') throw this.#error('invalid escape in a string', 'write a backslash as \\\\');
    if (stop !== undefined && stop !== '\n' && stop !== '\r') {
      throw this.#error('control character in a string', 'write it as an escape such as \\t');
    }
    this.#at -= begun.length;
    throw this.#error('unterminated string', 'close it with a double quote on the same line');
  }

  #unexpectedValue(word: string | undefined): ConfigSyntaxError {
    const problem = `${this.#found()} where a value was expected`;
    if (word === undefined) return this.#error(problem);
    if (/^0x[\da-f]+$/i.test(word))
      return this.#error(problem, `write the number in decimal: ${Number(word)}`);
    return this.#error(problem, 'write text in double quotes');
  }

  #skipSpace(): void {
    const start = this.#at;
    const [space = ''] = this.#match(/[ \t\n\r]*/y) ?? [];
    const lastBreak = space.lastIndexOf('\n');
    if (lastBreak >= 0) {
      // Only space extends over several lines.
      this.#line += space.split('\n').length - 1;
      this.#lineStart = start + lastBreak + 1;
    }
    if (/^\/[/*]|^#/.test(this.#text.slice(this.#at, this.#at + 2))) {
      throw this.#error('JSON has no comments', 'remove it, or write the file in TOML');
    }
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#at = pattern.lastIndex;
    return match;
  }

  /** The text here, for an error. */
  #found(): string {
    const [word] = /^[-+\w.]+|^./su.exec(this.#text.slice(this.#at, this.#at + 20)) ?? [];
    return word === undefined ? 'the end of the file' : `'${word}'`;
  }

  #error(problem: string, hint: string | null = null): ConfigSyntaxError {
    return new ConfigSyntaxError(`not valid JSON: ${problem}`, this.#place(), hint);
  }

  #place(): Place {
    return { line: this.#line, column: this.#at - this.#lineStart + 1 };
  }
}

/** RFC 8259, section 7. */
const CHARACTERS = String.raw`(?:[\x20\x21\x23-\x5B\x5D-\uFFFF]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*`;
const BEGUN_STRING = new RegExp(`"${CHARACTERS}`, 'y');
const STRING = new RegExp(`"${CHARACTERS}"`, 'y');

const WORDS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/;
