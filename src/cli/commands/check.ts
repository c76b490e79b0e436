import { formatProblem, loadConfig, TtunConfigError } from '../../config/index.ts';
import type { ConfigProblem } from '../../config/index.ts';
import { findConfigFile } from '../../config/load.ts';
import { parseArguments } from '../args.ts';
import { styleFor } from '../terminal.ts';
import { SPEC } from './check/spec.ts';

export async function run(args: readonly string[]): Promise<number> {
  const { values, operands } = parseArguments(SPEC, args);
  const findings = await check(operands[0]);
  const lines = values.json === true ? [JSON.stringify(findings, null, 2)] : describe(findings);
  process.stdout.write(`${lines.join('\n')}\n`);
  return findings.problems.length === 0 ? 0 : 1;
}

interface Findings {
  /** `null` when none was named and none is there. */
  readonly file: string | null;
  /** Their names; `null` when the file is wrong. */
  readonly tunnels: readonly string[] | null;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
}

async function check(named: string | undefined): Promise<Findings> {
  let file: string | null = null;
  try {
    file = findConfigFile(named);
    const { tunnels, warnings } = await loadConfig(file);
    return { file, tunnels: [...tunnels.keys()], problems: [], warnings };
  } catch (error) {
    if (!(error instanceof TtunConfigError)) throw error;
    return { file, tunnels: null, problems: error.problems, warnings: [] };
  }
}

/** Each problem in the form that editors and CI know, and in the last line how many there are. */
function describe({ file, tunnels, problems, warnings }: Findings): string[] {
  const style = styleFor(process.stdout);
  const verdict =
    problems.length === 0
      ? style('green', `${countOf(tunnels?.length ?? 0, 'tunnel')}, no problems`)
      : style('red', countOf(problems.length, 'problem'));
  const also = warnings.length === 0 ? '' : `, ${style('yellow', countOf(warnings.length, 'warning'))}`;
  return [
    ...problems.map((problem) => formatProblem(problem)),
    ...warnings.map((warning) => formatProblem(warning, 'warning')),
    ...(file === null ? [] : [`${file}: ${verdict}${also}`]),
  ];
}

function countOf(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}
