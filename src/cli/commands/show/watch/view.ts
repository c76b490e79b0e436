/** What is on the screen: a title, the tunnels as far as they fit, and what the keys do. */
import { grouped } from '../../../wording.ts';
import { shorten } from './characters.ts';
import { drawTable } from './table.ts';
import type { Line, Piece } from './table.ts';
import type { Watched } from './watched.ts';

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
    title(view, columns),
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

function title({ tunnels, intervalMs, isPaused, time }: View, columns: number): Line {
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
