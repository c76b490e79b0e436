/** The host of one tunnel that was opened by hand: in the form `ttun <tun> …`. */
import type { OpenTunnel } from '../open-tunnel.ts';
import type { TunnelHost } from './host.ts';

/** What the tunnel was opened with. It is named after its device. */
export interface SingleTunnel {
  readonly device: string;
  readonly local: string;
  readonly remote: string;
}

export function hostOf(tunnel: OpenTunnel, { device, local, remote }: SingleTunnel): TunnelHost {
  return {
    reports: () => {
      const stats = tunnel.stats();
      const phase = stats.state === 'closed' ? 'closed' : 'open';
      return [{ name: device, device, local, remote, phase, problem: null, stats }];
    },
    find: (name) => (name === device ? tunnel : undefined),
  };
}
