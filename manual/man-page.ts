/** ttun(1) */
import type { CommandSpec, OptionSpec } from '../src/cli/args.ts';
import { exitCodesOf, introduction } from '../src/cli/help.ts';
import type { Edition } from './edition.ts';
import { ENVIRONMENT, FILES, SIGNALS } from './facts.ts';
import type { Fact } from './facts.ts';
import { bold, head, item, literal, text, usage } from './roff.ts';

export function manPage(program: CommandSpec, commands: readonly CommandSpec[], edition: Edition): string {
  const [first = '', ...rest] = program.description;
  const blocks = [
    head('TTUN', 1, 'User Commands', edition),
    '.SH NAME',
    text(`ttun - ${program.summary}`),
    '.SH SYNOPSIS',
    synopsis([program, ...commands]),
    '.SH DESCRIPTION',
    paragraphs([first, `One of its commands follows the name, or else what one tunnel needs.`, ...rest]),
    listOperands(program),
    '.SH OPTIONS',
    listOptions(program),
    '.PP',
    text('Every command has this one as well:'),
    item(`${bold('-h')}, ${bold('--help')}`, 'print the help'),
    '.SH COMMANDS',
    ...commands.map(command),
    '.SH EXIT STATUS',
    text('Of every command, unless it says it more precisely above:'),
    facts(exitCodes({ ...program, exitCodes: {} })),
    '.SH SIGNALS',
    facts(SIGNALS),
    '.SH ENVIRONMENT',
    facts(ENVIRONMENT),
    '.SH FILES',
    facts(FILES),
    '.SH EXAMPLES',
    examples(program),
    '.SH SEE ALSO',
    SEE_ALSO,
  ];
  return `${blocks.filter((block) => block !== '').join('\n')}\n`;
}

const SEE_ALSO = ['ttun.toml(5)', 'ip-link(8)', 'ip-netns(8)', 'ping(8)', 'systemd.unit(5)', 'tcpdump(8)']
  .map((page) => page.replace(/^(.*)(\(.\))$/, '.BR $1 $2'))
  .join(' ,\n');

function synopsis(specs: readonly CommandSpec[]): string {
  return specs.flatMap((spec) => spec.usage.map((form) => formOf(spec, form))).join('\n.br\n');
}

function formOf({ name }: CommandSpec, form: string): string {
  return usage(['ttun', name, form].filter((part) => part !== '').join(' '));
}

function command(spec: CommandSpec): string {
  const ownExitCodes = Object.entries(spec.exitCodes ?? {});
  return [
    `.SS ${text(`ttun ${spec.name}`)}`,
    spec.usage.map((form) => formOf(spec, form)).join('\n.br\n'),
    '.PP',
    paragraphs(spec.description),
    listOperands(spec),
    listOptions(spec),
    ...(ownExitCodes.length === 0 ? [] : ['.PP', text('Exit status:'), facts(exitCodes(spec))]),
    ...(spec.examples.length === 0 ? [] : ['.PP', examples(spec)]),
  ]
    .filter((block) => block !== '')
    .join('\n');
}

function paragraphs(all: readonly string[]): string {
  return all.map(text).join('\n.PP\n');
}

function listOperands({ operands }: CommandSpec): string {
  return operands.map(({ label, description }) => item(usage(label), description)).join('\n');
}

function listOptions(spec: CommandSpec): string {
  return Object.entries(spec.options)
    .map(([name, option]) => item(optionLabel(name, option), option.description))
    .join('\n');
}

function optionLabel(name: string, { short, value }: OptionSpec): string {
  const long = bold(`--${name}`);
  const spellings = short === undefined ? long : `${bold(`-${short}`)}, ${long}`;
  return value === undefined ? spellings : `${spellings} ${usage(value)}`;
}

function exitCodes(spec: CommandSpec): Fact[] {
  return exitCodesOf(spec).map(([code, meaning]) => [String(code), meaning]);
}

function facts(all: readonly Fact[]): string {
  return all.map(([name, meaning]) => item(bold(name), meaning)).join('\n');
}

function examples(spec: CommandSpec): string {
  return spec.examples
    .map(({ does, command: typed }) => `${text(introduction(does))}\n${literal(typed)}`)
    .join('\n.PP\n');
}
