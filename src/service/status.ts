/** The state of all tunnels in one line, as `systemctl status` shows it. */
import type { TunnelReport } from './host.ts';

/** `2 of 3 tunnels open; office: no device is called tun7` */
export function describeStatus(reports: readonly TunnelReport[]): string {
  const open = reports.filter(({ phase, problem }) => phase === 'open' && problem === null).length;
  const problems = reports.flatMap(({ name, problem }) =>
    problem === null ? [] : [`${name}: ${problem.message}`],
  );
  return [`${open} of ${reports.length} tunnels open`, ...problems].join('; ');
}
