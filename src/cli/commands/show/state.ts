import type { TunnelReport } from '../../../service/host.ts';
import type { Style } from '../../style.ts';

/** How a tunnel fares, in a word or two: what it does, and once it is open whether the peer is heard. */
export function describeState({ phase, stats }: Pick<TunnelReport, 'phase' | 'stats'>): {
  readonly text: string;
  readonly style: Style;
} {
  if (phase === 'retrying') return { text: 'failed, trying again', style: 'red' };
  if (phase === 'opening') return { text: 'opening', style: 'yellow' };
  if (phase === 'closed' || stats === null || stats.state === 'closed')
    return { text: 'closed', style: 'red' };
  return stats.state === 'up'
    ? { text: 'up', style: 'green' }
    : { text: 'waiting for the peer', style: 'yellow' };
}
