/** What the arguments ask for, where they name no command. */
import { parseOptions } from './parse.ts';
import type { Values } from './parse.ts';
import { PROGRAM } from './program-spec.ts';
import { parseSeedArguments } from './seed-arguments.ts';
import type { SeedArguments } from './seed-arguments.ts';
import { refuseMistypedCommand } from './unknown-command.ts';
import { UsageError } from './usage-error.ts';

export type CommandLine = VersionCommand | TunnelCommand;

export interface VersionCommand {
  readonly name: 'version';
  readonly form: 'text' | 'json';
}

export interface TunnelCommand extends SeedArguments {
  readonly name: 'tunnel';
  readonly output: Output;
  /** Where the metrics and the page are served; `null` for nowhere. */
  readonly http: string | null;
}

/** What goes to standard output: some packets, all, nothing, or events as JSON. */
export type Output = 'some-packets' | 'all-packets' | 'nothing' | 'json';

/** @throws UsageError */
export function parseCommandLine(args: readonly string[]): CommandLine {
  refuseMistypedCommand(args);
  const { values, operands } = parseOptions(PROGRAM, args);
  if (values.version === true) return { name: 'version', form: values.json === true ? 'json' : 'text' };
  const output = chooseOutput(values);
  return { name: 'tunnel', ...parseSeedArguments(operands), output, http: values.http ?? null };
}

function chooseOutput(values: Values<typeof PROGRAM>): Output {
  const [first, second] = OUTPUT_OPTIONS.filter(([option]) => values[option] === true);
  if (second !== undefined) {
    throw new UsageError(`--${first?.[0]} and --${second[0]} exclude each other; give one of them`);
  }
  return first?.[1] ?? 'some-packets';
}

const OUTPUT_OPTIONS = [
  ['quiet', 'nothing'],
  ['verbose', 'all-packets'],
  ['json', 'json'],
] as const;
