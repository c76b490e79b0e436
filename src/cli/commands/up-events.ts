/** The same story for programs: a line of JSON on standard output for each event. */
import type { TtunError } from '../../errors.ts';
import type { ReloadReport } from '../../tunnel-host.ts';
import type { ServiceEvent } from '../../service/service.ts';
import { say, sayError } from '../terminal.ts';
import { adviseMtu, describeAttached, describeError, summarise } from '../text.ts';

export function printEvent(event: ServiceEvent): void {
  const line = toLine(event);
  if (line !== null) process.stdout.write(`${JSON.stringify(line)}\n`);
}

function toLine(event: ServiceEvent): object | null {
  switch (event.kind) {
    case 'opened':
      return { event: 'attached', tunnel: event.tunnel, stats: event.stats };
    case 'peer':
      return { event: 'peer', tunnel: event.tunnel, remote: event.remote, previous: event.previous };
    case 'impaired':
    case 'waiting':
      return { event: event.kind, tunnel: event.tunnel, error: toPlain(event.error) };
    case 'failed': {
      const { tunnel, error, retryInMs, stats } = event;
      return { event: 'failed', tunnel, error: toPlain(error), retryInMs, stats };
    }
    case 'closed':
      return { event: 'closed', tunnel: event.tunnel, stats: event.stats };
    case 'serving':
      return { event: 'serving', url: event.url };
    case 'reloaded':
      return { event: 'reloaded', ...event.report };
    case 'http-failed':
    case 'reload-failed':
      return { event: event.kind, error: toPlain(event.error) };
    default:
      // The service manager is no business of who reads this.
      return null;
  }
}

function toPlain({ code, message, hint, syscall, errno }: TtunError): object {
  return { code, message, hint, syscall, errno };
}

// What a person is told of the tunnels as they come and go, on standard error.

export function tell(event: ServiceEvent): void {
  switch (event.kind) {
    case 'opened': {
      say(`${event.tunnel}: ${describeAttached(event.stats)}`);
      const advice = adviseMtu(event.stats.device, event.stats.socket);
      if (advice !== null) say(`${event.tunnel}: ${advice}`);
      return;
    }
    case 'peer':
      say(`${event.tunnel}: the peer is now at ${event.remote}, and was at ${event.previous}`);
      return;
    case 'impaired':
      sayError(`${event.tunnel}: ${describeError(event.error)}`);
      return;
    case 'waiting':
    case 'failed':
      sayError(`${event.tunnel}: ${describeError(event.error)}; it is tried again until it works`);
      return;
    case 'closed': {
      const summary = event.stats === null ? ['closed, and was never open'] : summarise(event.stats);
      say(`${event.tunnel}: ${summary.join('; ')}`);
      return;
    }
    case 'serving':
      say(
        event.url === null
          ? 'metrics and a page are no longer served'
          : `metrics and a page to watch at ${event.url}`,
      );
      return;
    case 'http-failed':
      sayError(`metrics and page are not served: ${describeError(event.error)}; retrying`);
      return;
    case 'reloaded':
      say(`configuration loaded anew: ${describeReload(event.report)}`);
      return;
    case 'reload-failed':
      sayError(
        `nothing is changed, because the new configuration cannot be used: ${describeError(event.error)}`,
      );
      return;
    case 'manager-failed':
      sayError(`${describeError(event.error)}; going on without`);
  }
}

/** `added lab; changed office, home; 3 unchanged` */
export function describeReload({ added, changed, removed, unchanged }: ReloadReport): string {
  const parts = [
    ...listed('added', added),
    ...listed('changed', changed),
    ...listed('removed', removed),
    ...(unchanged.length === 0 ? [] : [`${unchanged.length} unchanged`]),
  ];
  return parts.length === 0 ? 'there are no tunnels in it' : parts.join('; ');
}

function listed(what: string, names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`${what} ${names.join(', ')}`];
}
