/** A host without tunnels, which returns fixed reports. */
import type { TunnelHost, TunnelReport } from '../../src/tunnel-host.ts';
import type { TunnelStats } from '../../src/stats.ts';
import { reportOf, STATS_OF_NOTHING } from '../stats-of-nothing.ts';

export function hostOf(...reports: readonly TunnelReport[]): TunnelHost {
  return { reports: () => reports, find: () => undefined };
}

export const STATS: TunnelStats = {
  ...STATS_OF_NOTHING,
  timestamp: 1_700_000_012_000,
  openedAt: 1_699_988_447_000,
  uptimeMs: 11_565_000,
  state: 'up',
  device: { name: 'tun0', index: 7, mtu: 1472, offload: { checksum: true, tso: true, uso: false } },
  socket: { ...STATS_OF_NOTHING.socket, local: '192.0.2.1:8000', remote: '192.0.2.2:8000' },
  encap: { ...STATS_OF_NOTHING.encap, received: 345_678, packets: 345_678, bytes: 356_515_840 },
  decap: {
    ...STATS_OF_NOTHING.decap,
    received: 1_234_567,
    packets: 1_234_567,
    bytes: 1_299_227_607,
    lastAt: 1_700_000_000_000,
  },
};

export const REPORT = reportOf({
  name: 'office',
  device: 'tun0',
  local: '192.0.2.1:8000',
  remote: 'gateway.example:8000',
  phase: 'open',
  problem: null,
  stats: STATS,
});
