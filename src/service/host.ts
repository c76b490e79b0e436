/** What the control socket and the HTTP server need of whoever runs the tunnels of this process. */
import type { TtunError } from '../errors.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { TunnelStats } from '../stats.ts';

export interface TunnelHost {
  /** All tunnels of this process, in the order of the configuration. */
  reports(): readonly TunnelReport[];
  /** The running tunnel of that name. */
  find(name: string): OpenTunnel | undefined;
  /** Applies the configuration file anew. Absent where there is none: in `ttun <tun> …`. */
  reload?(): Promise<ReloadReport>;
}

/** One tunnel, as `ttun show`, the metrics and the page tell of it. */
export interface TunnelReport {
  /** Its name in the configuration; in `ttun <tun> …` that of the device. */
  readonly name: string;
  readonly device: string;
  /** As configured. */
  readonly local: string;
  /** As configured: an address or a name. */
  readonly remote: string;
  /**
   * `opening` until it runs for the first time, `open` while it runs, `retrying` after it failed and until it is tried again,
   * `closed` after that.
   */
  readonly phase: 'opening' | 'open' | 'retrying' | 'closed';
  /** Why it is not open, or what keeps the open one from working: its device is gone, and waited for. `null` when nothing does. */
  readonly problem: Problem | null;
  /** The figures of this instant; `null` until it was open once. They begin again at 0 when it is opened again. */
  readonly stats: TunnelStats | null;
}

export interface Problem {
  /** As of a `TtunError`. */
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

export function toProblem({ code, message, hint }: TtunError): Problem {
  return { code, message, hint: hint ?? null };
}

/** What a new configuration changed, by names of tunnels. */
export interface ReloadReport {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly unchanged: readonly string[];
}
