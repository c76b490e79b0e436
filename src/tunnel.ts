/** The tunnel as users of the package hold it. */
import type { EventEmitter } from 'node:events';
import type { TtunError } from './errors.ts';
import type { SamplesOptions, TunnelSample } from './rates.ts';
import type { StatsOptions, TunnelState, TunnelStats } from './stats.ts';

/** How opening is controlled, beside what is opened. */
export interface CreateTunnelSettings {
  /** Aborting it gives up opening the tunnel, or closes the open one. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called when opening has to wait until the name of the remote end can be resolved, once for each different reason. The
   * error, with code `ERR_TTUN_NAME_NOT_RESOLVED`, says why; opening goes on trying.
   */
  readonly onWaiting?: ((reason: TtunError) => void) | undefined;
}

/**
 * What a tunnel tells its listeners of, and with what. All of it is rare: no event is emitted for packets.
 *
 * A tunnel that ends emits `state`, then `error` if it failed, then `close`.
 */
export interface TunnelEvents {
  /**
   * The state changed. Noticed within half a second: it is looked at from time to time, while somebody listens and not
   * otherwise.
   */
  state: [state: TunnelState, previous: TunnelState];
  /**
   * The remote address changed, because the name of the remote end was resolved anew. Both as in `stats().socket.remote`.
   */
  peer: [remote: string, previous: string];
  /**
   * The tunnel could not go on and has ended. Unlike that of other emitters, this event does not throw when nobody listens:
   * `closed` and the event `close` tell of the failure too.
   */
  error: [error: TtunError];
  /** The tunnel has ended and released its device and socket. */
  close: [end: TunnelEnd];
}

/**
 * An open tunnel. It runs until it is closed, whether or not anybody still holds it, and keeps the process alive meanwhile.
 * `await using tunnel = await createTunnel(…)` closes it at the end of the block.
 */
export interface Tunnel extends EventEmitter<TunnelEvents>, AsyncDisposable {
  /**
   * Resolves once the tunnel has ended and released its device and socket, and tells why. It never rejects, so it may be
   * left alone.
   */
  readonly closed: Promise<TunnelEnd>;

  /** The state of this instant, as in `stats()`. */
  readonly state: TunnelState;

  /**
   * The figures of this instant; after the end, the last ones. Takes a few microseconds and no lock. Counts are numbers, exact
   * up to 2^53; bytes come that far after 9 petabytes.
   */
  stats(options?: {
    /** Counts as bigints rather than as numbers. */
    readonly bigint?: false;
  }): TunnelStats;
  /** The same with counts as bigints, exact up to 2^64. */
  stats(options: {
    /** Counts as bigints rather than as numbers. */
    readonly bigint: true;
  }): TunnelStats<bigint>;
  /** The same in the one form or the other. */
  stats(options?: StatsOptions): TunnelStats | TunnelStats<bigint>;

  /**
   * The figures at equal intervals, with the rates since the sample before:
   *
   * ```ts
   * for await (const { stats, rate } of tunnel.samples({ intervalMs: 1000 })) {
   *   console.log(stats.state, rate.encap.bytes * 8, 'bit/s out', rate.decap.bytes * 8, 'bit/s in');
   * }
   * ```
   *
   * The first sample comes after one interval. Nothing is queued: who takes longer than an interval for a sample misses the
   * samples that were due meanwhile, and the next one's rates are over all that time. When the tunnel ends there is a last
   * sample, at once; when the signal is aborted there is none. Then the loop ends normally. Several may run at once. While a
   * sample is waited for, the process is kept alive, as by `setInterval` of `node:timers/promises`.
   */
  samples(options?: SamplesOptions): AsyncGenerator<TunnelSample, void, void>;

  /** Ends the tunnel. Resolves once device and socket are released. May be called again, and after a failure. */
  close(): Promise<void>;

  /** Lets the tunnel keep the process alive, as it does from the start. */
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
      /** After an error with which it could not go on. */
      readonly reason: 'failed';
      /** That error. */
      readonly error: TtunError;
    };
