/** What the arguments ask for. */
import { parseArgs } from 'node:util';
import { parseSeedArguments } from './seed-arguments.ts';
import type { SeedArguments } from './seed-arguments.ts';
import { UsageError } from './usage-error.ts';

export type Command = { readonly name: 'help' } | { readonly name: 'version' } | TunnelCommand;

export interface TunnelCommand extends SeedArguments {
  readonly name: 'tunnel';
  readonly output: Output;
}

/** What goes to standard output: some packets, all, nothing, or events as JSON. */
export type Output = 'some-packets' | 'all-packets' | 'nothing' | 'json';

/** @throws UsageError */
export function parseCommandLine(args: readonly string[]): Command {
  const { values, positionals } = parseOptions(args);
  if (values.help === true) return { name: 'help' };
  if (values.version === true) return { name: 'version' };
  const output = chooseOutput(values);
  return { name: 'tunnel', ...parseSeedArguments(positionals), output };
}

function chooseOutput(values: { quiet?: boolean; verbose?: boolean; json?: boolean }): Output {
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

// The result's type is that of parseArgs itself, which spells out the options.
function parseOptions(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'V' },
        quiet: { type: 'boolean', short: 'q' },
        verbose: { type: 'boolean', short: 'v' },
        json: { type: 'boolean' },
      },
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // What follows the first sentence explains something else than what is wrong.
    const [problem = ''] = error.message.split('. ', 1);
    throw new UsageError(problem);
  }
}
