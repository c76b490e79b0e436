/**
 * What a command takes, said once: arguments are parsed by it, and its help, the man page and the completions of shells are
 * made from it.
 */

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
