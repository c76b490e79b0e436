/** A peer that is known by name: its address is found before the tunnel is opened, and again when the peer is silent. */
import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkEnds, checkRemoteAddress, formatIpAddress, InvalidValue, parseIpAddress } from './address.ts';
import type { Endpoint, IpAddress, LocalEndpoint } from './address.ts';
import { asTtunError, TtunError } from './errors.ts';
import type { TunnelState } from './stats.ts';
import type { CreateTunnelSettings } from './tunnel.ts';

// Finds the peer again when it is silent: its name may have got another address.

/** How often the name of a silent peer is looked up, and how long an address may be silent while there are others. */
const AGAIN_MS = 30_000;

/** What the search does with the tunnel. */
export interface SearchingTunnel {
  /** Packets to be sent so far, sent or not. */
  packetsToSend(): number;
  /** Sends to this address from now on; rejects if that is not possible. */
  setRemote(remote: Endpoint): Promise<void>;
  /** Reports what keeps the peer from being found again; `null` when nothing does. */
  setPeerProblem(problem: TtunError | null): void;
}

/** The search for one peer. It acts only when it is called with the state. */
export class PeerSearch {
  readonly #peer: NamedPeer;
  readonly #tunnel: SearchingTunnel;
  readonly #resolve: typeof resolveName;
  readonly #now: () => number;
  #address: IpAddress;
  #silentSince: number | null;
  #lookedUpAt: number;
  #packetsThen = 0;
  #lookingUp = false;

  constructor(
    peer: NamedPeer,
    address: IpAddress,
    tunnel: SearchingTunnel,
    { resolve = resolveName, now = () => performance.now() }: SearchSeams = {},
  ) {
    this.#peer = peer;
    this.#address = address;
    this.#tunnel = tunnel;
    this.#resolve = resolve;
    this.#now = now;
    this.#silentSince = this.#lookedUpAt = now();
  }

  /** Looks the name up if it is time to, and connects to its present address. Never rejects: problems are reported to the tunnel. */
  async look(state: TunnelState): Promise<void> {
    if (state !== 'waiting') {
      this.#silentSince = null;
      this.#tunnel.setPeerProblem(null);
      return;
    }
    const now = this.#now();
    const fellSilent = this.#silentSince === null;
    this.#silentSince ??= now;
    if (this.#lookingUp || !(fellSilent || now - this.#lookedUpAt >= AGAIN_MS)) return;
    // While nothing is sent no address is needed.
    const packets = this.#tunnel.packetsToSend();
    if (packets === this.#packetsThen) return;

    this.#packetsThen = packets;
    this.#lookedUpAt = now;
    this.#lookingUp = true;
    try {
      const addresses = await this.#resolve(this.#peer, this.#address.family);
      const since = this.#silentSince;
      // It may have answered meanwhile.
      if (since !== null) await this.#take(this.#choose(addresses, now - since >= AGAIN_MS));
      this.#tunnel.setPeerProblem(null);
    } catch (error) {
      // The present address may still be right, and the name is looked up again anyway.
      this.#tunnel.setPeerProblem(asTtunError(error));
    } finally {
      this.#lookingUp = false;
    }
  }

  /** The address at hand if the name still stands for it, unless another one deserves a turn. */
  #choose(addresses: readonly IpAddress[], longSilent: boolean): IpAddress | undefined {
    const current = formatIpAddress(this.#address);
    const index = addresses.findIndex((address) => formatIpAddress(address) === current);
    if (index === -1) return addresses[0];
    return longSilent ? addresses[(index + 1) % addresses.length] : this.#address;
  }

  async #take(address: IpAddress | undefined): Promise<void> {
    if (address === undefined || formatIpAddress(address) === formatIpAddress(this.#address)) return;
    await this.#tunnel.setRemote({ address, port: this.#peer.port });
    this.#address = address;
  }
}

/** What tests put in place of the resolver and the clock. */
export interface SearchSeams {
  readonly resolve?: typeof resolveName;
  readonly now?: () => number;
}

// Names of peers, looked up by the system's own resolver: /etc/hosts, DNS and whatever else it is told to ask.

/** A peer that is known by name, and what its address has to fit. */
export interface NamedPeer {
  readonly name: string;
  readonly port: number;
  /** Where the tunnel's own socket is; its address settles the family. */
  readonly local: LocalEndpoint;
}

/** At least one. */
export type Addresses = readonly [IpAddress, ...IpAddress[]];

/**
 * The addresses of the peer to which this tunnel can send, in the order in which the system would try them.
 *
 * @param signal when it is aborted before the lookup has begun, there is none, and its reason is thrown
 * @throws TtunError with code `ERR_TTUN_NAME_NOT_RESOLVED` when there is none at present
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
      const address = parseIpAddress(text);
      checkRemoteAddress(address);
      checkEnds(local, { address, port });
      return [address];
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      unusable.push(error);
      return [];
    }
  });
  const [first, ...others] = usable;
  if (first !== undefined) return [first, ...others];
  throw notResolved(`${name} has no address that can be used: ${unusable[0]?.message}`, name);
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
  // What is wrong with the call, and not with the name, would be a bug and never change.
  if (!(error instanceof Error && 'syscall' in error && 'code' in error)) throw error;
  return String(error.code);
}

function describe(code: string, family: 4 | 6 | null): string {
  if (code === 'ENOTFOUND') return family === null ? 'not found' : `no IPv${family} address found`;
  if (code === 'EAI_AGAIN') return 'no name server answers';
  return `looking it up failed (${code})`;
}

function notResolved(message: string, name: string, cause?: unknown): TtunError {
  return new TtunError('ERR_TTUN_NAME_NOT_RESOLVED', message, {
    hint: `see what the system knows of it with: getent ahosts ${name}`,
    cause,
  });
}

/**
 * The system's resolver blocks a thread of Node's pool, of which there are four, for many seconds when no name server
 * answers. Many tunnels together are not to take them all from the rest of the program.
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

// Opening a tunnel to a name that can't be resolved yet: a host that starts may have its network later than its programs.

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
