/** Text for man pages, by the macros of man(7). */
import { wrap } from '../src/cli/help.ts';
import type { Edition } from './edition.ts';
import { partsOf } from './usage.ts';

/** The frame of a page. */
export function head(title: string, section: number, kind: string, { version, date }: Edition): string {
  return [
    '.\\" Made by: npm run manual',
    `.TH ${title} ${section} ${date} "ttun ${version}" "${kind}"`,
    // Nobody types a word that was broken at the end of a line.
    '.nh',
    '.ad l',
  ].join('\n');
}

/** Longer lines of source are bad style, says mandoc. */
const WIDTH = 78;

/** Prose. */
export function text(plain: string): string {
  return wrap(escaped(plain), WIDTH).map(atLineStart).join('\n');
}

export function bold(plain: string): string {
  return String.raw`\fB${escaped(plain)}\fP`;
}

export function italic(plain: string): string {
  return String.raw`\fI${escaped(plain)}\fP`;
}

/** `show [--json] [name…]`, with what is typed in bold and what stands for something else in italics. */
export function usage(form: string): string {
  return partsOf(form)
    .map((part) => {
      if (typeof part === 'string') return escaped(part);
      return part.kind === 'typed' ? bold(part.text) : italic(part.text);
    })
    .join('');
}

/** A term and what it means. */
export function item(term: string, meaning: string): string {
  return `.TP\n${term}\n${text(meaning)}`;
}

/** Lines as they are typed. */
export function literal(lines: string): string {
  return `.IP\n.EX\n${lines.split('\n').map(escaped).map(atLineStart).join('\n')}\n.EE`;
}

/** In which nothing is taken for an escape. */
function escaped(plain: string): string {
  return (
    plain
      .replaceAll('\\', String.raw`\e`)
      // Else it is shown as a hyphen, which no shell knows.
      .replaceAll('-', String.raw`\-`)
      .replaceAll(/[^ -~]/gu, characterName)
  );
}

/** So that it is not taken for a request. */
function atLineStart(line: string): string {
  return /^[.']/.test(line) ? String.raw`\&${line}` : line;
}

function characterName(character: string): string {
  const name = CHARACTERS[character];
  if (name === undefined) throw new Error(`roff.ts knows no name for ${character}: see groff_char(7)`);
  return name;
}

/** groff_char(7) */
const CHARACTERS: Readonly<Record<string, string>> = {
  '…': '...',
  '–': String.raw`\(en`,
  '→': String.raw`\(->`,
  '×': String.raw`\(mu`,
  µ: String.raw`\(mc`,
  '’': String.raw`\(cq`,
  '−': String.raw`\(mi`,
};
