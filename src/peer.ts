/** Peers that are known by host name, and lookups of their addresses. */
import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkEnds, checkRemoteAddress, formatIpAddress, InvalidValue, parseIpAddress } from './address.ts';
import type { IpAddress, LocalEndpoint } from './address.ts';
import { TtunError } from './errors.ts';
import type { CreateTunnelSettings } from './tunnel.ts';

/** A peer that is known by name, and the local end that its address must fit. */
export interface NamedPeer {
  readonly name: string;
  readonly port: number;
  /** If it has an address, that determines the family. */
  readonly local: LocalEndpoint;
}

/**
 * The addresses of a peer. Retries as long as it takes: a host may start its programs before its network. `onWaiting` is called
 * with each new reason for a failure. Rejects with the signal's reason when it is aborted.
 */
export async function waitForName(
  peer: NamedPeer,
  { signal, onWaiting }: CreateTunnelSettings,
): Promise<Addresses> {
  let reported: string | undefined;
  for (let attempt = 0; ; attempt += 1) {
    try {
      const family = peer.local.address?.family ?? null;
      return await orAbort(() => resolveName(peer, family, signal), signal);
    } catch (error) {
      if (!(error instanceof TtunError && error.code === 'ERR_TTUN_NAME_NOT_RESOLVED')) throw error;
      if (error.message !== reported) onWaiting?.(error);
      reported = error.message;
    }
    await pause(RETRY_DELAYS_MS[Math.min(attempt, RETRY_DELAYS_MS.length - 1)], signal);
  }
}

/** The last one repeats. */
const RETRY_DELAYS_MS = [1000, 2000, 4000, 8000, 16_000, 30_000] as const;

/** A lookup that has started cannot be cancelled; its result after the abort is ignored. */
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
    // The signal's reason rather than the AbortError of the timer.
    signal?.throwIfAborted();
    throw error;
  }
}

// Lookups, by the system's resolver: /etc/hosts, DNS and whatever else it is configured to ask.

/** At least one. */
export type Addresses = readonly [IpAddress, ...IpAddress[]];

/**
 * The addresses of the peer that a tunnel can send to, in the order in which the system would try them.
 *
 * @param signal if it is aborted before the lookup has started, there is none, and its reason is thrown
 * @throws TtunError with code `ERR_TTUN_NAME_NOT_RESOLVED` if there is none at present
 */
export async function resolveName(
  { name, port, local }: NamedPeer,
  family: 4 | 6 | null,
  signal?: AbortSignal,
): Promise<Addresses> {
  const found = await inTurn(() => lookUp(name, family), signal);
  const unusable: InvalidValue[] = [];
  const usable = found.flatMap((text) => {
    try {
      const address = parseIpAddress(withoutMapping(text));
      checkRemoteAddress(address);
      checkEnds(local, { address, port });
      return [address];
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      unusable.push(error);
      return [];
    }
  });
  const distinct = new Map(usable.map((address) => [formatIpAddress(address), address]));
  const [first, ...others] = distinct.values();
  if (first !== undefined) return [first, ...others];
  throw notResolved(`${name} has no usable address: ${unusable[0]?.message}`, name);
}

/** `/etc/hosts` may have IPv4 addresses in the form of IPv6 (RFC 4291, section 2.5.5.2). */
function withoutMapping(text: string): string {
  return /^::ffff:(?<ipv4>[\d.]+)$/i.exec(text)?.groups?.['ipv4'] ?? text;
}

async function lookUp(name: string, family: 4 | 6 | null): Promise<string[]> {
  try {
    const found = await lookup(name, { all: true, family: family ?? 0 });
    return found.map(({ address }) => address);
  } catch (error) {
    throw notResolved(`${name}: ${describe(codeOf(error), family)}`, name, error);
  }
}

function codeOf(error: unknown): string {
  // An error of the call rather than of the name would be a bug.
  if (!(error instanceof Error && 'syscall' in error && 'code' in error)) throw error;
  return String(error.code);
}

function describe(code: string, family: 4 | 6 | null): string {
  if (code === 'ENOTFOUND') return family === null ? 'not found' : `no IPv${family} address found`;
  if (code === 'EAI_AGAIN') return 'no name server answered';
  return `lookup failed (${code})`;
}

function notResolved(message: string, name: string, cause?: unknown): TtunError {
  return new TtunError('ERR_TTUN_NAME_NOT_RESOLVED', message, {
    hint: `look it up with: getent ahosts ${name}`,
    cause,
  });
}

/**
 * The system's resolver blocks a thread of Node's pool, which has four, for many seconds if no name server answers. Many
 * tunnels together must not take all of them from the rest of the program.
 */
const AT_ONCE = 2;
let running = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(action: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    signal?.throwIfAborted();
    return await action();
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}
