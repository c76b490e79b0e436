/** `ttun help` and `--help`: the help of commands, generated from their specs. */
import { styleFor } from '../terminal.ts';
import { noSuchCommand, parseArguments } from './args.ts';
import type { Commands, CommandSpec, OptionSpec } from './args.ts';
import { PROGRAM } from './tunnel-arguments.ts';

export const SPEC = {
  name: 'help',
  usage: ['[command]'],
  description: ['Prints the help of a command, as ttun <command> --help does; without one, that of ttun.'],
  operands: [{ label: '[command]', description: 'the command', completes: 'command' }],
  options: {},
  examples: [{ does: 'Show the help of ttun lab', command: 'ttun help lab' }],
} as const satisfies CommandSpec;

export async function run(args: readonly string[], commands: Commands): Promise<number> {
  await printHelp(parseArguments(SPEC, args).operands[0], commands);
  return 0;
}

/**
 * Prints the help of a command on standard output; without a name, that of the program.
 *
 * @throws UsageError when there is no such command
 */
export async function printHelp(name: string | undefined, commands: Commands): Promise<void> {
  const page = pageFor(process.stdout);
  if (name === undefined) process.stdout.write(formatProgramHelp(commands, page));
  else {
    const command = await commands.get(name)?.load();
    if (command === undefined) throw noSuchCommand(name, commands);
    process.stdout.write(formatHelp(command.SPEC, page));
  }
}

/** The output of the help. */
export interface Page {
  readonly width: number;
  readonly heading: (text: string) => string;
}

/** As wide as the terminal, within limits of legibility. */
function pageFor(stream: NodeJS.WriteStream): Page {
  const { least, most } = TERMINAL_WIDTHS;
  const width = stream.isTTY ? Math.min(Math.max(stream.columns, least), most) : WIDTH_ELSEWHERE;
  const style = styleFor(stream);
  return { width, heading: (text) => style('bold', text) };
}

const TERMINAL_WIDTHS = { least: 40, most: 100 };
const WIDTH_ELSEWHERE = 80;

/** The output of `ttun <command> --help`. */
export function formatHelp(spec: CommandSpec, page: Page): string {
  const description = spec.description.map((paragraph) => wrap(paragraph, page.width));
  return join([usage(spec), ...description, ...details(spec, page)]);
}

/** The output of `ttun --help`: how to run one tunnel, and the commands. */
function formatProgramHelp(commands: Commands, page: Page): string {
  const [summary, ...rest] = PROGRAM.description;
  const rows = [...commands].map(([name, command]) => [name, command.summary] as const);
  return join([
    wrap(summary, page.width),
    [...usage(PROGRAM), '       ttun <command> [arguments]'],
    ...rest.map((paragraph) => wrap(paragraph, page.width)),
    section('Commands', wrapRows(rows, page.width - INDENT.length), page),
    ['For the help of a command: ttun <command> --help'],
    ...details(PROGRAM, page),
  ]);
}

const INDENT = '  ';

/** The line above an example. */
export function introduction(does: string): string {
  return /[?:.]$/.test(does) ? does : `${does}:`;
}

function usage({ name, usage: forms }: CommandSpec): string[] {
  return forms.map((form, index) => {
    const words = ['ttun', name, form].filter((part) => part !== '').join(' ');
    return `${index === 0 ? 'Usage: ' : '       '}${words}`;
  });
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

/** `-w, --write <file>`; all long options are aligned. */
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

/** Meanings of exit codes, unless a command has its own. */
const COMMON: Readonly<Record<number, string>> = {
  0: 'success',
  1: 'failure; a message on standard error says why and what to do',
  2: 'invalid arguments',
};

/** All exit codes of a command with their meanings, in ascending order. */
export function exitCodesOf(spec: CommandSpec): (readonly [code: number, meaning: string])[] {
  const all: Readonly<Record<string, string>> = { ...COMMON, ...spec.exitCodes };
  return Object.entries(all).map(([code, meaning]) => [Number(code), meaning] as const);
}

// Text wrapped to the width of the page.

/** Breaks text between words; a word longer than `width` gets its own line. */
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

/** A table of two columns, the right one wrapped; a name too long for its column gets its own line. */
function wrapRows(rows: readonly (readonly [name: string, text: string])[], width: number): string[] {
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
