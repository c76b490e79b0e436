/** The screen of `ttun show --watch`: a title, a table of tunnels with their rates, and the keys. */
import type { Survey } from '../control/client.ts';
import type { TunnelRates, TunnelStats } from '../stats.ts';
import { lengthOf, shorten } from './screen.ts';
import type { Line, Piece } from './screen.ts';
import { formatAgoShort, formatBitRate, formatMilliseconds, formatShare } from '../text.ts';
import { STATE_TEXTS } from '../tunnel-host.ts';
import { grouped, STATE_STYLES } from './text.ts';
import type { Watched } from './watched.ts';

export interface View {
  readonly tunnels: readonly Watched[];
  /** Shown in place of the table if there is no tunnel. */
  readonly placeholder: string;
  /** A line below the table, about what the table does not show; `null` for none. */
  readonly notice: string | null;
  readonly intervalMs: number;
  readonly isPaused: boolean;
  /** When it was taken, in ms of the clock of the histories. */
  readonly at: number;
  /** The same in local time. */
  readonly time: string;
}

/** What the table does not show: why metrics are not served, which process does not answer, what to check on a peer's host. */
export function noticeOf({ replies, silent }: Survey, tunnels: readonly Watched[]): string | null {
  const http = replies.find(({ reply }) => (reply.process.http?.problem ?? null) !== null)?.reply.process
    .http;
  if (http?.problem !== null && http?.problem !== undefined) return http.problem.message;
  const [process_] = silent;
  if (process_ !== undefined && tunnels.length > 0) return process_.error.message;
  const diagnosed = tunnels.find(({ report }) => report.diagnosis !== null);
  return diagnosed === undefined ? null : `${diagnosed.label}: ${diagnosed.report.diagnosis}`;
}

/** Rows other than those of tunnels: title, header, the notice or an empty line, and the keys. */
const OTHER_ROWS = 4;

/** How many tunnels fit on the screen. */
export function rowsForTunnels(rows: number): number {
  return Math.max(1, rows - OTHER_ROWS);
}

/** @param top index of the first visible tunnel */
export function drawView(view: View, top: number, { columns, rows }: Size): Line[] {
  const table = drawTable(view.tunnels, columns, view.at);
  const room = rowsForTunnels(rows);
  const visible = table.rows.slice(top, top + room);
  const empty: Line[] = view.tunnels.length === 0 ? [[{ text: shorten(view.placeholder, columns) }]] : [];
  const filling = Array.from({ length: Math.max(0, room - visible.length - empty.length) }, (): Line => []);
  const notice: Line = view.notice === null ? [] : [{ text: shorten(view.notice, columns), style: 'yellow' }];
  return [
    titleLine(view, columns),
    view.tunnels.length === 0 ? [] : table.header,
    ...visible,
    ...empty,
    ...filling,
    notice,
    footer(view, top, visible.length),
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

function footer({ tunnels, isPaused }: View, top: number, visible: number): Line {
  const keys = `q quit  space ${isPaused ? 'continue' : 'pause'}`;
  if (visible >= tunnels.length) return [{ text: keys, style: 'dim' }];
  const range = `${grouped(top + 1)}–${grouped(top + visible)} of ${grouped(tunnels.length)}`;
  return [{ text: `${keys}  ↑↓ scroll  ${range}`, style: 'dim' }];
}

interface Table {
  readonly header: Line;
  readonly rows: readonly Line[];
}

/**
 * A table with as many columns as fit.
 *
 * @param now in ms of the clock of the histories
 */
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
/** One character for each sample at the default interval. */
const LONGEST_CHART = 60;

interface Column {
  readonly title: string;
  readonly width: number;
  /** Numbers are aligned to the right. */
  readonly align: 'left' | 'right';
  readonly cell: (tunnel: Watched) => Piece;
}

/** Columns that do not fit are omitted, the least important first. */
function columnsFor(tunnels: readonly Watched[], width: number): Column[] {
  const columns = [
    textColumn('TUNNEL', 'TUNNEL'.length, tunnels, ({ label }) => ({ text: label })),
    textColumn('STATE', 'no answer'.length, tunnels, stateOf),
    ...COLUMNS,
    ...(tunnels.some(({ report }) => isQueued(report.stats)) ? QUEUE_COLUMNS : []),
    ...(tunnels.some(({ report }) => isProbed(report.stats)) ? PROBE_COLUMNS : []),
    HEARD,
  ];
  const total = (chosen: readonly Column[]): number =>
    chosen.reduce((sum, column) => sum + column.width + GAP.length, 0);
  // The chart gets the remaining space, and is omitted before any column.
  let chosen = columns;
  for (const title of OMITTED_FIRST) {
    if (total(chosen) - GAP.length <= width) break;
    chosen = chosen.filter((column) => column.title !== title);
  }
  return chosen;
}

/** As wide as its longest text, within limits. */
function textColumn(
  title: string,
  shortest: number,
  tunnels: readonly Watched[],
  cell: (tunnel: Watched) => Piece,
): Column {
  const longest = Math.max(...tunnels.map((tunnel) => lengthOf(cell(tunnel).text)), 0);
  return { title, width: Math.min(Math.max(shortest, longest), LONGEST_TEXT), align: 'left', cell };
}

const LONGEST_TEXT = 24;

const COLUMNS: readonly Column[] = [
  rateColumn('RECEIVED', 11, ({ decap }) => formatBitRate(8 * decap.bytes)),
  rateColumn('SENT', 11, ({ encap }) => formatBitRate(8 * encap.bytes)),
  rateColumn('RECV PKT/S', 10, ({ decap }) => perSecond(decap.packets)),
  rateColumn('SENT PKT/S', 10, ({ encap }) => perSecond(encap.packets)),
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
];

/** Shown if packets of a tunnel have waited in its queue: how many wait now, and for how long those waited that were sent since. */
const QUEUE_COLUMNS: readonly Column[] = [
  {
    title: 'QUEUE',
    width: 6,
    align: 'right',
    cell: ({ report: { stats } }) => ({ text: stats === null ? NOTHING : grouped(stats.queue.packets) }),
  },
  {
    title: 'WAIT',
    width: 7,
    align: 'right',
    cell: ({ history: { rates } }) => {
      if (rates === null || rates.queue.delayed === 0) return { text: NOTHING };
      const ms = rates.queue.delaySum / rates.queue.delayed / 1000;
      return { text: formatMilliseconds(ms), ...(ms > LONG_WAIT_MS && { style: 'yellow' }) };
    },
  },
];

/** Mean waits beyond this are more than CoDel lets stand (RFC 8289: 5 ms, 100 ms to react). */
const LONG_WAIT_MS = 100;

function isQueued(stats: TunnelStats | null): boolean {
  return stats !== null && stats.queue.packets + stats.queue.delayed > 0;
}

/** Shown if there is a tunnel with a probe: the median round-trip time, and the share of probes that were lost. */
const PROBE_COLUMNS: readonly Column[] = [
  {
    title: 'RTT',
    width: 7,
    align: 'right',
    cell: ({ report: { stats } }) => {
      const median = stats?.probe.rttMs.p50 ?? null;
      return { text: median === null ? NOTHING : formatMilliseconds(median) };
    },
  },
  {
    title: 'LOSS',
    width: 5,
    align: 'right',
    cell: ({ report: { stats } }) => {
      const loss = stats?.probe.loss ?? null;
      if (loss === null) return { text: NOTHING };
      return { text: formatShare(loss), ...(loss > 0 && { style: 'red' }) };
    },
  },
];

function isProbed(stats: TunnelStats | null): boolean {
  return stats !== null && stats.probe.address !== null;
}

const HEARD: Column = { title: 'HEARD', width: 6, align: 'right', cell: heardOf };

const OMITTED_FIRST = [
  'HEARD',
  'SENT PKT/S',
  'RECV PKT/S',
  'QUEUE',
  'DROPS/S',
  'LOSS',
  'WAIT',
  'RTT',
  'STATE',
  'SENT',
  'RECEIVED',
];

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

function stateOf({ report: { state, stateText }, isSilent }: Watched): Piece {
  if (isSilent) return { text: 'no answer', style: 'red' };
  // The column HEARD says the rest.
  return { text: state === 'idle' ? STATE_TEXTS.idle : stateText, style: STATE_STYLES[state] };
}

function heardOf({ report: { stats } }: Watched): Piece {
  if (stats === null || stats.decap.lastAt === null) return { text: 'never' };
  return { text: formatAgoShort(stats.timestamp - stats.decap.lastAt) };
}

/** A tunnel that is not open has its problem in place of rates. */
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

/** Values above 0 differ from 0, however small they are compared with the highest. */
function barFor(value: number, highest: number): string {
  if (value === 0) return '▁';
  const step = Math.ceil((value / highest) * (BARS.length - 1));
  return BARS[Math.max(1, step)] ?? '█';
}

const BARS = '▁▂▃▄▅▆▇█';
