/** The tunnel as users of the package see it. */
import type { EventEmitter } from 'node:events';
import type { TtunError } from './errors.ts';
import type { SamplesOptions, TunnelSample } from './rates.ts';
import type { StatsOptions, TunnelState, TunnelStats } from './stats.ts';

/** Settings of `createTunnel` that are not options of the tunnel. */
export interface CreateTunnelSettings {
  /** Aborting it cancels the opening, or closes the open tunnel. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called when the host name of the peer cannot be resolved yet, once for each different reason. The error has the code
   * `ERR_TTUN_NAME_NOT_RESOLVED`; the lookup is retried.
   */
  readonly onWaiting?: ((reason: TtunError) => void) | undefined;
}

/**
 * The events of a tunnel. All of them are rare: no event is emitted for packets.
 *
 * A tunnel that ends emits `state`, then `error` if it failed, then `close`.
 */
export interface TunnelEvents {
  /** The state changed. Checked twice a second while there are listeners. */
  state: [state: TunnelState, previous: TunnelState];
  /** The host name of the peer resolved to another address. Both are in the form of `stats().socket.remote`. */
  peer: [remote: string, previous: string];
  /**
   * The peer is silent, and its host name cannot be resolved again, or the tunnel cannot send to its new address. The tunnel
   * keeps the address that it has, and retries. Emitted once for each different reason.
   */
  peerError: [error: TtunError];
  /**
   * The tunnel failed and has ended. Unlike on other emitters, this event does not throw if it has no listeners: `closed` and
   * the event `close` report the failure too.
   */
  error: [error: TtunError];
  /** The tunnel has ended and released its device and socket. */
  close: [end: TunnelEnd];
}

/**
 * An open tunnel. It runs until it is closed, even if nothing refers to it, and keeps the process alive meanwhile.
 * `await using tunnel = await createTunnel(…)` closes it at the end of the block.
 */
export interface Tunnel extends EventEmitter<TunnelEvents>, AsyncDisposable {
  /** Resolves to the reason once the tunnel has ended and released its device and socket. It never rejects. */
  readonly closed: Promise<TunnelEnd>;

  /** The current state, as in `stats()`. */
  readonly state: TunnelState;

  /**
   * The current statistics; after the end, the last ones. Takes a few microseconds and no lock. Counters are numbers, exact
   * up to 2^53, which byte counters reach after 9 petabytes.
   */
  stats(options?: {
    /** Counters as bigints rather than numbers. */
    readonly bigint?: false;
  }): TunnelStats;
  /** The same with counters as bigints, exact up to 2^64. */
  stats(options: {
    /** Counters as bigints rather than numbers. */
    readonly bigint: true;
  }): TunnelStats<bigint>;
  /** The same in either form. */
  stats(options?: StatsOptions): TunnelStats | TunnelStats<bigint>;

  /**
   * The statistics at equal intervals, with the rates since the previous sample:
   *
   * ```ts
   * for await (const { stats, rate } of tunnel.samples({ intervalMs: 1000 })) {
   *   console.log(stats.state, rate.encap.bytes * 8, 'bit/s sent', rate.decap.bytes * 8, 'bit/s received');
   * }
   * ```
   *
   * The first sample comes after one interval. Samples are not queued: a consumer that takes longer than an interval misses
   * the samples that were due meanwhile, and the rates of its next one cover all that time. When the tunnel ends, there is a
   * last sample at once; when the signal is aborted, there is none. Then the loop ends normally. Several loops may run at the
   * same time. While one waits for a sample, it keeps the process alive, as `setInterval` of `node:timers/promises` does.
   *
   * @throws TtunError with code `ERR_TTUN_INVALID_OPTIONS`
   */
  samples(options?: SamplesOptions): AsyncGenerator<TunnelSample, void, void>;

  /** Closes the tunnel. Resolves once device and socket are released. May be called again, and after a failure. */
  close(): Promise<void>;

  /** Makes the tunnel keep the process alive, as it does from the start. */
  ref(): this;

  /** Lets the process end although the tunnel is open. */
  unref(): this;
}

/** How a tunnel ended. */
export type TunnelEnd =
  | {
      /** By `close()` or an aborted signal. */
      readonly reason: 'closed';
    }
  | {
      /** By an error. */
      readonly reason: 'failed';
      /** That error. */
      readonly error: TtunError;
    };
