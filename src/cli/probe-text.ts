/** What the probe measures, as people read it. */
import { formatInterval } from '../duration.ts';
import type { ProbeStats } from '../stats.ts';
import { formatMilliseconds, formatShare } from '../text.ts';
import { formatAgo, grouped } from './text.ts';

/** Rows for `ttun show`; none without a probe. */
export function describeProbe(probe: ProbeStats, now: number): [label: string, value: string][] {
  const { address, source, intervalMs, lastAt, rttMs, jitterMs, loss, lost, sent } = probe;
  if (address === null) return [];
  const every = formatInterval(intervalMs ?? 0);
  const from = source === null ? '' : ` from ${source}`;
  const answered = lastAt === null ? 'never answered' : `last answer ${formatAgo(now - lastAt)}`;
  const rows: [string, string][] = [['probe', `${address}${from} every ${every}, ${answered}`]];
  const { min, p50, p99, max } = rttMs;
  if (min !== null && p50 !== null && p99 !== null && max !== null) {
    const range = `${formatMilliseconds(min)} to ${formatMilliseconds(max)}`;
    const jitter = jitterMs === null ? '' : `, jitter ${formatMilliseconds(jitterMs)}`;
    const times = `median ${formatMilliseconds(p50)}, 99 % in ${formatMilliseconds(p99)}, ${range}${jitter}`;
    rows.push(['round trip', times]);
  }
  if (loss !== null) {
    rows.push(['probes lost', `${formatShare(loss)} lately, ${grouped(lost)} of ${grouped(sent)} in all`]);
  }
  return rows;
}
