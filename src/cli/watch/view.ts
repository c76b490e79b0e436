/** What is on the screen: a title, the tunnels as far as they fit, and what the keys do. */
import type { TunnelRates } from '../../rates.ts';
import { describeState } from '../commands/show.ts';
import type { Style } from '../terminal.ts';
import { formatAgoShort, formatBitRate, grouped } from '../text.ts';
import type { Watched } from './watch.ts';

export interface View {
  readonly tunnels: readonly Watched[];
  /** Said in place of the table when there is no tunnel. */
  readonly nothing: string;
  readonly intervalMs: number;
  readonly isPaused: boolean;
  /** When it was looked at, in ms of the clock of the histories. */
  readonly at: number;
  /** The same in local time. */
  readonly time: string;
}

/** Rows of the screen that are not for tunnels: title, header, an empty line and the keys. */
const OTHER_ROWS = 4;

/** How many tunnels are seen at once. */
export function rowsForTunnels(rows: number): number {
  return Math.max(1, rows - OTHER_ROWS);
}

/** @param top index of the first tunnel that is seen */
export function drawView(view: View, top: number, { columns, rows }: Size): Line[] {
  const table = drawTable(view.tunnels, columns, view.at);
  const room = rowsForTunnels(rows);
  const seen = table.rows.slice(top, top + room);
  const empty: Line[] = view.tunnels.length === 0 ? [[{ text: shorten(view.nothing, columns) }]] : [];
  const filling = Array.from({ length: Math.max(0, room - seen.length - empty.length) }, (): Line => []);
  return [
    titleLine(view, columns),
    view.tunnels.length === 0 ? [] : table.header,
    ...seen,
    ...empty,
    ...filling,
    [],
    footer(view, top, seen.length),
  ].slice(0, rows);
}

interface Size {
  readonly columns: number;
  readonly rows: number;
}

function titleLine({ tunnels, intervalMs, isPaused, time }: View, columns: number): Line {
  const count = `${tunnels.length} ${tunnels.length === 1 ? 'tunnel' : 'tunnels'}`;
  const name: Piece = { text: 'ttun', style: 'bold' };
  const about = `  ${count}, every ${intervalMs / 1000} s`;
  const state: Piece[] = isPaused ? [{ text: '  paused', style: 'yellow' }] : [];
  const used = name.text.length + about.length + state.reduce((sum, { text }) => sum + text.length, 0);
  const space = columns - used - time.length;
  const clock: Piece[] = space > 0 ? [{ text: ' '.repeat(space) + time, style: 'dim' }] : [];
  return [name, { text: about }, ...state, ...clock];
}

function footer({ tunnels, isPaused }: View, top: number, seen: number): Line {
  const keys = `q quit  space ${isPaused ? 'go on' : 'pause'}`;
  if (seen >= tunnels.length) return [{ text: keys, style: 'dim' }];
  const range = `${grouped(top + 1)}–${grouped(top + seen)} of ${grouped(tunnels.length)}`;
  return [{ text: `${keys}  ↑↓ scroll  ${range}`, style: 'dim' }];
}

// Tunnels and their rates as a table, with as many columns as there is room for.

/** A line of the screen: pieces of text with their styles. */
export type Line = readonly Piece[];

export interface Piece {
  readonly text: string;
  readonly style?: Style;
}

export interface Table {
  readonly header: Line;
  readonly rows: readonly Line[];
}

/** @param now in ms of the clock of the histories */
export function drawTable(tunnels: readonly Watched[], width: number, now: number): Table {
  const columns = columnsFor(tunnels, width);
  const used = columns.reduce((sum, column) => sum + column.width + GAP.length, 0);
  const chart = Math.min(width - used, LONGEST_CHART);
  const hasChart = chart >= SHORTEST_CHART;
  const header = columns.flatMap((column): Piece[] => [
    { text: pad(column.title, column), style: 'bold' },
    { text: GAP },
  ]);
  const chartTitle: Piece[] = hasChart ? [{ text: CHART_TITLE, style: 'bold' }] : [];
  const rows = tunnels.map((tunnel): Line => {
    const cells = cellsOf(tunnel, columns, width);
    const drawing = sparkline(tunnel.history.inParts(hasChart ? chart : 1, now));
    return hasChart && tunnel.report.problem === null ? [...cells, { text: drawing, style: 'cyan' }] : cells;
  });
  return { header: [...header, ...chartTitle], rows };
}

const GAP = '  ';
const CHART_TITLE = 'LAST MINUTE';
const SHORTEST_CHART = CHART_TITLE.length;
/** One look of the usual interval for each character. */
const LONGEST_CHART = 60;

interface Column {
  readonly title: string;
  readonly width: number;
  /** Numbers stand to the right. */
  readonly align: 'left' | 'right';
  readonly cell: (tunnel: Watched) => Piece;
}

/** What does not fit is left out, the least important column first. */
function columnsFor(tunnels: readonly Watched[], width: number): Column[] {
  const columns = [nameColumn(tunnels), ...COLUMNS];
  const total = (chosen: readonly Column[]): number =>
    chosen.reduce((sum, column) => sum + column.width + GAP.length, 0);
  // The chart takes what is left, and goes before a column does.
  let chosen = columns;
  for (const title of FIRST_TO_GO) {
    if (total(chosen) - GAP.length <= width) break;
    chosen = chosen.filter((column) => column.title !== title);
  }
  return chosen;
}

const LONGEST_NAME = 24;

function nameColumn(tunnels: readonly Watched[]): Column {
  const longest = Math.max(...tunnels.map(({ label }) => lengthOf(label)), 0);
  return {
    title: 'TUNNEL',
    width: Math.min(Math.max('TUNNEL'.length, longest), LONGEST_NAME),
    align: 'left',
    cell: ({ label }) => ({ text: label }),
  };
}

const COLUMNS: readonly Column[] = [
  { title: 'STATE', width: 9, align: 'left', cell: stateOf },
  rateColumn('RECEIVED', 11, ({ decap }) => formatBitRate(8 * decap.bytes)),
  rateColumn('SENT', 11, ({ encap }) => formatBitRate(8 * encap.bytes)),
  rateColumn('PKT/S IN', 9, ({ decap }) => perSecond(decap.packets)),
  rateColumn('PKT/S OUT', 9, ({ encap }) => perSecond(encap.packets)),
  {
    title: 'DROPS/S',
    width: 7,
    align: 'right',
    cell: ({ history: { rates } }) => {
      if (rates === null) return { text: NOTHING };
      const drops = rates.encap.dropped + rates.decap.dropped + rates.socket.receiveOverflow;
      return { text: perSecond(drops), ...(drops > 0 && { style: 'red' }) };
    },
  },
  { title: 'HEARD', width: 6, align: 'right', cell: heardOf },
];

const FIRST_TO_GO = ['HEARD', 'PKT/S OUT', 'PKT/S IN', 'DROPS/S', 'STATE', 'SENT', 'RECEIVED'];

const NOTHING = '–';

function rateColumn(title: string, width: number, describe: (rates: TunnelRates) => string): Column {
  const cell = ({ history: { rates } }: Watched): Piece => ({
    text: rates === null ? NOTHING : describe(rates),
  });
  return { title, width, align: 'right', cell };
}

function perSecond(count: number): string {
  return count > 0 && count < 1 ? '<1' : grouped(Math.round(count));
}

/** A word that fits the column. */
function stateOf({ report, isSilent }: Watched): Piece {
  if (isSilent) return { text: 'no answer', style: 'red' };
  const { style } = describeState(report);
  const text = report.phase === 'open' ? (report.stats?.state ?? 'open') : report.phase;
  return { text, style };
}

function heardOf({ report: { stats } }: Watched): Piece {
  if (stats === null || stats.decap.lastAt === null) return { text: 'never' };
  return { text: formatAgoShort(stats.timestamp - stats.decap.lastAt) };
}

/** A tunnel that is not open has no rates, and so room to say why. */
function cellsOf(tunnel: Watched, columns: readonly Column[], width: number): Line {
  const { problem } = tunnel.report;
  const shown = problem === null ? columns : columns.slice(0, 2);
  const cells = shown.flatMap((column): Piece[] => {
    const { text, style } = column.cell(tunnel);
    return [{ text: pad(text, column), ...(style && { style }) }, { text: GAP }];
  });
  if (problem === null) return cells;
  const used = shown.reduce((sum, column) => sum + column.width + GAP.length, 0);
  return [...cells, { text: shorten(problem.message, Math.max(0, width - used)) }];
}

function pad(text: string, { width, align }: Column): string {
  const shown = shorten(text, width);
  const space = ' '.repeat(width - lengthOf(shown));
  return align === 'left' ? shown + space : space + shown;
}

/** A small chart of one line, scaled to its highest value. `null` is a gap. */
export function sparkline(values: readonly (number | null)[]): string {
  const highest = Math.max(0, ...values.map((value) => value ?? 0));
  return values.map((value) => (value === null ? ' ' : barFor(value, highest))).join('');
}

/** A value above 0 is seen as such, however small it is beside the highest. */
function barFor(value: number, highest: number): string {
  if (value === 0) return '▁';
  const step = Math.ceil((value / highest) * (BARS.length - 1));
  return BARS[Math.max(1, step)] ?? '█';
}

const BARS = '▁▂▃▄▅▆▇█';

// Text as a terminal counts it: by characters, all of which stand in one cell here.

export function lengthOf(text: string): number {
  return Array.from(text).length;
}

/** The first `count` characters. */
export function firstOf(text: string, count: number): string {
  return Array.from(text).slice(0, count).join('');
}

/** For a terminal that shows nothing else: the characters of the view have one of ASCII each, others become a question mark. */
export function toAscii(text: string): string {
  return text.replaceAll(/[^ -~]/gu, (character) => ASCII.get(character) ?? '?');
}

const ASCII: ReadonlyMap<string, string> = new Map([
  ...Array.from('▁▂▃▄▅▆▇█', (bar, index): [string, string] => [bar, '_.:-=+*#'.charAt(index)]),
  ['…', '~'],
  ['–', '-'],
  ['↑', '^'],
  ['↓', 'v'],
]);

/** In one line, and what is too long is cut off so that it is seen. */
export function shorten(text: string, width: number): string {
  const line = text.replaceAll(/\s+/g, ' ');
  if (lengthOf(line) <= width) return line;
  return width === 0 ? '' : `${firstOf(line, width - 1)}…`;
}
