/** docs/command-line.md */
import { exitCodesOf } from '../src/cli/help.ts';
import type { CommandSpec, OptionSpec } from '../src/cli/args.ts';
import { ENVIRONMENT, FILES, SIGNALS } from './facts.ts';
import type { Fact } from './facts.ts';

export function commandLinePage(program: CommandSpec, commands: readonly CommandSpec[]): string {
  const blocks = [
    '<!-- Made by: npm run manual -->',
    '# Command line',
    'All that can be typed. `ttun --help`, `ttun <command> --help` and `man ttun` tell the same.',
    table(['command', ''], [['`ttun <tun> …`', program.summary], ...commands.map(linked)]),
    '## One tunnel',
    ...about(program),
    ...commands.flatMap((spec) => [`## ttun ${spec.name}`, ...about(spec)]),
    '## Exit codes',
    'Of every command, unless its own section says it more precisely:',
    table(['code', ''], exitCodes({ ...program, exitCodes: {} })),
    '## Output',
    'Data go to standard output, all talk to standard error, so that the one can be read by programs while the other is read by people. Colour is for terminals.',
    '## Signals',
    table(['signal', ''], SIGNALS.map(coded)),
    '## Environment',
    table(['variable', ''], ENVIRONMENT.map(coded)),
    '## Files',
    table(['path', ''], FILES.map(coded)),
  ];
  return `${blocks.join('\n\n')}\n`;
}

function linked({ name, summary }: CommandSpec): Fact {
  return [`[\`ttun ${name}\`](#ttun-${name})`, summary];
}

function about(spec: CommandSpec): string[] {
  const operands = spec.operands.map(({ label, description }) => [code(label), description] as const);
  const options = Object.entries(spec.options).map(
    ([name, option]) => [optionLabel(name, option), option.description] as const,
  );
  const examples = spec.examples.map(({ does, command }) => `# ${does}\n${command}`).join('\n\n');
  const ownExitCodes = spec.exitCodes === undefined ? [] : [table(['exit code', ''], exitCodes(spec))];
  return [
    fenced(spec.usage.map((form) => ['ttun', spec.name, form].filter(Boolean).join(' ')).join('\n')),
    ...spec.description.map(plain),
    ...(operands.length === 0 ? [] : [table(['argument', ''], operands)]),
    ...(options.length === 0 ? [] : [table(['option', ''], options)]),
    ...ownExitCodes,
    ...(examples === '' ? [] : [fenced(examples, 'sh')]),
  ];
}

function optionLabel(name: string, { short, value }: OptionSpec): string {
  const long = code(value === undefined ? `--${name}` : `--${name} ${value}`);
  return short === undefined ? long : `${code(`-${short}`)}, ${long}`;
}

function exitCodes(spec: CommandSpec): Fact[] {
  return exitCodesOf(spec).map(([number, meaning]) => [String(number), meaning]);
}

function coded([name, meaning]: Fact): Fact {
  return [name.split(', ').map(code).join(', '), meaning];
}

function table(head: Fact, rows: readonly Fact[]): string {
  const lines = rows.map(
    ([name, meaning]) => `| ${name} | ${plain(meaning).replaceAll('|', String.raw`\|`)} |`,
  );
  return [`| ${head[0]} | ${head[1]} |`, '|---|---|', ...lines].join('\n');
}

function fenced(lines: string, language = ''): string {
  return `\`\`\`${language}\n${lines}\n\`\`\``;
}

function code(typed: string): string {
  return `\`${typed}\``;
}

/** Of which nothing is taken for markup. */
function plain(prose: string): string {
  return prose.replaceAll(/[<*_`]/g, String.raw`\$&`);
}
