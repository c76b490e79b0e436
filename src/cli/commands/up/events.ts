/** The same story for programs: a line of JSON on standard output for each event. */
import type { TtunError } from '../../../errors.ts';
import type { ServiceEvent } from '../../../service/service.ts';

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
    case 'reload-failed':
      return { event: 'reload-failed', error: toPlain(event.error) };
    default:
      // The service manager is no business of who reads this.
      return null;
  }
}

function toPlain({ code, message, hint, syscall, errno }: TtunError): object {
  return { code, message, hint, syscall, errno };
}
