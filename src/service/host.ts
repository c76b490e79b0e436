/** What the control socket and the HTTP server need of whoever runs the tunnels of this process. */
import type { TtunError } from '../errors.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { TunnelOptions } from '../options.ts';
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

// What a configuration asks for; it has been checked.

export interface Plan {
  /** Where HTTP is served, as `127.0.0.1:9750`; `null`: nowhere. */
  readonly listen: string | null;
  /** By name, in the order of the configuration. */
  readonly tunnels: ReadonlyMap<string, TunnelOptions>;
}

// What happens to the tunnels of a process, for those who tell of it or act on it.

export type TunnelEvent =
  | { readonly kind: 'opened'; readonly tunnel: string; readonly stats: TunnelStats }
  /** It is open, but can't work before its device is back. When that is so, it is told to be opened again. */
  | { readonly kind: 'impaired'; readonly tunnel: string; readonly error: TtunError }
  /** It can't be opened before its peer's name is resolved, which is tried until it works. Told once for each reason. */
  | { readonly kind: 'waiting'; readonly tunnel: string; readonly error: TtunError }
  /** The name of its peer has got another address. */
  | { readonly kind: 'peer'; readonly tunnel: string; readonly remote: string; readonly previous: string }
  | {
      /** It is not open, or no longer. Told once for each problem, however often it is met again. */
      readonly kind: 'failed';
      readonly tunnel: string;
      readonly error: TtunError;
      /** When it is tried again, in ms. */
      readonly retryInMs: number;
      /** The last figures of a tunnel that was open; `null` when it could not be opened. */
      readonly stats: TunnelStats | null;
    }
  | {
      /** It was ended on purpose. */
      readonly kind: 'closed';
      readonly tunnel: string;
      /** The last figures; `null` when it was never open. */
      readonly stats: TunnelStats | null;
    };

export type TunnelListener = (event: TunnelEvent) => void;

// The host of one tunnel that was opened by hand: in the form `ttun <tun> …`.

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
