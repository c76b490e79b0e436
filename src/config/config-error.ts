/** What is wrong with a configuration, for people and for programs. */
import { TtunError } from '../errors.ts';

/** One thing that is wrong, or that deserves a second look. */
export interface ConfigProblem {
  /** The file as it was named; `null` where the text did not come from one. */
  readonly file: string | null;
  /** From 1; `null` where it concerns the whole file, or the line is not known. */
  readonly line: number | null;
  /** From 1, in UTF-16 units; `null` where only the line is known. */
  readonly column: number | null;
  /** The key it concerns, as `tunnels.office.remote`; empty where it is none. */
  readonly path: string;
  /** What is wrong. */
  readonly message: string;
  /** What would be right. */
  readonly hint: string | null;
}

/**
 * A configuration that cannot be used: `ERR_TTUN_INVALID_CONFIG`. `problems` has everything that is wrong with it, in the order
 * of the file; `message` says the same in lines.
 */
export class TtunConfigError extends TtunError {
  /** All that is wrong, in the order of the file. */
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map((problem) => formatProblem(problem)).join('\n');
    const [first] = problems;
    const heading = `${problems.length} problems in ${first?.file ?? 'the configuration'}:\n`;
    super('ERR_TTUN_INVALID_CONFIG', problems.length > 1 ? `${heading}${lines}` : lines);
    this.problems = problems;
  }
}

/**
 * `ttun.toml:4:10: tunnels.office.remote: what is wrong`, which editors and CI understand, and in a further line what would
 * be right.
 *
 * @param kind stands before the key: `warning`
 */
export function formatProblem({ file, line, column, path, message, hint }: ConfigProblem, kind = ''): string {
  const place = [file, line, column].filter((part) => part !== null).join(':');
  const head = [place, kind, path, message].filter((part) => part !== '').join(': ');
  return hint === null ? head : `${head}\n    ${hint}`;
}
