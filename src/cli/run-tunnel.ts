/** The seed's form: one tunnel, from here until a signal or a fault ends it. */
import { TtunError } from '../errors.ts';
import { openTunnel } from '../open-tunnel.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { TunnelEnd } from '../tunnel.ts';
import type { Output, TunnelCommand } from './command-line.ts';
import { abortOnSignals } from './signals.ts';
import { say, sayError } from './talk.ts';
import { UsageError } from './usage-error.ts';
import { adviseMtu, describeAttached, describeError, summarise } from './wording.ts';

export async function runTunnel({ device, local, remote, output }: TunnelCommand): Promise<number> {
  const signal = abortOnSignals();
  let tunnel;
  try {
    tunnel = await openTunnel({ device, local, remote }, signal);
  } catch (error) {
    if (signal.aborted) return 0;
    return reportFailureToOpen(error);
  }
  reportAttached(tunnel);
  const stopShowing = await show(tunnel, output);
  const end = await tunnel.closed;
  stopShowing(end);
  // Output that nobody takes must not hold up the end of the process.
  setTimeout(() => process.exit(), FLUSH_LIMIT_MS).unref();
  if (end.reason === 'failed') {
    sayError(describeError(end.error));
    return 1;
  }
  for (const line of summarise(tunnel.stats())) say(line);
  return 0;
}

/** How long a slow reader of the output is waited for at the end, in ms. */
const FLUSH_LIMIT_MS = 1000;

function reportFailureToOpen(error: unknown): number {
  if (!(error instanceof TtunError)) throw error;
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

/** Starts what goes to standard output; returns what ends it. */
async function show(tunnel: OpenTunnel, output: Output): Promise<(end: TunnelEnd) => void> {
  if (output === 'nothing') return () => {};
  if (output === 'json') {
    const { startEvents } = await import('./events.ts');
    return startEvents(tunnel);
  }
  const { startPacketLines } = await import('./packet-lines.ts');
  return startPacketLines(tunnel, output === 'all-packets' ? 'all' : 'some');
}
