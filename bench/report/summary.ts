/** One line for each contender, with what matters most: the table of the README. */
import type { Link } from '../links.ts';
import type { Sample } from '../rounds.ts';
import type { Figure } from '../turn.ts';
import { absolute } from './comparison.ts';
import { table } from './tables.ts';

interface Column {
  readonly title: string;
  readonly link: Link;
  readonly figure: Figure;
  readonly divisor: number;
  readonly digits: number;
}

const tcp = { figure: 'tcp', divisor: 1e9, digits: 1 } as const;

const COLUMNS: readonly Column[] = [
  { ...tcp, title: 'veth, Gbit/s', link: 'veth' },
  { ...tcp, title: 'wire, Gbit/s', link: 'wire' },
  { ...tcp, title: 'wire-checksum, Gbit/s', link: 'wire-checksum' },
  { title: 'CPU, s/GB', link: 'wire-checksum', figure: 'processorPerGigabyte', divisor: 1, digits: 1 },
  { title: 'idle ping, µs', link: 'wire-checksum', figure: 'roundTrip', divisor: 1, digits: 0 },
  { title: 'ping beside 1 upload, ms', link: 'slow-20', figure: 'pingBeside1', divisor: 1, digits: 1 },
  { title: 'beside 8, ms', link: 'slow-20', figure: 'pingBeside8', divisor: 1, digits: 1 },
];

/** Medians; `null` unless all links of the columns were measured. */
export function summaryTable(samples: readonly Sample[], contenders: readonly string[]): string | null {
  const measured = new Set(samples.map(({ link }) => link));
  if (COLUMNS.some(({ link }) => !measured.has(link))) return null;
  const rows = contenders.map((name) => [
    name,
    ...COLUMNS.map(({ link, figure, divisor, digits }) => {
      const summary = absolute(samples, link, name, figure);
      return summary === null ? '–' : (summary.median / divisor).toFixed(digits);
    }),
  ]);
  return table(['', ...COLUMNS.map(({ title }) => title)], rows);
}
