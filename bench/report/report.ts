/** The report of a run, in Markdown. */
import type { Contender } from '../contenders/contender.ts';
import { JUDGED } from '../contenders/ttun.ts';
import type { StartUp } from '../figures/start-up.ts';
import { LINK_NAMES, LINKS } from '../links.ts';
import type { Link } from '../links.ts';
import type { Machine } from '../machine.ts';
import type { Options } from '../options.ts';
import type { Sample } from '../rounds.ts';
import { summaryTable } from './summary.ts';
import { figuresTable, namesOn, ratiosTable, startUpTable } from './tables.ts';
import { targetsTable } from './targets.ts';

export interface Results {
  readonly machine: Machine;
  readonly options: Options;
  /** Names of contenders that were omitted because their program is not installed. */
  readonly absent: readonly string[];
  readonly startUp: readonly StartUp[];
  readonly samples: readonly Sample[];
}

/** Headings begin at the third level, so that it can be pasted below one of docs/performance.md. */
export function report(
  contenders: readonly Contender[],
  { machine, options, absent, startUp, samples }: Results,
): string {
  const names = contenders.map(({ name }) => name);
  const judged = JUDGED.filter((name) => names.includes(name));
  const summary = summaryTable(samples, names);
  return [
    describeRun(machine, options),
    [
      ...contenders.map(({ name, description }) => `- \`${name}\`: ${description}`),
      ...absent.map((name) => `- \`${name}\`: not installed, so omitted`),
    ].join('\n'),
    ...(summary === null ? [] : ['### In short', summary]),
    ...LINK_NAMES.flatMap((link) => describeLink(link, samples, options)),
    '### Start to end of a command line',
    startUpTable(startUp),
    ...(judged.length === 0 ? [] : ['### Against the targets', targetsTable(samples, judged)]),
    ...describeFailures(samples),
  ].join('\n\n');
}

function describeRun(machine: Machine, { rounds, seconds, congestion }: Options): string {
  const { cores, processor, kernel, node, commit, load, date } = machine;
  return [
    `${date}, commit ${commit ?? 'unknown'}: ${cores} × ${processor}, Linux ${kernel}, Node ${node}, TCP ${congestion},`,
    `load average ${load.toFixed(1)} at the start. ${rounds === 1 ? 'One round' : `${rounds} rounds`}, TCP runs of ${seconds} s;`,
    'medians (minimum–maximum); ratios are taken within each round.',
  ].join('\n');
}

function describeLink(link: Link, samples: readonly Sample[], { checkouts }: Options): string[] {
  const names = namesOn(samples, link);
  if (names.length === 0) return [];
  const references = LINKS[link].bottleneck === null ? ['vxlan', 'socat'] : ['bare', 'vxlan'];
  return [
    `### ${link}: ${LINKS[link].title}`,
    figuresTable(samples, link),
    ...references
      .filter((name) => names.includes(name) && names.length > 1)
      .map((name) => ratiosTable(samples, link, name)),
    ...JUDGED.filter((name) => names.includes(name)).flatMap((name) => {
      const others = checkouts
        .map(({ label }) => name.replace('ttun', label))
        .filter((other) => names.includes(other));
      return others.length === 0 ? [] : [ratiosTable(samples, link, name, others)];
    }),
  ];
}

function describeFailures(samples: readonly Sample[]): string[] {
  const failures = samples.flatMap(({ link, round, contender, error }) =>
    error === null ? [] : [`- \`${contender}\` on ${link}, round ${round}: ${error}`],
  );
  return failures.length === 0 ? [] : ['### Failed, and left out of their rounds', failures.join('\n')];
}
