import { findConfigFile, loadResolved } from '../config/load.ts';
import { formatProblem, TtunConfigError } from '../config/parse.ts';
import type { ConfigProblem } from '../config/parse.ts';
import { styleFor } from '../terminal.ts';
import { parseArguments } from './args.ts';
import type { CommandSpec } from './args.ts';

export const SPEC = {
  name: 'check',
  usage: ['[--json] [file]'],
  description: [
    'Reads a configuration as ttun up would, and reports all mistakes at once: file, line, key and problem, and below it how to fix the problem. Only the file is examined, so this works on any host; ttun doctor examines the devices, addresses and routes of this one.',
    'Warnings point out settings that are valid but probably not intended; they do not change the exit code.',
  ],
  operands: [
    {
      label: '[file]',
      description: 'a .toml or .json file; by default, ttun.toml or ttun.json in the current directory',
      completes: 'file',
    },
  ],
  options: {
    json: {
      description:
        'print an object with file, tunnels (names), problems and warnings; each problem has file, line, column, path, message and hint',
    },
  },
  examples: [
    { does: 'Check ttun.toml in the current directory', command: 'ttun check' },
    {
      does: 'Check before a reload',
      command: 'ttun check /etc/ttun/office.toml && systemctl reload ttun@office',
    },
    { does: 'Count the mistakes', command: "ttun check --json | jq '.problems | length'" },
  ],
  exitCodes: { 1: 'the file has mistakes, or cannot be read' },
} as const satisfies CommandSpec;

export async function run(args: readonly string[]): Promise<number> {
  const { values, operands } = parseArguments(SPEC, args);
  const findings = await check(operands[0]);
  const lines = values.json === true ? [JSON.stringify(findings, null, 2)] : describe(findings);
  process.stdout.write(`${lines.join('\n')}\n`);
  return findings.problems.length === 0 ? 0 : 1;
}

interface Findings {
  /** `null` when no file was named and none was found. */
  readonly file: string | null;
  /** Their names; `null` when the file has problems. */
  readonly tunnels: readonly string[] | null;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
}

async function check(named: string | undefined): Promise<Findings> {
  let file: string | null = null;
  try {
    file = findConfigFile(named);
    const { resolved, warnings } = await loadResolved(file);
    return { file, tunnels: [...resolved.tunnels.keys()], problems: [], warnings };
  } catch (error) {
    if (!(error instanceof TtunConfigError)) throw error;
    return { file, tunnels: null, problems: error.problems, warnings: [] };
  }
}

/** Each problem in the format that editors and CI understand; the last line has the counts. */
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
