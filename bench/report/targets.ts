/** Targets for ttun, and whether this run met them. */
import { FAST_LINKS, LINK_NAMES } from '../links.ts';
import type { Link } from '../links.ts';
import type { Sample } from '../rounds.ts';
import type { Figure } from '../turn.ts';
import { absolute, relative } from './comparison.ts';
import { formatRatio, table } from './tables.ts';

interface Target {
  readonly title: string;
  readonly links: readonly Link[];
  readonly figure: Figure;
  /** Compared with this contender (`before`: the same variant of the checkout with that label), or absolute if `null`. */
  readonly reference: 'bare' | 'vxlan' | 'socat' | 'before' | null;
  readonly better: 'higher' | 'lower';
  /** The only variant that the target is for. Default: all. */
  readonly only?: string;
  readonly required: number;
  /** Desired value; `null` if the required one is enough. */
  readonly aim: number | null;
}

const NOT_MEASURED = 'not measured';

const tcp = { title: 'TCP, one stream', figure: 'tcp', better: 'higher' } as const;
const beside1 = {
  title: 'ping beside 1 TCP stream',
  figure: 'pingBeside1',
  reference: 'bare',
  better: 'lower',
} as const;
const beside8 = {
  title: 'ping beside 8 TCP streams',
  figure: 'pingBeside8',
  reference: 'bare',
  better: 'lower',
} as const;
const goodput = {
  links: ['slow-20', 'slow-100'],
  reference: 'vxlan',
  better: 'higher',
  required: 0.98,
  aim: 1,
} as const;

const TARGETS: readonly Target[] = [
  { ...beside1, links: ['slow-20'], required: 1 / 4, aim: 1 / 8 },
  { ...beside8, links: ['slow-20'], required: 1 / 20, aim: 1 / 80 },
  { ...beside1, links: ['slow-100'], required: 1 / 2, aim: 1 / 5 },
  { ...beside8, links: ['far-20'], only: 'ttun-rate', required: 1 / 10, aim: 1 / 40 },
  { ...goodput, title: 'goodput of 1 TCP stream', figure: 'goodput1' },
  { ...goodput, title: 'goodput of 8 TCP streams', figure: 'goodput8' },
  // What was reached with CUBIC on two cores, where a kernel tunnel never copies the payload; required is 0.98 of it.
  { ...tcp, links: ['veth'], reference: 'vxlan', required: 0.245, aim: 0.25 },
  { ...tcp, links: ['wire'], reference: 'vxlan', required: 0.706, aim: 0.72 },
  { ...tcp, links: ['wire-checksum'], reference: 'vxlan', required: 0.598, aim: 0.61 },
  { ...tcp, links: FAST_LINKS, reference: 'before', required: 0.98, aim: 1 },
  {
    title: 'CPU per GB',
    links: FAST_LINKS,
    figure: 'processorPerGigabyte',
    reference: 'before',
    better: 'lower',
    required: 1.02,
    aim: 1,
  },
  {
    title: 'UDP 64 B without loss',
    links: FAST_LINKS,
    figure: 'udpSmallWithoutLoss',
    reference: 'vxlan',
    better: 'higher',
    required: 1.2,
    aim: 1.4,
  },
  {
    title: 'UDP 64 B at full speed, delivered',
    links: FAST_LINKS,
    figure: 'udpSmall',
    reference: 'vxlan',
    better: 'higher',
    required: 0.6,
    aim: 0.9,
  },
  {
    title: 'ping, idle',
    links: FAST_LINKS,
    figure: 'roundTrip',
    reference: 'socat',
    better: 'lower',
    required: 1,
    aim: 0.5,
  },
  {
    title: 'memory',
    links: FAST_LINKS,
    figure: 'memory',
    reference: null,
    better: 'lower',
    required: 60e6,
    aim: 50e6,
  },
  {
    title: 'first packet',
    links: FAST_LINKS,
    figure: 'firstPacketMs',
    reference: null,
    better: 'lower',
    required: 130,
    aim: 100,
  },
  {
    // Two, and what else the tunnel carries and does meanwhile.
    title: 'system calls per packet',
    links: FAST_LINKS,
    figure: 'systemCalls',
    reference: null,
    better: 'lower',
    required: 2.2,
    aim: null,
  },
];

/** One row for each target and link that was measured, one column for each of our contenders. */
export function targetsTable(samples: readonly Sample[], contenders: readonly string[]): string {
  const rows = LINK_NAMES.flatMap((link) =>
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
  const { reference, figure, only = contender } = target;
  if (only !== contender) return NOT_MEASURED;
  const measured =
    reference === null
      ? absolute(samples, link, contender, figure)
      : relative(samples, link, contender, nameOf(reference, contender), figure);
  if (measured === null) return NOT_MEASURED;
  return `${format(target, measured.median)} ${judge(measured.median, target)}`;
}

function nameOf(reference: string, contender: string): string {
  return reference === 'before' ? contender.replace('ttun', reference) : reference;
}

function judge(measured: number, { better, required, aim }: Target): 'aim' | 'pass' | 'short' {
  const reaches = (value: number): boolean => (better === 'higher' ? measured >= value : measured <= value);
  if (!reaches(required)) return 'short';
  return aim !== null && reaches(aim) ? 'aim' : 'pass';
}

function format({ figure, reference }: Target, value: number): string {
  if (reference !== null) return formatRatio(value);
  if (figure === 'systemCalls') return value.toFixed(1);
  return figure === 'memory' ? `${(value / 1e6).toFixed(1)} MB` : `${value.toFixed(0)} ms`;
}
