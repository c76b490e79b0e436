/** The report of a run. */
import type { Contender } from './contenders/contender.ts';
import type { StartUp } from './figures/start-up.ts';
import type { Machine } from './machine.ts';
import { LINKS } from './options.ts';
import type { Link, Options } from './options.ts';
import type { Sample } from './rounds.ts';
import { figuresTable, ratiosTable, startUpTable } from './tables.ts';
import { targetsTable } from './targets.ts';

const LINK_TITLES: Readonly<Record<Link, string>> = {
  veth: 'veth as it is (super-packets cross the link whole, as between containers)',
  wire: 'wire-like (packets of the link’s MTU, as network cards send them)',
};
const REFERENCES = ['vxlan', 'socat'];
const OURS = ['ttun-1472', 'ttun-1500'];

export function report(
  samples: readonly Sample[],
  contenders: readonly Contender[],
  machine: Machine,
  { rounds, seconds, congestion, checkouts }: Options,
  startUp: readonly StartUp[],
): string {
  const names = new Set(contenders.map(({ name }) => name));
  const links = LINKS.filter((link) => samples.some((sample) => sample.link === link));
  const sections = links.flatMap((link) => [
    `## ${LINK_TITLES[link]}`,
    figuresTable(samples, link),
    ...REFERENCES.filter((name) => names.has(name)).map((name) => ratiosTable(samples, link, name)),
    ...OURS.filter((name) => names.has(name)).flatMap((name) => {
      const rivals = checkouts.map(({ label }) => name.replace('ttun', label));
      const measured = rivals.filter((rival) => names.has(rival));
      return measured.length === 0 ? [] : [ratiosTable(samples, link, name, measured)];
    }),
  ]);
  const ours = OURS.filter((name) => names.has(name));
  return [
    `${machine.cores} × ${machine.processor}, Linux ${machine.kernel}, Node ${machine.node}, TCP ${congestion ?? machine.congestionControl}, commit ${machine.commit ?? 'unknown'}`,
    `${rounds} rounds, TCP runs of ${seconds} s; medians (least–most); ratios are taken within each round`,
    contenders.map(({ name, description }) => `- ${name}: ${description}`).join('\n'),
    ...sections,
    '## Start to end of a command line',
    startUpTable(startUp),
    ...(ours.length === 0 ? [] : ['## Speed to reach', targetsTable(samples, ours)]),
  ].join('\n\n');
}
