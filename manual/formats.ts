/** The two formats of the manual: roff by the macros of man(7), and Markdown. */
import { wrap } from '../src/cli/help.ts';

/** Something that can be typed or set, and its meaning. */
export type Entry = readonly [name: string, meaning: string];

export interface Format {
  /** A section, and if it is for one command, below the section of all. */
  readonly section: (title: string) => string;
  readonly command: (title: string) => string;
  readonly paragraph: (prose: string) => string;
  /** Forms of a command line, such as `ttun show [--json] [name…]`. */
  readonly usage: (forms: readonly string[]) => string;
  /** @param kind of the entries: option, signal */
  readonly list: (kind: string, entries: readonly Entry[]) => string;
  /** Commands as they are typed, after a line that describes them. */
  readonly example: (does: string, lines: string) => string;
}

export const MARKDOWN: Format = {
  section: (title) => `## ${title}`,
  command: (title) => `## ${title}`,
  paragraph: (prose) => plainMarkdown(prose),
  usage: (forms) => fenced('', forms.join('\n')),
  list: (kind, entries) => {
    const rows = entries.map(
      ([name, meaning]) => `| ${coded(name)} | ${plainMarkdown(meaning).replaceAll('|', String.raw`\|`)} |`,
    );
    return [`| ${kind} | |`, '|---|---|', ...rows].join('\n');
  },
  example: (does, lines) => fenced('sh', `# ${does}\n${lines}`),
};

function fenced(language: string, lines: string): string {
  return `\`\`\`${language}\n${lines}\n\`\`\``;
}

/** `-w`, `--write <file>`; links stay as they are. */
function coded(name: string): string {
  return name.startsWith('[`') ? name : name.replaceAll(/[^,\s][^,]*/g, '`$&`');
}

function plainMarkdown(prose: string): string {
  return prose.replaceAll(/[<*_`]/g, String.raw`\$&`);
}

export const ROFF: Format = {
  section: (title) => `.SH ${text(title)}`,
  command: (title) => `.SS ${text(title)}`,
  paragraph: (prose) => `.PP\n${text(prose)}`,
  usage: (forms) => forms.map(marked).join('\n.br\n'),
  list: (_kind, entries) => entries.map(([name, meaning]) => item(marked(name), meaning)).join('\n'),
  example: (does, lines) => `.PP\n${text(does)}\n${literal(lines)}`,
};

/** mandoc warns about longer lines of source. */
const WIDTH = 78;

export function text(plain: string): string {
  return wrap(escaped(plain), WIDTH).map(atLineStart).join('\n');
}

export function bold(plain: string): string {
  return String.raw`\fB${escaped(plain)}\fP`;
}

export function italic(plain: string): string {
  return String.raw`\fI${escaped(plain)}\fP`;
}

/** A term and its meaning. */
export function item(term: string, meaning: string): string {
  return `.TP\n${term}\n${text(meaning)}`;
}

export function literal(lines: string): string {
  return `.IP\n.EX\n${lines.split('\n').map(escaped).map(atLineStart).join('\n')}\n.EE`;
}

/** `show [--json] [name…]` with literal words in bold and placeholders in italics. */
function marked(form: string): string {
  const parts = form.split(/([[\]<>|…,\s]+)/);
  return parts
    .map((part, index) => {
      if (index % 2 === 1 || part === '') return escaped(part.replaceAll(/[<>]/g, ''));
      const isPlaceholder = /[<[]$/.test(parts[index - 1] ?? '') && !part.startsWith('-');
      return isPlaceholder ? italic(part) : bold(part);
    })
    .join('');
}

function escaped(plain: string): string {
  return (
    plain
      .replaceAll('\\', String.raw`\e`)
      // Otherwise it is shown as a hyphen, which shells do not accept as a minus.
      .replaceAll('-', String.raw`\-`)
      .replaceAll(/[^ -~]/gu, characterName)
  );
}

/** Prevents a line from being parsed as a request. */
function atLineStart(line: string): string {
  return /^[.']/.test(line) ? String.raw`\&${line}` : line;
}

function characterName(character: string): string {
  const name = CHARACTERS[character];
  if (name === undefined) throw new Error(`no roff name for ${character}; add it from groff_char(7)`);
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
