/** Errors, counts and quantities as people read them. */
import type { ControlError } from '../control/protocol.ts';
import type { TtunError } from '../errors.ts';
import type { Style } from '../terminal.ts';
import type { ReportState } from '../tunnel-host.ts';

/** An error message, followed by its hint, if any. */
export function describeError({ message, hint }: Pick<TtunError | ControlError, 'message' | 'hint'>): string {
  return hint === undefined || hint === null ? message : `${message}; ${hint}`;
}

export const STATE_STYLES: Readonly<Record<ReportState, Style>> = {
  opening: 'yellow',
  waiting: 'yellow',
  up: 'green',
  idle: 'dim',
  retrying: 'red',
  closed: 'red',
};

/** `2 malformed, 1 empty`; empty if none occurred. */
export function countsByName(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${grouped(count)} ${name}`)
    .join(', ');
}

/** `1,234,567`, without loading the tables of Intl for it. */
export function grouped(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}

/** Those that are on: `checksum, TSO`. */
export function listed(offload: Readonly<Record<string, boolean>>): string {
  const names = Object.keys(offload).filter((name) => offload[name] === true);
  return names.length === 0 ? 'none' : names.join(', ');
}

// Times as people read them.

/** `12 seconds`, `3 hours, 12 minutes`: the two largest units. */
export function formatDuration(ms: number): string {
  let left = Math.max(0, Math.floor(ms / 1000));
  const parts: string[] = [];
  for (const [unit, seconds] of TIME_UNITS) {
    const count = Math.floor(left / seconds);
    left -= count * seconds;
    // `1 day` and seconds would be odd: what follows the largest unit is the next smaller one, or nothing.
    if (count > 0) parts.push(`${count} ${unit}${count === 1 ? '' : 's'}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.length === 0 ? '0 seconds' : parts.join(', ');
}

const TIME_UNITS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const;

/** `now`, `12 seconds ago` */
export function formatAgo(ms: number): string {
  return ms < 1000 ? 'now' : `${formatDuration(ms)} ago`;
}

/** `14:02:33` on the same day, otherwise `2026-11-26 14:02:33`: local time. Both times in ms since the epoch. */
export function formatTime(at: number, now: number): string {
  const [date, today] = [new Date(at), new Date(now)];
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':');
  if (date.toDateString() === today.toDateString()) return time;
  return `${[date.getFullYear(), date.getMonth() + 1, date.getDate()].map(twoDigits).join('-')} ${time}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
