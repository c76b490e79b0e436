/** `ttun <tun> …`: one tunnel, from here until a signal or a fault ends it. */
import { constants } from 'node:os';
import type { ControlServer } from '../control/server.ts';
import { TtunError } from '../errors.ts';
import type { HttpServer } from '../http/server.ts';
import { openTunnel } from '../open-tunnel.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import { hostOf } from '../tunnel-host.ts';
import type { TunnelHost } from '../tunnel-host.ts';
import type { TunnelEnd } from '../tunnel.ts';
import { UsageError } from './args.ts';
import { resolveSeedArguments } from './seed.ts';
import type { Output, TunnelCommand } from './seed.ts';
import { endByHangUp, endSoon, say, sayError } from './terminal.ts';
import { adviseMtu, describeAttached, describeError, summarise } from './text.ts';

export async function runTunnel(command: TunnelCommand): Promise<number> {
  const { device, local, remote, output, http } = command;
  const opened = { device, local, remote };
  const options = resolveSeedArguments(opened);
  const signal = abortOnSignals();
  const loadingShow = loadShow(output);
  let tunnel: OpenTunnel | undefined;
  const host = hostOf(opened, () => tunnel);
  let server: HttpServer | null = null;
  try {
    server = await serveHttp(http, host);
    tunnel = await openTunnel(options, { signal });
  } catch (error) {
    await server?.close();
    if (signal.aborted) return 0;
    return reportFailureToOpen(error);
  }
  const show = await loadingShow;
  // Shown from before the tunnel is said to be attached, so that all that comes after that is shown or counted.
  const endShow = show(tunnel);
  reportAttached(tunnel);
  if (server !== null) say(`metrics and a page to watch at ${server.url}`);
  const offering = offerControl(host);
  const end = await tunnel.closed;
  endShow(end);
  endSoon();
  const control = await offering;
  await Promise.all([control?.close(), server?.close()]);
  if (end.reason === 'failed') {
    sayError(describeError(end.error));
    return 1;
  }
  for (const line of summarise(tunnel.stats())) say(line);
  if (signal.reason === 'SIGHUP') endByHangUp();
  return 0;
}

async function serveHttp(listen: string | null, host: TunnelHost): Promise<HttpServer | null> {
  if (listen === null) return null;
  const { startHttpServer } = await import('../http/server.ts');
  return startHttpServer(listen, host);
}

/** Loaded when the tunnel runs already, which need not wait for it. */
async function offerControl(host: TunnelHost): Promise<ControlServer | null> {
  const control = await import('./control.ts');
  return control.offerControl(host);
}

function reportFailureToOpen(error: unknown): number {
  if (!(error instanceof TtunError)) throw error;
  // Of --http; those of the tunnel were looked at before.
  if (error.code === 'ERR_TTUN_INVALID_OPTIONS') throw new UsageError(describeError(error));
  sayError(describeError(error));
  return 1;
}

function reportAttached(tunnel: OpenTunnel): void {
  const stats = tunnel.stats();
  say(describeAttached(stats));
  const advice = adviseMtu(stats.device, stats.socket);
  if (advice !== null) say(advice);
}

/** Starts to show on standard output what a tunnel does; returns what ends that. */
type Show = (tunnel: OpenTunnel) => (end: TunnelEnd) => void;

/** Loads what shows it, while the tunnel is being opened. */
async function loadShow(output: Output): Promise<Show> {
  if (output === 'nothing') return () => () => {};
  if (output === 'json') return (await import('./events.ts')).startEvents;
  const { startPacketLines } = await import('./packet-lines.ts');
  return (tunnel) => startPacketLines(tunnel, output === 'all-packets' ? 'all' : 'some');
}

/** SIGHUP is here because closing a terminal would otherwise kill the process, and leave the device with its offloads on. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Is aborted, with its name as the reason, by the first signal that asks this process to end. A second one ends it at once. */
export function abortOnSignals(signals: readonly (typeof SIGNALS)[number][] = SIGNALS): AbortSignal {
  const controller = new AbortController();
  const onSignal = (signal: (typeof SIGNALS)[number]): void => {
    // What a shell reports for a program that a signal ended.
    if (controller.signal.aborted) process.exit(128 + constants.signals[signal]);
    controller.abort(signal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return controller.signal;
}
