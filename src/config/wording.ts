/** How values are shown in errors. */
import { inspect } from 'node:util';

/** `"text"`, `[ 1, 2 ]`, `an object`: no more of it than a line has room for. */
export function show(value: unknown): string {
  if (typeof value === 'string') return shortened(JSON.stringify(value));
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value instanceof Date ? 'a date' : 'an object';
  }
  return shortened(inspect(value, { depth: 0, breakLength: Infinity }));
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

const LONGEST_LINE = 300;
const LONGEST_VALUE = 60;

function shortened(text: string): string {
  return text.length <= LONGEST_VALUE ? text : `${text.slice(0, LONGEST_VALUE)}…`;
}
