/** Targets for ttun, and whether this run met them. */
import { absolute, relative } from './comparison.ts';
import type { Figure } from './comparison.ts';
import { LINKS } from './options.ts';
import type { Link } from './options.ts';
import type { Sample } from './rounds.ts';
import { formatRatio, table } from './tables.ts';

interface Target {
  readonly title: string;
  readonly links: readonly Link[];
  readonly figure: Figure;
  /** Compared with this contender, or absolute if `null`. */
  readonly reference: 'vxlan' | 'socat' | null;
  readonly better: 'higher' | 'lower';
  readonly required: number;
  /** Desired value; `null` if the required one is enough. */
  readonly aim: number | null;
}

const NOT_MEASURED = 'not measured';

const tcp = { title: 'TCP, one stream', figure: 'tcp', better: 'higher' } as const;
const processor = { title: 'CPU per GB', figure: 'processorPerGigabyte', better: 'lower' } as const;

const TARGETS: readonly Target[] = [
  { ...tcp, links: ['wire'], reference: 'vxlan', required: 0.95, aim: 1.15 },
  { ...tcp, links: ['wire'], reference: 'socat', required: 8.5, aim: null },
  { ...tcp, links: ['veth'], reference: 'vxlan', required: 0.7, aim: 0.9 },
  { ...tcp, links: ['veth'], reference: 'socat', required: 13, aim: null },
  { ...processor, links: ['veth'], reference: 'socat', required: 1 / 15, aim: 1 / 20 },
  { ...processor, links: ['wire'], reference: 'socat', required: 1 / 9, aim: 1 / 12 },
  {
    title: 'UDP 64 B delivered',
    links: LINKS,
    figure: 'udpSmall',
    reference: 'vxlan',
    better: 'higher',
    required: 0.9,
    aim: 1.2,
  },
  {
    title: 'round trip',
    links: LINKS,
    figure: 'roundTrip',
    reference: 'socat',
    better: 'lower',
    required: 1.3,
    aim: 1,
  },
  {
    title: 'memory',
    links: LINKS,
    figure: 'memory',
    reference: null,
    better: 'lower',
    required: 70e6,
    aim: 50e6,
  },
  {
    title: 'first packet',
    links: LINKS,
    figure: 'firstPacketMs',
    reference: null,
    better: 'lower',
    required: 250,
    aim: 120,
  },
];

/** One row for each target and link that was measured, one column for each of our contenders. */
export function targetsTable(samples: readonly Sample[], contenders: readonly string[]): string {
  const links = LINKS.filter((link) => samples.some((sample) => sample.link === link));
  const rows = links.flatMap((link) =>
    TARGETS.filter((target) => target.links.includes(link)).map((target) => ({
      title: [link, target.reference === null ? target.title : `${target.title} × ${target.reference}`],
      limits: [target.required, target.aim].map((value) => (value === null ? '–' : limit(target, value))),
      results: contenders.map((name) => result(samples, link, name, target)),
    })),
  );
  const measured = rows.filter(({ results }) => results.some((cell) => cell !== NOT_MEASURED));
  return table(
    ['link', 'figure', 'required', 'aim', ...contenders],
    measured.map(({ title, limits, results }) => [...title, ...limits, ...results]),
  );
}

function limit(target: Target, value: number): string {
  return `${target.better === 'higher' ? '≥' : '≤'} ${format(target, value)}`;
}

function result(samples: readonly Sample[], link: Link, contender: string, target: Target): string {
  const measured =
    target.reference === null
      ? absolute(samples, link, contender, target.figure)
      : relative(samples, link, contender, target.reference, target.figure);
  if (measured === null) return NOT_MEASURED;
  return `${format(target, measured.median)} ${judge(measured.median, target)}`;
}

function judge(measured: number, { better, required, aim }: Target): 'aim' | 'pass' | 'short' {
  const reaches = (value: number): boolean => (better === 'higher' ? measured >= value : measured <= value);
  if (!reaches(required)) return 'short';
  return aim !== null && reaches(aim) ? 'aim' : 'pass';
}

function format({ figure, reference }: Target, value: number): string {
  if (reference !== null) return formatRatio(value);
  return figure === 'memory' ? `${(value / 1e6).toFixed(1)} MB` : `${value.toFixed(0)} ms`;
}
