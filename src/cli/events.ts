/** Events of tunnels: messages on standard error, and lines of JSON on standard output. */
import type { TtunError } from '../errors.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { ReloadReport } from '../tunnel-host.ts';
import type { ServiceEvent } from '../service/service.ts';
import { continueWithoutOutput, say, sayError } from '../terminal.ts';
import type { TunnelChange, TunnelChangeKind, TunnelEnd } from '../tunnel.ts';
import { describeError } from './text.ts';

/** Prints an event of `ttun up` as a message. */
export function printMessage(event: ServiceEvent): void {
  switch (event.kind) {
    case 'opened':
      for (const line of event.description) say(`${event.tunnel}: ${line}`);
      return;
    case 'change':
      sayChange(event);
      return;
    case 'peer':
      // It is a change too.
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

/** Prints a change as a message, unless it is not worth a line, or a problem with a hint is printed in its place. */
function sayChange({ tunnel, change, isImpaired }: Extract<ServiceEvent, { kind: 'change' }>): void {
  const { kind, level, message } = change;
  const isPrintedAsProblem = isImpaired && PROBLEMS.has(kind);
  if (level !== 'info' && !isPrintedAsProblem) say(`${tunnel}: ${message}`, level);
}

/** Changes that the tunnel also reports as its problem. */
const PROBLEMS: ReadonlySet<TunnelChangeKind> = new Set([
  'device-lost',
  'interface-lost',
  'local-address-lost',
  'route-lost',
]);

export function describeServing(url: string): string {
  return `serving metrics and a page at ${url}`;
}

/** `added lab; changed office, home; 3 unchanged; restored for home: route 10.9.0.0/16` */
export function describeReload({ added, changed, removed, unchanged, restored }: ReloadReport): string {
  const parts = [
    ...listed('added', added),
    ...listed('changed', changed),
    ...listed('removed', removed),
    ...(unchanged.length === 0 ? [] : [`${unchanged.length} unchanged`]),
    ...Object.entries(restored).map(([name, settings]) => `restored for ${name}: ${settings.join(', ')}`),
  ];
  return parts.length === 0 ? 'no tunnels' : parts.join('; ');
}

function listed(what: string, names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`${what} ${names.join(', ')}`];
}

/** Prints an event of `ttun up` as a line of JSON. */
export function printJson(event: ServiceEvent): void {
  const line = toObject(event);
  if (line !== null) print(line, event.kind === 'change' ? event.change.at : Date.now());
}

/** A line of JSON, without its time. */
interface PrintedEvent {
  readonly event: string;
  readonly [detail: string]: unknown;
}

function toObject(event: ServiceEvent): PrintedEvent | null {
  switch (event.kind) {
    case 'opened':
      return { event: 'attached', tunnel: event.tunnel, stats: event.stats };
    case 'peer':
      return { event: 'peer', tunnel: event.tunnel, remote: event.remote, previous: event.previous };
    case 'change':
      return toChangeObject(event.change, event.tunnel);
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

function toChangeObject({ at: _at, ...change }: TunnelChange, tunnel?: string): PrintedEvent {
  return { event: 'change', ...(tunnel === undefined ? {} : { tunnel }), ...change };
}

function toPlain({ code, message, hint, syscall, errno }: TtunError): object {
  return { code, message, hint, syscall, errno };
}

/** Prints the opening of the tunnel of `ttun <tun>` as a line of JSON; returns what prints its end. */
export function startEvents(tunnel: OpenTunnel): (end: TunnelEnd) => void {
  continueWithoutOutput();
  print({ event: 'attached', stats: tunnel.stats() }, Date.now());
  tunnel.on('change', (change) => print(toChangeObject(change), change.at));
  return (end) => {
    const stats = tunnel.stats();
    print(
      end.reason === 'closed'
        ? { event: 'closed', stats }
        : { event: 'failed', error: toPlain(end.error), stats },
      Date.now(),
    );
  };
}

/** Prints changes of the tunnel of `ttun <tun>` as messages. */
export function sayChanges(tunnel: OpenTunnel): void {
  tunnel.on('change', ({ level, message }) => {
    if (level !== 'info') say(message, level);
  });
}

/** @param at when it happened, in ms since the epoch */
function print({ event, ...rest }: PrintedEvent, at: number): void {
  process.stdout.write(`${JSON.stringify({ event, at: new Date(at).toISOString(), ...rest })}\n`);
}
