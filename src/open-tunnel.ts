/** The tunnel as this package itself holds it: over the binding, with what its users do not see. */
import { setMaxListeners } from 'node:events';
import type {
  BindingAdvice,
  BindingEnd,
  BindingEndpoint,
  BindingInterfaceOptions,
  BindingNetwork,
  BindingTunnel,
  BindingTunnelOptions,
  BindingWatch,
  BindingWatchOptions,
} from '../binding.cjs';
import { ipBytes } from './address.ts';
import type { Endpoint, IpAddress } from './address.ts';
import { TtunError } from './errors.ts';
import { loadBinding, toTtunError } from './native.ts';
import type { ResolvedInterface, ResolvedOptions } from './options.ts';
import { takeSamples } from './rates.ts';
import type { SamplesOptions, TunnelSample } from './rates.ts';
import { StatsReader } from './stats-reader.ts';
import type { StatsOptions, TunnelState, TunnelStats } from './stats.ts';
import type { CreateTunnelSettings, Tunnel, TunnelEnd } from './tunnel.ts';
import { KeepAlive, TunnelEmitter } from './tunnel-emitter.ts';

/** An open tunnel runs on when nobody holds it any more; the binding would close what is collected as garbage. */
const openTunnels = new Set<OpenTunnel>();

/** As `createTunnel`, for options that were checked. */
export async function openTunnel(
  options: ResolvedOptions,
  settings: CreateTunnelSettings = {},
): Promise<OpenTunnel> {
  settings.signal?.throwIfAborted();
  const { remote } = options;
  if (remote.name === undefined) return openTo(remote.address, options, settings);
  // Loaded only for a name: most tunnels have none, and should start quickly.
  const { PeerSearch, waitForName } = await import('./peer.ts');
  const peer = { name: remote.name, port: remote.port, local: options.local };
  const address = await waitForName(peer, settings);
  const tunnel = await openTo(address, options, settings);
  const search = new PeerSearch(peer, address, {
    packetsToSend: () => tunnel.stats().encap.received,
    setRemote: (endpoint) => tunnel.setRemote(endpoint),
    setPeerProblem: (problem) => tunnel.setPeerProblem(problem),
  });
  tunnel.followState((state) => void search.look(state));
  return tunnel;
}

/** Opens a tunnel to the peer at `address`. */
async function openTo(
  address: IpAddress,
  options: ResolvedOptions,
  { signal }: CreateTunnelSettings,
): Promise<OpenTunnel> {
  const binding = await loadBinding();
  const keepAlive = new KeepAlive();
  let onEnd: ((end: BindingEnd) => void) | undefined;
  const ended = new Promise<BindingEnd>((resolve) => {
    onEnd = resolve;
  });
  try {
    const opening = binding.openTunnel(toBindingOptions(options, address), (end) => onEnd?.(end));
    const { error, tunnel } = await opening;
    if (error !== null) throw toTtunError(error);
    if (tunnel === null)
      throw new TtunError('ERR_TTUN_INTERNAL', 'the binding gave neither a tunnel nor an error');
    if (signal?.aborted === true) {
      tunnel.requestClose();
      await ended;
      signal.throwIfAborted();
    }
    return new OpenTunnel(tunnel, ended, keepAlive, signal);
  } catch (error) {
    keepAlive.end();
    throw error;
  }
}

export class OpenTunnel extends TunnelEmitter implements Tunnel {
  readonly closed: Promise<TunnelEnd>;
  readonly #binding: BindingTunnel;
  readonly #keepAlive: KeepAlive;
  readonly #reader: StatsReader;
  readonly #ended = new AbortController();
  #peerProblem: TtunError | null = null;

  constructor(
    binding: BindingTunnel,
    ended: Promise<BindingEnd>,
    keepAlive: KeepAlive,
    signal: AbortSignal | undefined,
  ) {
    super();
    this.#binding = binding;
    this.#keepAlive = keepAlive;
    this.#reader = new StatsReader(binding);
    // As many as take samples at once.
    setMaxListeners(0, this.#ended.signal);
    const closeOnAbort = (): void => void this.close();
    signal?.addEventListener('abort', closeOnAbort, { once: true });
    openTunnels.add(this);
    this.closed = ended.then((bindingEnd) => {
      signal?.removeEventListener('abort', closeOnAbort);
      openTunnels.delete(this);
      keepAlive.end();
      const end = toTunnelEnd(bindingEnd);
      this.emitEnd(end);
      this.#ended.abort();
      return end;
    });
  }

  get state(): TunnelState {
    return this.#binding.state();
  }

  /**
   * What keeps it from working although it runs: its device is gone, or its peer is silent and can't be looked up or connected
   * to again.
   */
  problem(): TtunError | null {
    const problem = this.#binding.problem();
    return problem === null ? this.#peerProblem : toTtunError(problem);
  }

  /** Sets what keeps a silent peer from being found again; `null` when nothing does. */
  setPeerProblem(problem: TtunError | null): void {
    this.#peerProblem = problem;
  }

  /** What it is attached to, and what to type to make it faster, line by line. */
  describe(): string[] {
    const advice = this.advice();
    return [this.#binding.attached(), ...(advice === null ? [] : [`${advice.text}: ${advice.command}`])];
  }

  /** What to type to make it faster; `null` where there is nothing to do. */
  advice(): BindingAdvice | null {
    return this.#binding.advice();
  }

  /** What it carried, and what it did not, line by line. */
  summary(): string[] {
    return this.#binding.summary();
  }

  stats(options?: { readonly bigint?: false }): TunnelStats;
  stats(options: { readonly bigint: true }): TunnelStats<bigint>;
  stats(options?: StatsOptions): TunnelStats | TunnelStats<bigint>;
  stats({ bigint = false }: StatsOptions = {}): TunnelStats | TunnelStats<bigint> {
    return bigint ? this.#reader.readExact() : this.#reader.read();
  }

  samples(options: SamplesOptions = {}): AsyncGenerator<TunnelSample, void, void> {
    return takeSamples(() => this.stats(), this.#ended.signal, options);
  }

  async close(): Promise<void> {
    // Whoever waits for the end of an un-ref'd tunnel is to see it.
    this.#keepAlive.ref();
    this.#binding.requestClose();
    await this.closed;
  }

  ref(): this {
    this.#keepAlive.ref();
    return this;
  }

  unref(): this {
    this.#keepAlive.unref();
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Starts to copy packets that pass into a bounded ring, from which the watch's `take` takes them. `wake` is called, from
   * time to time and not for each packet, when there is something to take. Up to 16 may watch at once.
   *
   * @throws TtunError with code `ERR_TTUN_TOO_MANY_WATCHES`
   */
  watch(options: BindingWatchOptions, wake: () => void): BindingWatch {
    const { error, watch } = this.#binding.watch(options, wake);
    if (error !== null) throw toTtunError(error);
    if (watch === null)
      throw new TtunError('ERR_TTUN_INTERNAL', 'the binding gave neither a watch nor an error');
    return watch;
  }

  /**
   * Makes `remote`, of the same family, the peer.
   *
   * @throws TtunError saying why that is not possible; the tunnel keeps its peer then
   */
  async setRemote(remote: Endpoint): Promise<void> {
    const previous = this.stats().socket.remote;
    const error = await this.#binding.setRemote(toBindingEndpoint(remote));
    if (error !== null) throw toTtunError(error);
    const now = this.stats().socket.remote;
    // In a turn of its own: an exception of a listener is not an error of the caller.
    queueMicrotask(() => this.emit('peer', now, previous));
  }
}

function toTunnelEnd({ error }: BindingEnd): TunnelEnd {
  return error === null ? { reason: 'closed' } : { reason: 'failed', error: toTtunError(error) };
}

// Options that were checked, in the form in which the binding takes them.

/** `peer` is the address of the remote end: its own, or one that its name stands for. */
export function toBindingOptions(options: ResolvedOptions, peer: IpAddress): BindingTunnelOptions {
  const { local, remote } = options;
  return {
    ...options,
    local: toBindingEndpoint({ address: local.address ?? anyAddress(peer.family), port: local.port }),
    remote: toBindingEndpoint({ address: peer, port: remote.port }),
    allowedSources: options.allowedSources?.map(toBindingNetwork) ?? null,
    interface: options.interface === null ? null : toBindingInterface(options.interface),
  };
}

function anyAddress(family: IpAddress['family']): IpAddress {
  return { family, text: family === 4 ? '0.0.0.0' : '::', scopeId: null };
}

function toBindingEndpoint({ address: { text, scopeId }, port }: Endpoint): BindingEndpoint {
  return { ip: ipBytes(text), port, zone: scopeId === null ? null : String(scopeId) };
}

/** From `address/prefix length`. */
function toBindingNetwork(network: string): BindingNetwork {
  const [address = '', prefixLength] = network.split('/');
  return { ip: ipBytes(address), prefixLength: Number(prefixLength) };
}

function toBindingInterface({ mtu, addresses, routes, ...rest }: ResolvedInterface): BindingInterfaceOptions {
  return {
    ...rest,
    addresses: addresses.map(toBindingNetwork),
    routes: routes.map(toBindingNetwork),
    mtu: mtu === 'auto' ? null : mtu,
    mtuAuto: mtu === 'auto',
  };
}
