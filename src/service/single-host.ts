/** The host of one tunnel that was opened by hand: in the form `ttun <tun> …`. */
import type { OpenTunnel } from '../open-tunnel.ts';
import type { TunnelStats } from '../stats.ts';
import { toProblem } from './host.ts';
import type { TunnelHost, TunnelReport } from './host.ts';

/** What the tunnel was opened with. It is named after its device. */
export interface SingleTunnel {
  readonly device: string;
  readonly local: string;
  readonly remote: string;
}

/** @param running the tunnel, from when it is open */
export function hostOf(
  { device, local, remote }: SingleTunnel,
  running: () => OpenTunnel | undefined,
): TunnelHost {
  return {
    reports: () => {
      const tunnel = running();
      const stats = tunnel?.stats() ?? null;
      const error = tunnel?.problem() ?? null;
      const problem = error === null ? null : toProblem(error);
      return [{ name: device, device, local, remote, phase: phaseOf(stats), problem, stats }];
    },
    find: (name) => (name === device ? running() : undefined),
  };
}

function phaseOf(stats: TunnelStats | null): TunnelReport['phase'] {
  if (stats === null) return 'opening';
  return stats.state === 'closed' ? 'closed' : 'open';
}
