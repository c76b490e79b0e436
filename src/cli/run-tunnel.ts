/** `ttun <tun> …`: runs one tunnel until a signal or a failure ends it. */
import { formatLocal, formatRemote } from '../address.ts';
import type { ControlServer, ControlSettings } from '../control/server.ts';
import { asTtunError, hintForLimit, TtunError } from '../errors.ts';
import { openTunnel } from '../open-tunnel.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { HttpEndpoint } from '../service/http-endpoint.ts';
import { hostOf } from '../tunnel-host.ts';
import type { TunnelHost } from '../tunnel-host.ts';
import { abortOnSignals, endByHangUp, endSoon, say, sayError } from '../terminal.ts';
import type { TunnelEnd } from '../tunnel.ts';
import { UsageError } from './args.ts';
import { describeServing, printMessage, sayChanges, startEvents } from './events.ts';
import { describeError } from './text.ts';
import type { Output, TunnelCommand } from './tunnel-arguments.ts';

export async function runTunnel({ options, output, http }: TunnelCommand): Promise<number> {
  const signal = abortOnSignals();
  const loadingPrinter = loadPrinter(output);
  let tunnel: OpenTunnel | undefined;
  const { device, local, remote } = options;
  const names = { device, local: formatLocal(local), remote: formatRemote(remote) };
  let endpoint: HttpEndpoint | null = null;
  const host = hostOf(
    names,
    () => tunnel,
    () => endpoint?.report() ?? null,
  );
  try {
    endpoint = await serveHttp(http, host);
    tunnel = await openTunnel(options, { signal });
  } catch (error) {
    await endpoint?.close();
    if (signal.aborted) return 0;
    throw usageErrorFrom(error);
  }
  const startPrinting = await loadingPrinter;
  // Before reporting that the tunnel is attached, so that every later packet is printed or counted.
  const stopPrinting = startPrinting(tunnel);
  for (const line of tunnel.describe()) say(line);
  const problem = tunnel.problem();
  if (problem !== null) say(describeError(problem));
  sayChanges(tunnel);
  const url = endpoint?.report()?.url ?? null;
  if (url !== null) say(describeServing(url));
  await endpoint?.settle();
  const startingControl = startControl(host);
  const end = await tunnel.closed;
  stopPrinting(end);
  endSoon();
  const control = await startingControl;
  await Promise.all([control?.close(), endpoint?.close()]);
  if (end.reason === 'failed') {
    sayError(describeError(end.error));
    return 1;
  }
  for (const line of tunnel.summary()) say(line);
  if (signal.reason === 'SIGHUP') endByHangUp();
  return 0;
}

/** Messages about it follow those about the opening of the tunnel. */
async function serveHttp(listen: string | null, host: TunnelHost): Promise<HttpEndpoint | null> {
  if (listen === null) return null;
  const { HttpEndpoint: Endpoint } = await import('../service/http-endpoint.ts');
  const endpoint = new Endpoint(host, (event) => {
    if (host.reports().some(({ phase }) => phase === 'open')) printMessage(event);
  });
  await endpoint.moveTo(listen);
  return endpoint;
}

/**
 * Starts the control server, which is loaded while the tunnel runs already. Without it, `ttun show` and others do not see this
 * process, but the tunnels are not affected; so failures are only reported.
 */
export async function startControl(
  host: TunnelHost,
  settings: ControlSettings = {},
): Promise<ControlServer | null> {
  try {
    const { startControlServer } = await import('../control/server.ts');
    return await startControlServer(host, settings);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const problem = describeError({ message, hint: hintForLimit(error) });
    say(`${problem}; continuing without a control socket, so ttun show cannot see this process`);
    return null;
  }
}

/** Invalid options are arguments such as --http, as those of tunnels were checked before. Returns other errors unchanged. */
export function usageErrorFrom(error: unknown): unknown {
  const isInvalid = error instanceof TtunError && error.code === 'ERR_TTUN_INVALID_OPTIONS';
  return isInvalid ? new UsageError(describeError(error)) : error;
}

/** Starts printing packets or events of a tunnel on standard output; returns what stops it. */
type Printer = (tunnel: OpenTunnel) => (end: TunnelEnd) => void;

/** Loads the printer while the tunnel is being opened. */
async function loadPrinter(output: Output): Promise<Printer> {
  if (output === 'nothing') return () => () => {};
  if (output === 'json') return startEvents;
  try {
    const { startPacketLines } = await import('./packet-lines.ts');
    return (tunnel) => startPacketLines(tunnel, output === 'all-packets' ? 'all' : 'some');
  } catch (error) {
    // There may still be enough descriptors for the tunnel.
    return () => {
      say(`packets are not printed: ${describeError(asTtunError(error))}`);
      return () => {};
    };
  }
}
