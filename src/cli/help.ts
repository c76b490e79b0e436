/** The help of commands, in one form for all, made from their specs. */
import type { CommandSpec, OptionSpec } from './args.ts';
import { styleFor } from './terminal.ts';

/** What the help is printed on. */
export interface Page {
  readonly width: number;
  readonly heading: (text: string) => string;
}

/** What `ttun <command> --help` prints. */
export function formatHelp(spec: CommandSpec, page: Page = pageFor(process.stdout)): string {
  return join([usage([spec]), ...description(spec, page), ...details(spec, page)]);
}

/** What `ttun --help` prints: how to run one tunnel, and which commands there are. */
export function formatProgramHelp(
  program: CommandSpec,
  commands: readonly CommandSpec[],
  page: Page = pageFor(process.stdout),
): string {
  const [summary = '', ...rest] = program.description;
  const list = section(
    'Commands',
    wrapRows(
      commands.map(({ name, summary: does }) => [name, does] as const),
      page.width - INDENT.length,
    ),
    page,
  );
  return join([
    wrap(summary, page.width),
    [...usage([program]), '       ttun <command> [arguments]'],
    ...rest.map((paragraph) => wrap(paragraph, page.width)),
    list,
    ['ttun <command> --help tells more of a command.'],
    ...details(program, page),
  ]);
}

const INDENT = '  ';
const TERMINAL_WIDTHS = { least: 40, most: 100 };
const WIDTH_ELSEWHERE = 80;

/** As wide as the terminal, as far as that can be read well. */
export function pageFor(stream: NodeJS.WriteStream): Page {
  const { least, most } = TERMINAL_WIDTHS;
  const width = stream.isTTY ? Math.min(Math.max(stream.columns, least), most) : WIDTH_ELSEWHERE;
  const style = styleFor(stream);
  return { width, heading: (text) => style('bold', text) };
}

/** What comes before an example. */
export function introduction(does: string): string {
  return /[?:.]$/.test(does) ? does : `${does}:`;
}

function usage(specs: readonly CommandSpec[]): string[] {
  const forms = specs.flatMap(({ name, usage: forms_ }) =>
    forms_.map((form) => ['ttun', name, form].filter((part) => part !== '').join(' ')),
  );
  return forms.map((form, index) => `${index === 0 ? 'Usage: ' : '       '}${form}`);
}

function description(spec: CommandSpec, page: Page): string[][] {
  return spec.description.map((paragraph) => wrap(paragraph, page.width));
}

function details(spec: CommandSpec, page: Page): string[][] {
  const width = page.width - INDENT.length;
  const operands = spec.operands.map((operand) => [operand.label, operand.description] as const);
  const options = Object.entries(spec.options).map(
    ([name, option]) => [optionLabel(name, option), option.description] as const,
  );
  const examples = spec.examples.flatMap(({ does, command }) => [
    ...wrap(introduction(does), width),
    ...command.split('\n').map((line) => INDENT + line),
  ]);
  const exitCodes = exitCodesOf(spec).map(([code, meaning]) => [String(code), meaning] as const);
  return [
    section('Arguments', wrapRows(operands, width), page),
    section('Options', wrapRows([...options, ['-h, --help', 'print this help']], width), page),
    section('Examples', examples, page),
    section('Exit codes', wrapRows(exitCodes, width), page),
  ].filter((lines) => lines.length > 0);
}

/** `-w, --write <file>`; the dashes of all long options stand below each other. */
function optionLabel(name: string, { short, value }: OptionSpec): string {
  const long = value === undefined ? `--${name}` : `--${name} ${value}`;
  return short === undefined ? `    ${long}` : `-${short}, ${long}`;
}

function section(heading: string, lines: readonly string[], page: Page): string[] {
  return lines.length === 0 ? [] : [page.heading(heading), ...lines.map((line) => INDENT + line)];
}

function join(blocks: readonly (readonly string[])[]): string {
  return blocks.map((lines) => `${lines.join('\n')}\n`).join('\n');
}

/** What exit codes tell, unless a command says it more precisely. */
const COMMON: Readonly<Record<number, string>> = {
  0: 'all went well',
  1: 'it failed; a line on standard error says why and what to do',
  2: 'the arguments make no sense',
};

/** All exit codes of a command with their meaning, in ascending order. */
export function exitCodesOf(spec: CommandSpec): (readonly [code: number, meaning: string])[] {
  const all: Readonly<Record<string, string>> = { ...COMMON, ...spec.exitCodes };
  return Object.entries(all).map(([code, meaning]) => [Number(code), meaning] as const);
}

// Text in lines that fit a terminal.

/** Breaks text between words; a word longer than `width` keeps a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  if (line !== '') lines.push(line);
  return lines;
}

/** As a table of two columns, the right one wrapped; a name too long for its column has a line of its own. */
export function wrapRows(rows: readonly (readonly [name: string, text: string])[], width: number): string[] {
  const fitting = rows.map(([name]) => name.length).filter((length) => length <= width / 3);
  const column = Math.max(0, ...fitting);
  const margin = ' '.repeat(column + GAP);
  return rows.flatMap(([name, text]) => {
    const [first = '', ...rest] = wrap(text, width - margin.length);
    const below = rest.map((line) => margin + line);
    if (name.length > column) return [name, margin + first, ...below];
    return [name.padEnd(column + GAP) + first, ...below];
  });
}

/** Between the columns. */
const GAP = 2;
