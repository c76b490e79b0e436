/** The arguments of a command, by what its spec says. */
import { parseArgs } from 'node:util';
import { suggest } from '../text.ts';

export interface Arguments<Spec extends CommandSpec> {
  readonly values: Values<Spec>;
  /** As many as the spec asks for: `<name>` one, `[name]` at most one, `[name…]` any number. */
  readonly operands: readonly string[];
}

/** A switch that was given is `true`, an option with a value is its text; what was not given is absent. */
export type Values<Spec extends CommandSpec> = {
  readonly [Name in keyof Spec['options']]?: Spec['options'][Name] extends { readonly value: string }
    ? string
    : boolean;
};

/** @throws UsageError */
export function parseArguments<const Spec extends CommandSpec>(
  spec: Spec,
  args: readonly string[],
): Arguments<Spec> {
  const { values, operands } = parseOptions(spec, args);
  checkOperands(spec, operands);
  return { values, operands };
}

/** The same, for operands that have a check of their own.
 *
 * @throws UsageError
 */
export function parseOptions<const Spec extends CommandSpec>(
  spec: Spec,
  args: readonly string[],
): Arguments<Spec> {
  const options: Readonly<Record<string, OptionSpec>> = spec.options;
  const { tokens, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    // Where it is strict, it words the errors itself.
    strict: false,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(options).map(([name, { short, value }]) => [
        name,
        { type: value === undefined ? 'boolean' : 'string', ...(short && { short }) } as const,
      ]),
    ),
  });
  const values: Record<string, string | true> = {};
  for (const token of tokens) if (token.kind === 'option') values[token.name] = valueOf(token, options);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- valueOf lets pass only what the spec says
  return { values: values as Values<Spec>, operands: positionals };
}

interface OptionToken {
  readonly name: string;
  /** As it was typed: `-w`, `--write`. */
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function valueOf(
  { name, rawName, value, inlineValue }: OptionToken,
  options: Readonly<Record<string, OptionSpec>>,
): string | true {
  const option = Object.hasOwn(options, name) ? options[name] : undefined;
  if (option === undefined) throw unknownOption(rawName, options);
  if (option.value === undefined) {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value`);
    return true;
  }
  if (value === undefined || value === '') {
    throw new UsageError(`${rawName} needs a value: ${rawName} ${option.value}`);
  }
  // A forgotten value, and the next option in its place.
  if (inlineValue === false && value.length > 1 && value.startsWith('-')) {
    throw new UsageError(
      `${rawName} needs a value, and ${value} looks like an option; if it is the value: --${name}=${value}`,
    );
  }
  return value;
}

function unknownOption(rawName: string, options: Readonly<Record<string, OptionSpec>>): UsageError {
  const meant = rawName.startsWith('--')
    ? suggest(rawName.slice(2), [...Object.keys(options), 'help'])
    : null;
  const question = meant === null ? '' : `; did you mean --${meant}?`;
  return new UsageError(`there is no option ${rawName}${question}`);
}

function checkOperands(spec: CommandSpec, operands: readonly string[]): void {
  const form = ['ttun', spec.name, ...spec.usage.slice(0, 1)].join(' ');
  const missing = spec.operands
    .filter(({ label }, index) => label.startsWith('<') && index >= operands.length)
    .map(({ label }) => label);
  if (missing.length > 0) {
    const verb = missing.length === 1 ? 'is' : 'are';
    throw new UsageError(`${missing.join(' ')} ${verb} missing; type: ${form}`);
  }
  const isEndless = spec.operands.some(({ label }) => label.includes('…'));
  const extra = operands[spec.operands.length];
  if (extra !== undefined && !isEndless) {
    throw new UsageError(`'${extra}' is one argument too many; type: ${form}`);
  }
}

// What a command takes, said once: arguments are parsed by it, and its help, the man page and the completions of shells are
// made from it.

export interface CommandSpec {
  /** `up`; empty for the command that runs one tunnel. */
  readonly name: string;
  /** What it does, in one line without a full stop. */
  readonly summary: string;
  /** What follows the program's and the command's name: `[options] [name…]`. */
  readonly usage: readonly string[];
  /** Paragraphs for the help and the man page. */
  readonly description: readonly string[];
  readonly operands: readonly OperandSpec[];
  /** `--help` is understood by each command and not listed here. */
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly examples: readonly Example[];
  /** What the exit code tells, where it is not just 0, 1 and 2 as everywhere. */
  readonly exitCodes?: Readonly<Record<number, string>>;
}

export interface OperandSpec {
  /** `<name>`, `[name…]` */
  readonly label: string;
  readonly description: string;
  readonly completes?: Completes;
}

/** An option by its long name. */
export interface OptionSpec {
  readonly short?: string;
  /** What its value is called, as `<file>`; absent for a switch. */
  readonly value?: string;
  readonly description: string;
  readonly completes?: Completes;
}

/** What a shell offers for a word: files, TUN devices, names of running tunnels, commands, or one of these words. */
export type Completes = 'file' | 'device' | 'tunnel' | 'command' | readonly string[];

export interface Example {
  readonly does: string;
  readonly command: string;
}

/** The arguments make no sense. The message is one line that says what is wrong and what would be right. */
export class UsageError extends Error {}
