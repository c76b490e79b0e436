/** The queue before the socket, as people read it. */
import type { QueueStats } from '../stats.ts';
import { formatBitRate, formatBytes, formatMilliseconds } from '../text.ts';
import { grouped } from './text.ts';

/** Rows for `ttun show`; none if no packet ever waited, and no rate is configured. */
export function describeQueue(queue: QueueStats): [label: string, value: string][] {
  const { packets, delayed, rate, drainRate } = queue;
  const rows: [string, string][] = [];
  if (packets + delayed > 0) rows.push(['queue', `${describeWaiting(queue)}${describeDelay(queue)}`]);
  if (rate !== null) rows.push(['rate', `paced to ${formatBitRate(rate)}`]);
  if (drainRate !== null)
    rows.push(['link rate', `${formatBitRate(drainRate)}, when packets last waited for it`]);
  return rows;
}

function describeWaiting({ packets, bytes }: QueueStats): string {
  if (packets === 0) return 'empty';
  return `${packets === 1 ? '1 packet waits' : `${grouped(packets)} packets wait`} (${formatBytes(bytes)})`;
}

function describeDelay({ delayed, delaySum, sojournMaxMs }: QueueStats): string {
  if (delayed === 0) return '';
  const mean = formatMilliseconds(delaySum / 1000 / delayed);
  const longest = formatMilliseconds(sojournMaxMs ?? 0);
  return `; ${grouped(delayed)} waited, ${mean} on average, ${longest} at most`;
}
