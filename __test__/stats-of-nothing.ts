import { describeState } from '../src/tunnel-host.ts';
import type { TunnelReport } from '../src/tunnel-host.ts';
import type { TunnelStats } from '../src/stats.ts';

/** Of a tunnel that was closed before it carried anything; tests put in the figures that they are about. */
export const STATS_OF_NOTHING: TunnelStats = {
  timestamp: 0,
  openedAt: -12_345,
  uptimeMs: 12_345,
  state: 'closed',
  device: { name: 'tun0', index: 7, mtu: 1500, offload: { checksum: true, tso: true, uso: true } },
  socket: {
    local: '10.0.1.1:9000',
    remote: '10.0.1.2:9000',
    pathMtu: 1500,
    segmentsPerSend: 64,
    gro: true,
    receiveBuffer: 0,
    sendBuffer: 0,
    receiveOverflow: 0,
    errors: {},
  },
  encap: {
    received: 0,
    packets: 0,
    bytes: 0,
    reads: 0,
    readErrors: 0,
    sends: 0,
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
    received: 0,
    packets: 0,
    bytes: 0,
    receives: 0,
    writes: 0,
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
    lastAt: null,
  },
};

/** A report whose state is that of its phase and statistics. */
export function reportOf(
  report: Omit<TunnelReport, 'state' | 'stateText' | 'advice'> & Partial<TunnelReport>,
): TunnelReport {
  const { name, device, local, remote, phase, problem, advice = null, stats } = report;
  return { name, device, local, remote, phase, ...describeState(report), problem, advice, stats };
}
