/** A host without tunnels of its own: what the control socket tells is made up. */
import type { TunnelHost, TunnelReport } from '../../src/service/host.ts';
import type { TunnelStats } from '../../src/stats.ts';

export function hostOf(...reports: readonly TunnelReport[]): TunnelHost {
  return { reports: () => reports, find: () => undefined };
}

export const STATS: TunnelStats = {
  timestamp: 1_700_000_012_000,
  openedAt: 1_699_988_447_000,
  uptimeMs: 11_565_000,
  state: 'up',
  device: { name: 'tun0', index: 7, mtu: 1472, offload: { checksum: true, tso: true, uso: false } },
  socket: {
    local: '192.0.2.1:8000',
    remote: '192.0.2.2:8000',
    pathMtu: 1500,
    segmentsPerSend: 64,
    gro: true,
    receiveBuffer: 8_388_608,
    sendBuffer: 8_388_608,
    receiveOverflow: 0,
    errors: {},
  },
  encap: {
    received: 345_678,
    packets: 345_678,
    bytes: 356_515_840,
    reads: 1,
    sends: 1,
    fragmented: 0,
    dropped: 0,
    drops: {
      'peer-unreachable': 0,
      'too-big': 0,
      'no-buffer-space': 0,
      'send-error': 0,
      'routing-loop': 0,
      malformed: 0,
      closed: 0,
    },
  },
  decap: {
    received: 1_234_567,
    packets: 1_234_567,
    bytes: 1_299_227_607,
    receives: 1,
    writes: 1,
    dropped: 0,
    drops: {
      malformed: 0,
      empty: 0,
      truncated: 0,
      'source-not-allowed': 0,
      'device-down': 0,
      'device-error': 0,
      closed: 0,
    },
    lastAt: 1_700_000_000_000,
  },
};

export const REPORT: TunnelReport = {
  name: 'office',
  device: 'tun0',
  local: '192.0.2.1:8000',
  remote: 'gateway.example:8000',
  phase: 'open',
  problem: null,
  stats: STATS,
};
