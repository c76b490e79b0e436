/** Tunnels that run on this machine, by the names that people give them. */
import type { Survey } from '../control/client.ts';
import { ControlError } from '../control/protocol.ts';
import type { ProcessReport } from '../control/protocol.ts';
import type { TunnelReport } from '../tunnel-host.ts';

/** A tunnel, and the process that runs it. */
export interface RunningTunnel {
  /** Path of the control socket of the process. */
  readonly path: string;
  readonly process: ProcessReport;
  readonly report: TunnelReport;
}

export function runningTunnels({ replies }: Survey): RunningTunnel[] {
  return replies.flatMap(({ path, reply }) =>
    reply.tunnels.map((report) => ({ path, process: reply.process, report })),
  );
}

/**
 * The tunnels with one of these names, in all processes; all when no name is given.
 *
 * @throws ControlError when there is none of some name
 */
export function withNames(tunnels: readonly RunningTunnel[], names: readonly string[]): RunningTunnel[] {
  if (names.length === 0) return [...tunnels];
  const known = [...new Set(tunnels.map(({ report }) => report.name))];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw unknownTunnel(unknown, known);
  return tunnels.filter(({ report }) => names.includes(report.name));
}

function unknownTunnel(name: string, known: readonly string[]): ControlError {
  const there = known.length === 0 ? 'none runs' : `running: ${known.join(', ')}`;
  return new ControlError('unknown-tunnel', `there is no tunnel ${name}; ${there}`);
}
