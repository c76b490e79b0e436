/** The results as tables in Markdown, aligned so that they read well in a terminal too. */
import { absolute, relative } from './comparison.ts';
import type { Figure } from './comparison.ts';
import type { StartUp } from './figures/start-up.ts';
import type { Link } from './options.ts';
import type { Sample } from './rounds.ts';
import type { Summary } from './statistics.ts';

interface Column {
  readonly title: string;
  readonly figure: Figure;
  /** The divisor that converts the figure to the unit of the title. */
  readonly unit: number;
  readonly digits: number;
  /** Whether a ratio to another contender is meaningful. */
  readonly comparable: boolean;
}

const COLUMNS: readonly Column[] = [
  { title: 'TCP → Gbit/s', figure: 'tcpThere', unit: 1e9, digits: 2, comparable: true },
  { title: 'TCP ← Gbit/s', figure: 'tcpBack', unit: 1e9, digits: 2, comparable: true },
  { title: '4 × TCP Gbit/s', figure: 'tcpFourStreams', unit: 1e9, digits: 2, comparable: true },
  { title: 'CPU s/GB', figure: 'processorPerGigabyte', unit: 1, digits: 2, comparable: true },
  { title: 'UDP 64 B k/s', figure: 'udpSmall', unit: 1e3, digits: 0, comparable: true },
  // Losses may be zero, so there is no ratio.
  { title: 'UDP 1400 B loss %', figure: 'udpLoss', unit: 0.01, digits: 1, comparable: false },
  { title: 'ping µs', figure: 'roundTrip', unit: 1, digits: 0, comparable: true },
  { title: 'ping p99 µs', figure: 'roundTripTail', unit: 1, digits: 0, comparable: true },
  { title: 'RSS MB', figure: 'memory', unit: 1e6, digits: 1, comparable: true },
  { title: 'first packet ms', figure: 'firstPacketMs', unit: 1, digits: 0, comparable: true },
];

/** Medians, and the least and the most where there was more than one round. */
export function figuresTable(samples: readonly Sample[], link: Link): string {
  const rows = namesIn(samples).map((name) => [
    name,
    ...COLUMNS.map(({ figure, unit, digits }) =>
      spread(absolute(samples, link, name, figure), (value) => (value / unit).toFixed(digits)),
    ),
  ]);
  return table(['', ...COLUMNS.map(({ title }) => title)], rows);
}

/** Multiples of the reference's figures. */
export function ratiosTable(
  samples: readonly Sample[],
  link: Link,
  reference: string,
  names: readonly string[] = namesIn(samples),
): string {
  const columns = COLUMNS.filter(({ comparable }) => comparable);
  const rows = names
    .filter((name) => name !== reference)
    .map((name) => [
      name,
      ...columns.map(({ figure }) => spread(relative(samples, link, name, reference, figure), formatRatio)),
    ]);
  const titles = columns.map(({ title }) => title.replace(/ (\S*\/\S+|µs|MB|ms)$/, ''));
  return table([`× ${reference}`, ...titles], rows);
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

function namesIn(samples: readonly Sample[]): string[] {
  const firstRound = samples.filter(({ round }) => round === 1);
  return [...new Set(firstRound.map(({ contender }) => contender))];
}

function spread(summary: Summary | null, format: (value: number) => string): string {
  if (summary === null) return '–';
  const [middle, least, most] = [summary.median, summary.min, summary.max].map(format);
  return summary.min === summary.max ? `${middle}` : `${middle} (${least}–${most})`;
}
