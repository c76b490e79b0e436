/** The words of the command line, as the scripts for shells need them. */
import { survey } from '../../control/client.ts';
import type { CommandSpec, Completes, OptionSpec } from '../args.ts';
import { loadSpecs } from '../commands/index.ts';
import { PROGRAM } from '../seed.ts';

/** `ttun` itself, whose name is empty, and its commands. */
export interface Vocabulary {
  readonly program: Words;
  readonly commands: readonly Words[];
}

/** What may follow a command. */
export interface Words {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionWords[];
  readonly operands: readonly OperandWords[];
}

export interface OptionWords {
  /** `-w`, `--write` */
  readonly spellings: readonly string[];
  readonly short: string | null;
  readonly long: string;
  readonly description: string;
  /** `null` for a switch. */
  readonly value: ValueWords | null;
}

export interface OperandWords extends ValueWords {
  /** Any number of words may stand here. */
  readonly repeats: boolean;
}

export interface ValueWords {
  /** What it is called: `file`. */
  readonly label: string;
  /** `null` where a shell cannot know any. */
  readonly completes: Completes | null;
}

export async function loadVocabulary(): Promise<Vocabulary> {
  return { program: wordsOf(PROGRAM), commands: (await loadSpecs()).map(wordsOf) };
}

const HELP: OptionSpec = { short: 'h', description: 'print the help' };

export function wordsOf({ name, summary, options, operands }: CommandSpec): Words {
  return {
    name,
    summary,
    options: Object.entries({ ...options, help: HELP }).map(optionWords),
    operands: operands.map(({ label, completes }) => ({
      label: bare(label),
      completes: completes ?? null,
      repeats: label.includes('…'),
    })),
  };
}

function optionWords([name, option]: readonly [name: string, option: OptionSpec]): OptionWords {
  const { short = null, value, description, completes = null } = option;
  const long = `--${name}`;
  return {
    spellings: short === null ? [long] : [`-${short}`, long],
    short,
    long,
    description: brief(description),
    value: value === undefined ? null : { label: bare(value), completes },
  };
}

/** `<file>`, `[name…]`: without what surrounds it. */
function bare(label: string): string {
  return label.replaceAll(/[<>[\]…]/g, '');
}

/** Shells show descriptions beside the words: what comes before the first break is enough. */
function brief(description: string): string {
  return description.split(/[;:(.]\s/, 1)[0]?.trim() ?? '';
}

/** The names of all running tunnels that this user may ask, one a line. */
export async function runningTunnels(): Promise<string> {
  const { replies } = await survey();
  const names = replies.flatMap(({ reply }) => reply.tunnels.map(({ name }) => name));
  return [...new Set(names)].map((name) => `${name}\n`).join('');
}
