/** The results as tables in Markdown, aligned so that they read well in a terminal too. */
import type { StartUp } from '../figures/start-up.ts';
import { LINKS } from '../links.ts';
import type { Link } from '../links.ts';
import type { Sample } from '../rounds.ts';
import type { Summary } from '../statistics.ts';
import type { Figure } from '../turn.ts';
import { absolute, relative } from './comparison.ts';

interface Column {
  readonly title: string;
  /** Follows the title where the figure is absolute. */
  readonly unit: string;
  readonly figure: Figure;
  /** The divisor that converts the figure to the unit. */
  readonly divisor: number;
  readonly digits: number;
  /** Whether a ratio to another contender is meaningful: not for what may be zero. */
  readonly comparable: boolean;
}

const comparable = { comparable: true } as const;
const gigabits = { ...comparable, unit: 'Gbit/s', divisor: 1e9, digits: 2 } as const;
const thousands = { ...comparable, unit: 'k/s', divisor: 1e3, digits: 0 } as const;
const microseconds = { ...comparable, unit: 'µs', divisor: 1, digits: 0 } as const;
const milliseconds = { ...comparable, unit: 'ms', divisor: 1, digits: 1 } as const;
const percent = { comparable: false, unit: '%', divisor: 0.01, digits: 1 } as const;

const FAST: readonly Column[] = [
  { title: 'TCP →', figure: 'tcpThere', ...gigabits },
  { title: 'TCP ←', figure: 'tcpBack', ...gigabits },
  { title: '4 × TCP', figure: 'tcpFourStreams', ...gigabits },
  { title: 'CPU', figure: 'processorPerGigabyte', ...comparable, unit: 's/GB', divisor: 1, digits: 2 },
  { title: 'UDP 64 B', figure: 'udpSmall', ...thousands },
  { title: 'UDP 64 B, no loss', figure: 'udpSmallWithoutLoss', ...thousands },
  { title: 'UDP 1400 B loss', figure: 'udpLoss', ...percent },
  { title: 'ping', figure: 'roundTrip', ...microseconds },
  { title: 'ping p99', figure: 'roundTripTail', ...microseconds },
  { title: 'requests', figure: 'requests', ...thousands, digits: 1 },
  { title: 'CPU per request', figure: 'processorPerRequest', ...microseconds },
  { title: 'RSS', figure: 'memory', ...comparable, unit: 'MB', divisor: 1e6, digits: 1 },
  { title: 'first packet', figure: 'firstPacketMs', ...milliseconds, digits: 0 },
  { title: 'calls per packet', figure: 'systemCalls', ...comparable, unit: '', divisor: 1, digits: 1 },
];

const SLOW: readonly Column[] = [
  { title: '1 TCP: ping', figure: 'pingBeside1', ...milliseconds },
  { title: 'worst', figure: 'pingBeside1Worst', ...milliseconds },
  { title: 'lost', figure: 'pingBeside1Lost', ...percent },
  { title: 'goodput', figure: 'goodput1', ...comparable, unit: 'Mbit/s', divisor: 1e6, digits: 1 },
  { title: 'resent', figure: 'retransmits1', comparable: false, unit: '', divisor: 1, digits: 0 },
  { title: '8 TCP: ping', figure: 'pingBeside8', ...milliseconds },
  { title: 'worst', figure: 'pingBeside8Worst', ...milliseconds },
  { title: 'lost', figure: 'pingBeside8Lost', ...percent },
  { title: 'goodput', figure: 'goodput8', ...comparable, unit: 'Mbit/s', divisor: 1e6, digits: 1 },
  { title: 'resent', figure: 'retransmits8', comparable: false, unit: '', divisor: 1, digits: 0 },
];

/** Medians, and the least and the most where there was more than one round. */
export function figuresTable(samples: readonly Sample[], link: Link): string {
  const columns = columnsOf(link);
  const rows = namesOn(samples, link).map((name) => [
    name,
    ...columns.map(({ figure, divisor, digits }) =>
      spread(absolute(samples, link, name, figure), (value) => (value / divisor).toFixed(digits)),
    ),
  ]);
  return table(['', ...columns.map(({ title, unit }) => `${title} ${unit}`.trim())], rows);
}

/** Multiples of the reference's figures. */
export function ratiosTable(
  samples: readonly Sample[],
  link: Link,
  reference: string,
  names: readonly string[] = namesOn(samples, link),
): string {
  const columns = columnsOf(link).filter((column) => column.comparable);
  const rows = names
    .filter((name) => name !== reference)
    .map((name) => [
      name,
      ...columns.map(({ figure }) => spread(relative(samples, link, name, reference, figure), formatRatio)),
    ]);
  return table([`× ${reference}`, ...columns.map(({ title }) => title)], rows);
}

export function startUpTable(figures: readonly StartUp[]): string {
  const rows = figures.map(({ name, time, ratio }) => [
    name,
    spread(time, (ms) => ms.toFixed(0)),
    spread(ratio, formatRatio),
  ]);
  return table(['', 'ms', '× node -e 0'], rows);
}

/** Three significant digits; small ones as a fraction. */
export function formatRatio(ratio: number): string {
  return ratio < 0.2 ? `1/${(1 / ratio).toFixed(1)}` : ratio.toPrecision(3);
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, index) =>
    Math.max(3, title.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, index) => (cells[index] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

/** Those that had a turn on this link, in the order of the first round. */
export function namesOn(samples: readonly Sample[], link: Link): string[] {
  const there = samples.filter((sample) => sample.link === link);
  return [...new Set(there.map(({ contender }) => contender))];
}

function columnsOf(link: Link): readonly Column[] {
  return LINKS[link].bottleneck === null ? FAST : SLOW;
}

function spread(summary: Summary | null, format: (value: number) => string): string {
  if (summary === null) return '–';
  const [middle, least, most] = [summary.median, summary.min, summary.max].map(format);
  return summary.min === summary.max ? `${middle}` : `${middle} (${least}–${most})`;
}
