/** The tunnel as this package itself uses it: a wrapper of the binding, with internal methods. */
import { setMaxListeners } from 'node:events';
import type {
  BindingAdvice,
  BindingChange,
  BindingEnd,
  BindingEndpoint,
  BindingInterfaceOptions,
  BindingNetwork,
  BindingTunnel,
  BindingTunnelOptions,
  BindingTap,
  BindingTapOptions,
} from '../binding.cjs';
import { InvalidValue, ipBytes } from './address.ts';
import type { EchoRequest, EchoResults, EchoTimes } from './echo.ts';
import type { Endpoint, IpAddress } from './address.ts';
import type { ResolvedInterface } from './schema-interface.ts';
import type { ResolvedOptions } from './schema.ts';
import { TtunError } from './errors.ts';
import type { TtunErrorCode } from './errors.ts';
import { loadBinding, toTtunError } from './native.ts';
import type { IpNetwork } from './network.ts';
import type { EchoingTunnel } from './measure-path.ts';
import type { PathMeasurement } from './path.ts';
import type { Observation, SearchingTunnel } from './peer-search.ts';
import { rateOf } from './quantity.ts';
import { takeSamples } from './rates.ts';
import type { SamplesOptions, TunnelSample } from './rates.ts';
import { StatsReader } from './stats-reader.ts';
import type { StatsOptions, TunnelState, TunnelStats } from './stats.ts';
import type { CreateTunnelSettings, MeasurePathOptions, Tunnel, TunnelChange, TunnelEnd } from './tunnel.ts';
import { KeepAlive, TunnelEmitter } from './tunnel-emitter.ts';

/** As `createTunnel`, for options that are resolved. */
export async function openTunnel(
  options: ResolvedOptions,
  settings: CreateTunnelSettings = {},
): Promise<OpenTunnel> {
  settings.signal?.throwIfAborted();
  const { local, remote } = options;
  if (remote.name === undefined) return openTo(remote.address ?? null, options, settings);
  // Most tunnels have no host name, and are to start quickly.
  const [{ waitForName }, { PeerSearch }] = await Promise.all([
    import('./peer.ts'),
    import('./peer-search.ts'),
  ]);
  const peer = { name: remote.name, port: remote.port, local };
  const addresses = await waitForName(peer, settings);
  const { tunnel, address } = await openToFirst(addresses, options, settings);
  const search = new PeerSearch(peer, addresses, address, tunnel);
  tunnel.followState(() => void search.check());
  return tunnel;
}

/** Opens a tunnel to the first address that can be used: this host may have no route to one of the families. */
async function openToFirst(
  addresses: readonly IpAddress[],
  options: ResolvedOptions,
  settings: CreateTunnelSettings,
): Promise<{ tunnel: OpenTunnel; address: IpAddress }> {
  let failure: unknown;
  for (const address of addresses) {
    try {
      return { tunnel: await openTo(address, options, settings), address };
    } catch (error) {
      failure ??= error;
      if (!(error instanceof TtunError && ERRORS_OF_AN_ADDRESS.has(error.code))) throw error;
    }
  }
  throw failure;
}

/** After one of these errors, another address may work. */
const ERRORS_OF_AN_ADDRESS: ReadonlySet<TtunErrorCode> = new Set([
  'ERR_TTUN_NO_ROUTE',
  'ERR_TTUN_ADDRESS_NOT_LOCAL',
  'ERR_TTUN_BIND_DEVICE_NOT_FOUND',
  'ERR_TTUN_INVALID_OPTIONS',
  'ERR_TTUN_PORT_IN_USE',
  'ERR_TTUN_SYSTEM',
] as const);

/** Errors of the socket that do not depend on the peer. */
const NOT_REFUSALS: ReadonlySet<string> = new Set(['EMSGSIZE', 'ENOBUFS', 'ENOMEM', 'EIO', 'EINVAL']);

/** Opens a tunnel to the peer at `address`; `null` if the peer is learned. */
async function openTo(
  address: IpAddress | null,
  options: ResolvedOptions,
  { signal }: CreateTunnelSettings,
): Promise<OpenTunnel> {
  const binding = loadBinding();
  const bindingOptions = toBindingOptions(options, address);
  const keepAlive = new KeepAlive();
  let onEnd: ((end: BindingEnd) => void) | undefined;
  const ended = new Promise<BindingEnd>((resolve) => {
    onEnd = resolve;
  });
  try {
    let opened: OpenTunnel | undefined;
    const { error, tunnel } = await binding.openTunnel(
      bindingOptions,
      (end) => onEnd?.(end),
      (change) => opened?.emitChange(toTunnelChange(change)),
    );
    if (error !== null) throw toTtunError(error);
    if (tunnel === null)
      throw new TtunError('ERR_TTUN_INTERNAL', 'the binding returned neither a tunnel nor an error');
    if (signal?.aborted === true) {
      tunnel.requestClose();
      await ended;
      signal.throwIfAborted();
    }
    opened = new OpenTunnel(tunnel, ended, keepAlive, signal);
    return opened;
  } catch (error) {
    keepAlive.end();
    throw error;
  }
}

/** An open tunnel continues to run when nothing refers to it; the binding would close a tunnel that is garbage-collected. */
const openTunnels = new Set<OpenTunnel>();

export class OpenTunnel extends TunnelEmitter implements Tunnel, SearchingTunnel, EchoingTunnel {
  readonly closed: Promise<TunnelEnd>;
  readonly #binding: BindingTunnel;
  readonly #keepAlive: KeepAlive;
  readonly #reader: StatsReader;
  readonly #ended = new AbortController();
  #peerProblem: TtunError | null = null;
  /** The last measurement, done or under way. */
  #measured: Promise<unknown> = Promise.resolve();

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
    // Each loop over samples adds a listener.
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

  /** Why it does not work although it runs: its device is gone, or its silent peer cannot be looked up. */
  problem(): TtunError | null {
    const problem = this.#binding.problem();
    return problem === null ? this.#peerProblem : toTtunError(problem);
  }

  /** Its device and ends, and the command that would make it faster, line by line. */
  describe(): string[] {
    const advice = this.advice();
    return [this.#binding.attached(), ...(advice === null ? [] : [`${advice.text}: ${advice.command}`])];
  }

  /** The command that would make it faster; `null` if there is none. */
  advice(): BindingAdvice | null {
    return this.#binding.advice();
  }

  /** A summary of its traffic and drops, line by line. */
  summary(): string[] {
    return this.#binding.summary();
  }

  /** What is probably wrong with a peer that does not answer, in a sentence with what to check; `null` if it answers. */
  diagnosis(): string | null {
    return this.#binding.diagnosis();
  }

  history(): TunnelChange[] {
    return this.#binding.history().map(toTunnelChange);
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

  measurePath({ address }: MeasurePathOptions = {}): Promise<PathMeasurement> {
    const measured = this.#measured.then(async () => {
      const { measureTunnel } = await import('./measure-path.ts');
      return measureTunnel(this, address);
    });
    // One that fails does not affect the next.
    this.#measured = measured.catch(() => {});
    return measured;
  }

  async sendEchoes(
    address: string,
    requests: readonly EchoRequest[],
    times: EchoTimes,
  ): Promise<EchoResults> {
    const { error, results } = await this.#binding.sendEchoes(ipBytes(address), [...requests], times);
    if (error !== null) throw toTtunError(error);
    return results;
  }

  async close(): Promise<void> {
    // So that the end of an un-ref'd tunnel can be awaited.
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
   * Starts to copy packets to a bounded ring, which `take` empties. `wake` is called when there are packets to
   * take, from time to time and not for each packet. Up to 16 taps may be open at once.
   *
   * @throws TtunError with code `ERR_TTUN_TOO_MANY_WATCHES`
   */
  tap(options: BindingTapOptions, wake: () => void): BindingTap {
    const { error, tap } = this.#binding.tap(options, wake);
    if (error !== null) throw toTtunError(error);
    if (tap === null)
      throw new TtunError('ERR_TTUN_INTERNAL', 'the binding returned neither a tap nor an error');
    return tap;
  }

  // For the search of a peer by its name.

  observe(): Observation {
    const { encap, decap, probe, socket } = this.stats();
    const errors = Object.entries(socket.errors).filter(([name]) => !NOT_REFUSALS.has(name));
    const code = this.#binding.problem()?.code;
    return {
      packetsToSend: encap.received + probe.sent,
      received: decap.received + probe.received + probe.late,
      isHeard: decap.lastAt !== null,
      refusals: errors.reduce((sum, [, count]) => sum + (count ?? 0), 0),
      isCutOff: code === 'ERR_TTUN_NO_ROUTE' || code === 'ERR_TTUN_ADDRESS_NOT_LOCAL',
    };
  }

  /**
   * Makes `remote` the peer, which may be of the other family if the local address is left open.
   *
   * @throws TtunError if that is not possible; the tunnel then keeps its peer
   */
  async setRemote(remote: Endpoint): Promise<void> {
    const previous = this.stats().socket.remote;
    const error = await this.#binding.setRemote(toBindingEndpoint(remote));
    if (error !== null) throw toTtunError(error);
    const now = this.stats().socket.remote;
    if (now === null || previous === null) return;
    // Separately: an exception of a listener is not an error of the caller.
    queueMicrotask(() => this.emit('peer', now, previous));
  }

  setRate(rate: string | number | null): void {
    const error = this.#binding.setRate(rate === null ? null : bitsPerSecond(rate));
    if (error !== null) throw toTtunError(error);
  }

  /**
   * Restores settings that the device has lost: addresses, routes, MTU, and whether it is up.
   *
   * @returns those settings, in words, such as `route 10.9.0.0/16`
   * @throws TtunError if some could not be applied; the others have been
   */
  async reconcile(): Promise<readonly string[]> {
    const { restored, error } = await this.#binding.reconcile();
    if (error !== null) throw toTtunError(error);
    return restored;
  }

  /** Called with each different reason why the silent peer cannot be found; with `null` once there is none. */
  setPeerProblem(error: TtunError | null): void {
    if (this.state === 'closed') return;
    this.#peerProblem = error;
    if (error !== null) queueMicrotask(() => this.emit('peerError', error));
  }
}

/** From programs without types, the rate may be anything. */
function bitsPerSecond(rate: unknown): number {
  try {
    return rateOf(rate);
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new TtunError('ERR_TTUN_INVALID_OPTIONS', `rate: ${error.message}`, { hint: error.hint });
  }
}

function toTunnelChange(change: BindingChange): TunnelChange {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- kinds and levels are the documented ones, but declared as strings
  return change as TunnelChange;
}

function toTunnelEnd({ error }: BindingEnd): TunnelEnd {
  return error === null ? { reason: 'closed' } : { reason: 'failed', error: toTtunError(error) };
}

// Resolved options in the form of the binding.

/** `peer` is the address of the remote end, given or looked up; `null` if the peer is learned. */
function toBindingOptions(options: ResolvedOptions, peer: IpAddress | null): BindingTunnelOptions {
  const { local, remote, peers, allowedSources, pathMtu, dscp, probe, interface: device } = options;
  const family = peer?.family ?? peers?.[0]?.family ?? 4;
  return {
    ...options,
    local: toBindingEndpoint({ ...local, address: local.address ?? ANY_ADDRESS[family] }),
    remote:
      peer === null || remote.port === undefined
        ? null
        : toBindingEndpoint({ address: peer, port: remote.port }),
    peers: peers?.map(toBindingNetwork) ?? null,
    allowedSources: allowedSources?.map(toBindingNetwork) ?? null,
    discoverPathMtu: pathMtu === 'discover',
    dscp: dscp === 'inherit' ? null : dscp,
    probe: probe && { ...probe, address: ipBytes(probe.address.text) },
    interface: device === null ? null : toBindingInterface(device),
  };
}

function toBindingEndpoint({ address: { text, zone }, port }: Endpoint): BindingEndpoint {
  return { ip: ipBytes(text), port, zone };
}

function toBindingNetwork({ address, prefixLength }: IpNetwork): BindingNetwork {
  return { ip: ipBytes(address), prefixLength };
}

const ANY_ADDRESS: Readonly<Record<4 | 6, IpAddress>> = {
  4: { family: 4, text: '0.0.0.0', zone: null },
  6: { family: 6, text: '::', zone: null },
};

function toBindingInterface({ mtu, addresses, routes, ...rest }: ResolvedInterface): BindingInterfaceOptions {
  return {
    ...rest,
    addresses: addresses.map(toBindingNetwork),
    routes: routes.map(toBindingNetwork),
    mtu: mtu === 'auto' ? null : mtu,
    mtuAuto: mtu === 'auto',
  };
}
