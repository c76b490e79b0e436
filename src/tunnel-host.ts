/** The tunnels of this process as the control socket, the metrics and the page report them. */
import type { TtunError } from './errors.ts';
import type { OpenTunnel } from './open-tunnel.ts';
import { STATS } from './stats-table.ts';
import { formatAgoShort } from './text.ts';
import type { TunnelStats } from './stats.ts';
import type { TunnelChange } from './tunnel.ts';

/** The object that runs the tunnels of this process. */
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
  /** The name that the device has now. */
  readonly device: string;
  /** As configured. */
  readonly local: string;
  /** As configured: an address or a host name, with a port. */
  readonly remote: string;
  /** `opening` until it is open for the first time; `retrying` after a failure until it is open again; `closed` at the end. */
  readonly phase: 'opening' | 'open' | 'retrying' | 'closed';
  /** The phase, and while the tunnel is open its own state. */
  readonly state: ReportState;
  /** The state in words: `waiting for the peer`; `idle, last heard 2 min ago`. */
  readonly stateText: string;
  /** Why it is not open, or why an open one cannot carry packets, such as a deleted device. `null` if there is no problem. */
  readonly problem: Problem | null;
  /**
   * The probable reason why the peer does not answer, in a sentence with what to check on its host. `null` if it answers, if nothing
   * was sent to it, or while there is a `problem`.
   */
  readonly diagnosis: string | null;
  /** How to make an open tunnel faster; `null` if there is nothing to improve. */
  readonly advice: Advice | null;
  /** Current statistics; `null` until the tunnel was open once. The counters start at 0 whenever it is opened again. */
  readonly stats: TunnelStats | null;
  /** The last 50 changes, the oldest first. */
  readonly history: readonly TunnelChange[];
}

/** In the order in which a tunnel goes through them. */
export const REPORT_STATES = ['opening', 'waiting', 'up', 'idle', 'retrying', 'closed'] as const;
export type ReportState = (typeof REPORT_STATES)[number];

/** States in words; `idle` without the time since the peer was last heard. */
export const STATE_TEXTS: Readonly<Record<ReportState, string>> = {
  opening: 'opening',
  waiting: 'waiting for the peer',
  up: 'up',
  idle: 'idle',
  retrying: 'down, retrying',
  closed: 'closed',
};

export function describeState({
  phase,
  stats,
}: Pick<TunnelReport, 'phase' | 'stats'>): Pick<TunnelReport, 'state' | 'stateText'> {
  const state = phase === 'open' ? (stats?.state ?? 'opening') : phase;
  const lastAt = stats?.decap.lastAt ?? null;
  if (state !== 'idle' || stats === null || lastAt === null) return { state, stateText: STATE_TEXTS[state] };
  return {
    state,
    stateText: `${STATE_TEXTS.idle}, last heard ${formatAgoShort(Math.max(1000, stats.timestamp - lastAt))} ago`,
  };
}

/** @param tunnel the tunnel, once it was open */
export function toReport(
  settings: Pick<TunnelReport, 'name' | 'device' | 'local' | 'remote'>,
  tunnel: OpenTunnel | null,
  phase: TunnelReport['phase'],
  error: TtunError | null,
  history: readonly TunnelChange[] = tunnel?.history() ?? [],
): TunnelReport {
  const stats = tunnel?.stats() ?? null;
  return {
    ...settings,
    // It may have been renamed.
    device: stats?.device.name ?? settings.device,
    phase,
    ...describeState({ phase, stats }),
    problem: error === null ? null : toProblem(error),
    diagnosis: phase === 'open' && error === null ? (tunnel?.diagnosis() ?? null) : null,
    advice: phase === 'open' ? (tunnel?.advice() ?? null) : null,
    stats,
    history,
  };
}

export interface Advice {
  /** The problem; shown before a colon and the command. */
  readonly text: string;
  /** The command to type. */
  readonly command: string;
}

/** How to show a value of the statistics in its own line. */
export interface ShownValue {
  /** Where it is in the statistics: `encap.drops.too-big`. */
  readonly path: string;
  /** A few words. */
  readonly label: string;
  readonly unit: string;
  /** A sentence. */
  readonly help: string;
}

export const SHOWN_VALUES: readonly ShownValue[] = STATS.filter(({ label }) => label !== '').map(
  ({ path, label, unit, help }) => ({ path, label, unit, help }),
);

export interface Problem {
  /** Code of the `TtunError`. */
  readonly code: string;
  readonly message: string;
  /** How to fix it, if known. */
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
  /** Settings restored on the devices of unchanged tunnels, in words: `route 10.9.0.0/16`. */
  readonly restored: Readonly<Record<string, readonly string[]>>;
}

/** The options of the only tunnel of `ttun <tun> …`, which is named after its device. */
export interface SingleTunnel {
  readonly device: string;
  readonly local: string;
  readonly remote: string;
}

/**
 * @param open returns the tunnel once it is open
 * @param http returns where HTTP is served; `null` if nowhere
 */
export function hostOf(
  { device, local, remote }: SingleTunnel,
  open: () => OpenTunnel | undefined,
  http: () => HttpReport | null,
): TunnelHost {
  return {
    reports: () => {
      const tunnel = open() ?? null;
      const settings = { name: device, device, local, remote };
      return [toReport(settings, tunnel, phaseOf(tunnel), tunnel?.problem() ?? null)];
    },
    find: (name) => (name === device ? open() : undefined),
    http,
  };
}

function phaseOf(tunnel: OpenTunnel | null): TunnelReport['phase'] {
  if (tunnel === null) return 'opening';
  return tunnel.state === 'closed' ? 'closed' : 'open';
}
