/** The state of all tunnels in one line, as `systemctl status` shows it. */
import type { TunnelReport } from './host.ts';

/** `2 of 3 tunnels open; office: no device is called tun7` */
export function describeStatus(reports: readonly TunnelReport[]): string {
  const open = reports.filter(({ phase, problem }) => phase === 'open' && problem === null).length;
  const problems = reports.flatMap(({ name, problem }) =>
    problem === null ? [] : [`${name}: ${problem.message}`],
  );
  const told = problems.slice(0, MOST_PROBLEMS).map((problem) => cut(problem));
  const left = problems.length - told.length;
  const others = left === 0 ? [] : [`${left} more ${left === 1 ? 'problem' : 'problems'}`];
  return [`${open} of ${reports.length} tunnels open`, ...told, ...others].join('; ');
}

/** systemd ignores messages of more than 4096 bytes, and with the status would miss what else is in them: that all is ready. */
const MOST_PROBLEMS = 5;
const LONGEST_PROBLEM = 200;

function cut(text: string): string {
  return text.length <= LONGEST_PROBLEM ? text : `${text.slice(0, LONGEST_PROBLEM - 1)}…`;
}
