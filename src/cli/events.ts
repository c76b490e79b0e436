/** Events of tunnels: messages on standard error, and lines of JSON on standard output. */
import type { TtunError } from '../errors.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { ReloadReport } from '../tunnel-host.ts';
import type { ServiceEvent } from '../service/service.ts';
import { continueWithoutOutput, say, sayError } from '../terminal.ts';
import type { TunnelEnd } from '../tunnel.ts';
import { describeError } from './text.ts';

/** Prints an event of `ttun up` as a message. */
export function printMessage(event: ServiceEvent): void {
  switch (event.kind) {
    case 'opened':
      for (const line of event.description) say(`${event.tunnel}: ${line}`);
      return;
    case 'peer':
      say(`${event.tunnel}: the peer's address changed from ${event.previous} to ${event.remote}`);
      return;
    case 'impaired':
      sayError(`${event.tunnel}: ${describeError(event.error)}`);
      return;
    case 'waiting':
    case 'failed':
      sayError(`${event.tunnel}: ${describeError(event.error)}; retrying`);
      return;
    case 'closed':
      say(`${event.tunnel}: ${event.summary?.join('; ') ?? 'closed; it was never open'}`);
      return;
    case 'serving':
      say(event.url === null ? 'metrics and page are no longer served' : describeServing(event.url));
      return;
    case 'http-failed':
      sayError(`metrics and page are not served: ${describeError(event.error)}; retrying`);
      return;
    case 'reloaded':
      say(`configuration reloaded: ${describeReload(event.report)}`);
      return;
    case 'reload-failed':
      sayError(`the new configuration cannot be used; nothing was changed: ${describeError(event.error)}`);
      return;
    case 'manager-failed':
      sayError(`${describeError(event.error)}; continuing without`);
  }
}

export function describeServing(url: string): string {
  return `serving metrics and a page at ${url}`;
}

/** `added lab; changed office, home; 3 unchanged` */
export function describeReload({ added, changed, removed, unchanged }: ReloadReport): string {
  const parts = [
    ...listed('added', added),
    ...listed('changed', changed),
    ...listed('removed', removed),
    ...(unchanged.length === 0 ? [] : [`${unchanged.length} unchanged`]),
  ];
  return parts.length === 0 ? 'no tunnels' : parts.join('; ');
}

function listed(what: string, names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`${what} ${names.join(', ')}`];
}

/** Prints an event of `ttun up` as a line of JSON. */
export function printJson(event: ServiceEvent): void {
  const line = toObject(event);
  if (line !== null) print(line);
}

function toObject(event: ServiceEvent): object | null {
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
      // Failures of the service manager do not concern readers of the events.
      return null;
  }
}

function toPlain({ code, message, hint, syscall, errno }: TtunError): object {
  return { code, message, hint, syscall, errno };
}

/** Prints the opening of the tunnel of `ttun <tun>` as a line of JSON; returns what prints its end. */
export function startEvents(tunnel: OpenTunnel): (end: TunnelEnd) => void {
  continueWithoutOutput();
  print({ event: 'attached', stats: tunnel.stats() });
  return (end) => {
    const stats = tunnel.stats();
    print(
      end.reason === 'closed'
        ? { event: 'closed', stats }
        : { event: 'failed', error: toPlain(end.error), stats },
    );
  };
}

function print(event: object): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}
