import { describeState } from '../src/tunnel-host.ts';
import type { TunnelReport } from '../src/tunnel-host.ts';
import { toStats } from '../src/stats-table.ts';
import type { TunnelStats } from '../src/stats.ts';

/** Of a tunnel that was closed before it carried anything; tests put in the figures that they are about. */
export const STATS_OF_NOTHING: TunnelStats = statsOfNothing();

function zero(): number {
  return 0;
}

function statsOfNothing(): TunnelStats {
  const description = {
    device: { name: 'tun0', offload: { checksum: true, tso: true, uso: true } },
    socket: { local: '10.0.1.1:9000', remote: '10.0.1.2:9000', gro: true },
    probe: { address: null, source: null },
  };
  const { device, socket, decap, probe, queue, ...stats } = toStats(zero, zero, description, {});
  return {
    ...stats,
    openedAt: -12_345,
    uptimeMs: 12_345,
    state: 'closed',
    device: { ...device, index: 7, mtu: 1500 },
    socket: { ...socket, pathMtu: 1500, segmentsPerSend: 64 },
    decap: { ...decap, lastAt: null },
    queue: { ...queue, sojournMs: null, sojournMaxMs: null, rate: null, drainRate: null },
    probe: {
      ...probe,
      intervalMs: null,
      lastAt: null,
      loss: null,
      jitterMs: null,
      rttMs: { last: null, min: null, mean: null, p50: null, p99: null, max: null },
    },
  };
}

/** A report whose state is that of its phase and statistics. */
export function reportOf(
  report: Omit<TunnelReport, 'state' | 'stateText' | 'diagnosis' | 'advice' | 'history'> &
    Partial<TunnelReport>,
): TunnelReport {
  const { name, device, local, remote, phase, problem, stats } = report;
  const { diagnosis = null, advice = null, history = [] } = report;
  const settings = { name, device, local, remote, phase, ...describeState(report) };
  return { ...settings, problem, diagnosis, advice, stats, history };
}
