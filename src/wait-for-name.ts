/** Opening a tunnel to a name that can't be resolved yet: a host that starts may have its network later than its programs. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { IpAddress } from './address.ts';
import { TtunError } from './errors.ts';
import { resolveName } from './resolve-name.ts';
import type { NamedPeer } from './resolve-name.ts';
import type { CreateTunnelSettings } from './tunnel.ts';

/** Pauses between attempts, in ms; the last one for good. */
const PAUSES_MS = [1000, 2000, 4000, 8000, 16_000, 30_000] as const;

/**
 * The address of a peer, waited for as long as it takes. `onWaiting` is called with each new reason why there is none.
 * Rejects with the signal's reason when it is aborted.
 */
export async function waitForName(
  peer: NamedPeer,
  { signal, onWaiting }: CreateTunnelSettings,
): Promise<IpAddress> {
  let told: string | undefined;
  for (let attempt = 0; ; attempt += 1) {
    try {
      const family = peer.local.address?.family ?? null;
      const [address] = await orAbort(() => resolveName(peer, family, signal), signal);
      return address;
    } catch (error) {
      if (!(error instanceof TtunError && error.code === 'ERR_TTUN_NAME_NOT_RESOLVED')) throw error;
      if (error.message !== told) onWaiting?.(error);
      told = error.message;
    }
    await pause(PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)], signal);
  }
}

/** A lookup that has begun can't be called off; what it brings after the abort is for nobody. */
async function orAbort<T>(start: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return start();
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([start(), aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop);
  }
}

async function pause(ms: number | undefined, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    // Not the AbortError of the timer, but what the signal was aborted with.
    signal?.throwIfAborted();
    throw error;
  }
}
