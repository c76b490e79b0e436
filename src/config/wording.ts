/** How values are shown in errors. */
import { inspect } from 'node:util';

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
