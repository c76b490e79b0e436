/** The tunnel as this package itself holds it: over the binding, with what its users do not see. */
import type {
  BindingEnd,
  BindingInterfaceOptions,
  BindingTunnel,
  BindingTunnelOptions,
  BindingWatch,
  BindingWatchOptions,
} from '../binding.cjs';
import { formatEndpoint } from './address.ts';
import { TtunError } from './errors.ts';
import { loadBinding, toTtunError } from './native.ts';
import type { ResolvedInterface, ResolvedOptions } from './options.ts';
import { toTunnelStats } from './stats.ts';
import type { TunnelStats } from './stats.ts';
import type { Tunnel, TunnelEnd } from './tunnel.ts';

/** An open tunnel runs on when nobody holds it any more; the binding would close what is collected as garbage. */
const openTunnels = new Set<OpenTunnel>();

export async function openTunnel(options: ResolvedOptions, signal?: AbortSignal): Promise<OpenTunnel> {
  signal?.throwIfAborted();
  const binding = loadBinding();

  const keepAlive = new KeepAlive();
  let onEnd: ((end: BindingEnd) => void) | undefined;
  const ended = new Promise<BindingEnd>((resolve) => {
    onEnd = resolve;
  });
  try {
    const { error, tunnel } = await binding.openTunnel(toBindingOptions(options), (end) => onEnd?.(end));
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

export class OpenTunnel implements Tunnel {
  readonly closed: Promise<TunnelEnd>;
  readonly #binding: BindingTunnel;
  readonly #keepAlive: KeepAlive;

  constructor(
    binding: BindingTunnel,
    ended: Promise<BindingEnd>,
    keepAlive: KeepAlive,
    signal: AbortSignal | undefined,
  ) {
    this.#binding = binding;
    this.#keepAlive = keepAlive;
    const closeOnAbort = (): void => void this.close();
    signal?.addEventListener('abort', closeOnAbort, { once: true });
    openTunnels.add(this);
    this.closed = ended.then((end) => {
      signal?.removeEventListener('abort', closeOnAbort);
      openTunnels.delete(this);
      keepAlive.end();
      return toTunnelEnd(end);
    });
  }

  stats(): TunnelStats {
    return toTunnelStats(this.#binding.stats());
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
   * time to time and not for each packet, when there is something to take. Several may watch at once.
   */
  watch(options: BindingWatchOptions, wake: () => void): BindingWatch {
    return this.#binding.watch(options, wake);
  }
}

function toBindingOptions(options: ResolvedOptions): BindingTunnelOptions {
  const { local, remote } = options;
  if (remote.address === undefined)
    throw new TtunError('ERR_TTUN_INTERNAL', `${remote.name} is not resolved`);
  const anyAddress = {
    family: remote.address.family,
    text: remote.address.family === 4 ? '0.0.0.0' : '::',
    scopeId: null,
  };
  return {
    ...options,
    local: formatEndpoint({ address: local.address ?? anyAddress, port: local.port }),
    remote: formatEndpoint(remote),
    allowedSources: options.allowedSources === null ? null : [...options.allowedSources],
    interface: options.interface === null ? null : toBindingInterface(options.interface),
  };
}

function toBindingInterface({ mtu, addresses, routes, ...rest }: ResolvedInterface): BindingInterfaceOptions {
  return {
    ...rest,
    addresses: [...addresses],
    routes: [...routes],
    mtu: mtu === 'auto' ? null : mtu,
    mtuAuto: mtu === 'auto',
  };
}

function toTunnelEnd({ error }: BindingEnd): TunnelEnd {
  return error === null ? { reason: 'closed' } : { reason: 'failed', error: toTtunError(error) };
}

/** Keeps the process alive, as an open socket of Node's own does; the binding's threads do not. */
class KeepAlive {
  readonly #timer = setInterval(() => {}, LONGEST_INTERVAL_MS);

  ref(): void {
    this.#timer.ref();
  }

  unref(): void {
    this.#timer.unref();
  }

  end(): void {
    clearInterval(this.#timer);
  }
}

/** The longest that setInterval takes, about 25 days. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;
