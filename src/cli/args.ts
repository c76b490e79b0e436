/** Command specs, and the arguments of a command parsed according to its spec. */
import { parseArgs } from 'node:util';
import { didYouMean, suggest } from '../text.ts';

/** A command. Its module exports these two. */
export interface Command {
  readonly SPEC: CommandSpec;
  /**
   * Runs the command; `--help` is handled before.
   *
   * @param args what follows the command's name
   * @returns the exit code
   * @throws UsageError for invalid arguments
   */
  run(args: readonly string[], commands: Commands): Promise<number>;
}

/** The commands by name, in the order in which the help lists them. */
export type Commands = ReadonlyMap<
  string,
  {
    /** A one-line summary without a full stop. */
    readonly summary: string;
    readonly load: () => Promise<Command>;
  }
>;

/** The arguments of a command. Parsing, help, manual and completion all use it. */
export interface CommandSpec {
  /** `up`; empty for the command that runs one tunnel. */
  readonly name: string;
  /** The arguments after the names of program and command: `[options] [name…]`. */
  readonly usage: readonly string[];
  /** Paragraphs for the help and the man page. */
  readonly description: readonly string[];
  readonly operands: readonly OperandSpec[];
  /** Every command also has `--help`, which is not listed here. */
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly examples: readonly Example[];
  /** Exit codes that mean more than 0, 1 and 2 do everywhere. */
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
  /** Placeholder for its value, such as `<file>`; absent for a switch. */
  readonly value?: string;
  readonly description: string;
  readonly completes?: Completes;
}

/** Completions offered by shells: files, TUN devices, names of running tunnels, commands, or one of these words. */
export type Completes = 'file' | 'device' | 'tunnel' | 'command' | readonly string[];

export interface Example {
  readonly does: string;
  readonly command: string;
}

/** Invalid arguments. The message is one line with the problem and how to fix it. */
export class UsageError extends Error {}

export interface Arguments<Spec extends CommandSpec> {
  readonly values: Values<Spec>;
  /** As many as in the spec: `<name>` one, `[name]` at most one, `[name…]` any number. */
  readonly operands: readonly string[];
}

/** `true` for a switch, the text for an option with a value; options that were not given are absent. */
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

/**
 * Parses the options but leaves the operands unchecked.
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
    // Strict parsing has error messages of its own.
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
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- valueOf accepts only what the spec allows
  return { values: values as Values<Spec>, operands: positionals };
}

interface OptionToken {
  readonly name: string;
  /** As typed: `-w`, `--write`. */
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
  // The value was forgotten, and the next option took its place.
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
  return new UsageError(`there is no option ${rawName}${meant === null ? '' : `; did you mean --${meant}?`}`);
}

function checkOperands(spec: CommandSpec, operands: readonly string[]): void {
  const form = ['ttun', spec.name, ...spec.usage.slice(0, 1)].join(' ');
  const missing = spec.operands
    .filter(({ label }, index) => label.startsWith('<') && index >= operands.length)
    .map(({ label }) => label);
  if (missing.length > 0) throw missingArguments(missing, form);
  const isEndless = spec.operands.some(({ label }) => label.includes('…'));
  const extra = operands[spec.operands.length];
  if (extra !== undefined && !isEndless) throw extraArgument(extra, form);
}

/** @param form what to type instead */
export function missingArguments(missing: readonly string[], form: string): UsageError {
  const verb = missing.length === 1 ? 'is' : 'are';
  return new UsageError(`${missing.join(' ')} ${verb} missing; usage: ${form}`);
}

export function extraArgument(extra: string, form: string): UsageError {
  return new UsageError(`unexpected argument '${extra}'; usage: ${form}`);
}

export function noSuchCommand(name: string, commands: Commands): UsageError {
  return new UsageError(`there is no command '${name}'${didYouMean(name, commands.keys())}`);
}
