/** The arguments of a command, by what its spec says. */
import { parseArgs } from 'node:util';
import type { CommandSpec } from './spec.ts';
import { UsageError } from './usage-error.ts';

export interface Arguments<Spec extends CommandSpec> {
  readonly values: Values<Spec>;
  readonly operands: readonly string[];
}

/** A switch that was given is `true`, an option with a value is its text; what was not given is absent. */
export type Values<Spec extends CommandSpec> = {
  readonly [Name in keyof Spec['options'] | 'help']?: Spec['options'][Name] extends { readonly value: string }
    ? string
    : boolean;
};

/** @throws UsageError */
export function parseArguments<const Spec extends CommandSpec>(
  spec: Spec,
  args: readonly string[],
): Arguments<Spec> {
  const options = Object.fromEntries(
    Object.entries(spec.options).map(([name, { short, value }]) => [
      name,
      {
        type: value === undefined ? 'boolean' : 'string',
        ...(short === undefined ? {} : { short }),
      } as const,
    ]),
  );
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...options, help: { type: 'boolean', short: 'h' } },
    });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- parseArgs was told just these options
    return { values: values as Values<Spec>, operands: positionals };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // What follows the first sentence explains something else than what is wrong.
    const [problem = ''] = error.message.split('. ', 1);
    throw new UsageError(problem);
  }
}
