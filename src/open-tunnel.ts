/** The tunnel as this package itself holds it: over the binding, with what its users do not see. */
import type { BindingEnd, BindingTunnel, BindingWatched, BindingWatchOptions } from '../binding.cjs';
import { TtunError } from './errors.ts';
import { loadBinding, toTtunError } from './native.ts';
import { resolveOptions } from './options.ts';
import type { TunnelOptions } from './options.ts';
import { toTunnelStats } from './stats.ts';
import type { TunnelStats } from './stats.ts';
import type { Tunnel, TunnelEnd } from './tunnel.ts';

export async function openTunnel(options: TunnelOptions, signal?: AbortSignal): Promise<OpenTunnel> {
  signal?.throwIfAborted();
  const resolved = resolveOptions(options);
  const { openTunnel: open } = loadBinding();

  const keepAlive = new KeepAlive();
  try {
    const { error, tunnel } = await open(resolved);
    if (error !== null) throw toTtunError(error);
    if (tunnel === null)
      throw new TtunError('ERR_TTUN_INTERNAL', 'the binding gave neither a tunnel nor an error');
    if (signal?.aborted === true) {
      await tunnel.close();
      signal.throwIfAborted();
    }
    return new OpenTunnel(tunnel, keepAlive, signal);
  } catch (error) {
    keepAlive.end();
    throw error;
  }
}

export class OpenTunnel implements Tunnel {
  readonly closed: Promise<TunnelEnd>;
  readonly #binding: BindingTunnel;
  readonly #keepAlive: KeepAlive;

  constructor(binding: BindingTunnel, keepAlive: KeepAlive, signal: AbortSignal | undefined) {
    this.#binding = binding;
    this.#keepAlive = keepAlive;
    const closeOnAbort = (): void => void this.close();
    signal?.addEventListener('abort', closeOnAbort, { once: true });
    this.closed = binding.ended().then((end) => {
      signal?.removeEventListener('abort', closeOnAbort);
      keepAlive.end();
      return toTunnelEnd(end);
    });
  }

  stats(): TunnelStats {
    return toTunnelStats(this.#binding.stats());
  }

  async close(): Promise<void> {
    await this.#binding.close();
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
   * Starts to copy packets that pass into a bounded ring, from which `takeWatched` takes them. `wake` is called, from time
   * to time and not for each packet, when there is something to take.
   */
  watch(options: BindingWatchOptions, wake: () => void): void {
    this.#binding.watch(options, wake);
  }

  takeWatched(): BindingWatched {
    return this.#binding.takeWatched();
  }

  unwatch(): void {
    this.#binding.unwatch();
  }
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
