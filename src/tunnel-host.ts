/** The tunnels of this process as the control socket, the metrics and the page report them. */
import type { TtunError } from './errors.ts';
import type { OpenTunnel } from './open-tunnel.ts';
import type { TunnelStats } from './stats.ts';

/** What runs the tunnels of this process. */
export interface TunnelHost {
  /** All tunnels, in the order of the configuration. */
  reports(): readonly TunnelReport[];
  /** The open tunnel with that name. */
  find(name: string): OpenTunnel | undefined;
  /** Reloads the configuration file. Absent if there is none, as in `ttun <tun> …`. */
  reload?(): Promise<ReloadReport>;
  /** Where HTTP is served; `null` or absent if nowhere. */
  http?(): HttpReport | null;
}

/** One tunnel. */
export interface TunnelReport {
  /** Its name in the configuration; in `ttun <tun> …` the name of the device. */
  readonly name: string;
  readonly device: string;
  /** As configured. */
  readonly local: string;
  /** As configured: an address or a host name, with a port. */
  readonly remote: string;
  /** `opening` until it is open for the first time; `retrying` after a failure until it is open again; `closed` at the end. */
  readonly phase: 'opening' | 'open' | 'retrying' | 'closed';
  /** Why it is not open, or why an open one cannot carry packets, such as a deleted device. `null` if all is well. */
  readonly problem: Problem | null;
  /** Current statistics; `null` until the tunnel was open once. The counters start at 0 whenever it is opened again. */
  readonly stats: TunnelStats | null;
}

export interface Problem {
  /** Code of the `TtunError`. */
  readonly code: string;
  readonly message: string;
  /** What to do about it, if known. */
  readonly hint: string | null;
}

export function toProblem({ code, message, hint }: TtunError): Problem {
  return { code, message, hint: hint ?? null };
}

export interface HttpReport {
  /** As configured. */
  readonly listen: string;
  /** `null` while nothing is served, because of `problem`. */
  readonly url: string | null;
  readonly problem: Problem | null;
}

/** What reloading the configuration changed, by names of tunnels. */
export interface ReloadReport {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly unchanged: readonly string[];
}

/** The options of the only tunnel of `ttun <tun> …`, which is named after its device. */
export interface SingleTunnel {
  readonly device: string;
  readonly local: string;
  readonly remote: string;
}

/** @param open returns the tunnel once it is open */
export function hostOf(
  { device, local, remote }: SingleTunnel,
  open: () => OpenTunnel | undefined,
): TunnelHost {
  return {
    reports: () => {
      const tunnel = open();
      const stats = tunnel?.stats() ?? null;
      const error = tunnel?.problem() ?? null;
      const problem = error === null ? null : toProblem(error);
      return [{ name: device, device, local, remote, phase: phaseOf(stats), problem, stats }];
    },
    find: (name) => (name === device ? open() : undefined),
  };
}

function phaseOf(stats: TunnelStats | null): TunnelReport['phase'] {
  if (stats === null) return 'opening';
  return stats.state === 'closed' ? 'closed' : 'open';
}
