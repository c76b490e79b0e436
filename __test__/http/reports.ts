/** Reports of tunnels that do not exist. */
import type { TunnelHost, TunnelReport } from '../../src/tunnel-host.ts';
import type { TunnelStats } from '../../src/stats.ts';
import { reportOf, STATS_OF_NOTHING } from '../stats-of-nothing.ts';

/** All values differ, so that a mix-up is noticed. */
export const STATS: TunnelStats = {
  timestamp: 1_700_000_100_000,
  openedAt: 1_700_000_038_500,
  uptimeMs: 61_500,
  state: 'up',
  device: { name: 'tun0', index: 4, mtu: 1472, offload: { checksum: true, tso: true, uso: false } },
  socket: {
    local: '192.0.2.1:8000',
    remote: '192.0.2.2:8000',
    peerChanges: 2,
    reconnects: 6,
    pathMtu: 1500,
    segmentsPerSend: 64,
    gro: true,
    receiveBuffer: 8_388_608,
    sendBuffer: 4_194_304,
    receiveOverflow: 9,
    errors: { ECONNREFUSED: 3 },
  },
  encap: {
    ...STATS_OF_NOTHING.encap,
    received: 1032,
    packets: 1004,
    bytes: 1_400_000,
    reads: 101,
    readErrors: 8,
    sends: 102,
    fragmented: 5,
    trials: 2,
    tooBigAnswers: 3,
    dropped: 28,
    drops: {
      ...STATS_OF_NOTHING.encap.drops,
      'peer-unreachable': 1,
      'too-big': 2,
      'no-buffer-space': 3,
      'send-error': 4,
      'routing-loop': 5,
      malformed: 6,
      closed: 7,
    },
  },
  decap: {
    ...STATS_OF_NOTHING.decap,
    received: 2098,
    packets: 2000,
    bytes: 2_800_000,
    receives: 103,
    writes: 104,
    dropped: 98,
    drops: {
      ...STATS_OF_NOTHING.decap.drops,
      malformed: 11,
      empty: 12,
      truncated: 13,
      'source-not-allowed': 14,
      'device-down': 15,
      'device-error': 16,
      closed: 17,
    },
    lastAt: 1_700_000_099_250,
  },
  queue: {
    packets: 64,
    bytes: 65_000,
    sojournMs: 6.5,
    sojournMaxMs: 66.5,
    delayed: 68,
    delaySum: 69,
    marked: 67,
    rate: 18_000_000,
    drainRate: 20_000_000,
  },
  probe: {
    address: '10.0.2.2',
    source: '10.0.2.1',
    intervalMs: 1000,
    sent: 63,
    received: 61,
    lost: 20,
    late: 21,
    measurements: 22,
    lastAt: 1_700_000_098_750,
    loss: 0.03,
    jitterMs: 0.7,
    rttMs: { last: 12.5, min: 11.5, mean: 13.5, p50: 12.75, p99: 31.5, max: 32.5 },
    rttSum: 823_500,
    buckets: {
      ...STATS_OF_NOTHING.probe.buckets,
      '20ms': 55,
      '50ms': 61,
      '100ms': 61,
      '200ms': 61,
      '500ms': 61,
      '1s': 61,
      '2s': 61,
    },
  },
};

export const OPEN = reportOf({
  name: 'office',
  device: 'tun0',
  local: '192.0.2.1:8000',
  remote: 'gateway.example:8000',
  phase: 'open',
  problem: null,
  stats: STATS,
});

export const RETRYING = reportOf({
  name: 'branch',
  device: 'tun1',
  local: ':8001',
  remote: '198.51.100.7:8001',
  phase: 'retrying',
  problem: {
    code: 'ERR_TTUN_DEVICE_NOT_FOUND',
    message: 'there is no device tun1',
    hint: 'create it: ip tuntap add dev tun1 mode tun',
  },
  stats: null,
});

export function hostOf(...reports: readonly TunnelReport[]): TunnelHost {
  return { reports: () => reports, find: () => undefined };
}
