/** The tunnel as users of the package see it. */
import type { EventEmitter } from 'node:events';
import type { TtunError } from './errors.ts';
import type { PathMeasurement } from './path.ts';
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
 * A change of the peer, the addresses, the device or the network of a tunnel. Properties that do not apply to the kind are
 * absent.
 */
export interface TunnelChange {
  /** What kind of change it is. */
  readonly kind: TunnelChangeKind;
  /** When the tunnel noticed it, in ms since the epoch. */
  readonly at: number;
  /** `warning`: packets may be lost; `error`: the tunnel carries nothing; `info`: not logged. */
  readonly level: ChangeLevel;
  /** One sentence, without a full stop. */
  readonly message: string;
  /** The new local address, with its port. */
  readonly local?: string;
  /** The address of the peer after the change, with its port. */
  readonly remote?: string;
  /** The previous value: an address with its port, the name of a device, or an MTU. */
  readonly previous?: string;
  /** The name of the device or interface. */
  readonly device?: string;
  /** How long the peer was silent, in ms. */
  readonly silentMs?: number;
}

/** How important a change is, as in syslog(3). */
export type ChangeLevel = 'info' | 'notice' | 'warning' | 'error';

/**
 * The kinds of changes.
 *
 * - `peer-silent`: packets are sent, and nothing was heard from the peer for 30 s; with a probe, for three of its intervals
 * - `peer-heard`: a datagram arrived from the peer, the first one or after a silence of `silentMs`
 * - `peer-changed`: the tunnel sends to another address of the peer's host name
 * - `peer-refuses`: the peer's host refuses the packets: nothing listens on its port
 * - `source-changed`: the kernel chose another local address, because addresses, routes or rules of this host changed
 * - `local-address-lost`, `local-address-back`: the configured local address, or every usable one, was removed, or is back
 * - `interface-lost`, `interface-back`: the interface of `bindDevice` or of a link-local address was deleted, or is back
 * - `route-lost`, `route-back`: the route to the peer was removed, or is back
 * - `device-lost`, `device-back`: the device was deleted, or the tunnel is attached to one again
 * - `device-renamed`, `device-moved`: the device was renamed, or moved to another network namespace
 * - `device-restored`: settings that the device had lost were restored
 * - `mtu-changed`: the MTU of the device was adapted to the route to the peer
 * - `path-mtu-changed`: the MTU of the path to the peer changed; `previous` is what it was, in bytes
 * - `segmentation-lost`, `segmentation-back`: the interface to the peer cannot segment, so that each packet needs a send of
 *   its own, or it can again
 */
export type TunnelChangeKind =
  | 'peer-silent'
  | 'peer-heard'
  | 'peer-changed'
  | 'peer-refuses'
  | 'source-changed'
  | 'local-address-lost'
  | 'local-address-back'
  | 'interface-lost'
  | 'interface-back'
  | 'route-lost'
  | 'route-back'
  | 'device-lost'
  | 'device-back'
  | 'device-renamed'
  | 'device-moved'
  | 'device-restored'
  | 'mtu-changed'
  | 'path-mtu-changed'
  | 'segmentation-lost'
  | 'segmentation-back';

/**
 * The events of a tunnel. All of them are rare: no event is emitted for packets.
 *
 * A tunnel that ends emits `state`, then `error` if it failed, then `close`.
 */
export interface TunnelEvents {
  /** The state changed. Checked twice a second while there are listeners. */
  state: [state: TunnelState, previous: TunnelState];
  /** The peer, the addresses, the device or the network of the tunnel changed. */
  change: [change: TunnelChange];
  /**
   * The tunnel now sends to another address of the peer's host name, because the name resolves to another one or the previous
   * one does not answer. Both are in the form of `stats().socket.remote`.
   */
  peer: [remote: string, previous: string];
  /**
   * The peer does not answer, and either its host name cannot be resolved again or the tunnel cannot send to any of its other
   * addresses. The tunnel retries. Emitted once for each different reason.
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

  /** The history: the last 50 changes, the oldest first. Also available after the end. */
  history(): TunnelChange[];

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

  /**
   * Measures the path to the peer with echo requests, which pass through the tunnel but not through its device: round-trip time,
   * loss, the largest packets that pass in each direction, fragments, and congestion marks. It takes 2 to 20 seconds; `ttun doctor
   * --path` explains the results. One measurement of a tunnel runs at a time; others wait for it.
   *
   * The peer's host has to answer pings. Without an address, the one of the probe is asked, or otherwise those that the peer
   * probably has, judging by the addresses and routes of the device.
   *
   * @throws TtunError with code `ERR_TTUN_INVALID_OPTIONS` if the address is invalid, or none is given or known;
   *   `ERR_TTUN_CLOSED` if the tunnel has ended
   */
  measurePath(options?: MeasurePathOptions): Promise<PathMeasurement>;

  /**
   * Changes the rate to which datagrams are paced, as the option `rate`, without interrupting the tunnel.
   *
   * @param rate `18 Mbit/s`, or a number of bits per second; `null`: as fast as the socket accepts them
   * @throws TtunError with code `ERR_TTUN_INVALID_OPTIONS`
   */
  setRate(rate: string | number | null): void;

  /** Closes the tunnel. Resolves once device and socket are released. May be called again, and after a failure. */
  close(): Promise<void>;

  /** Makes the tunnel keep the process alive, as it does from the start. */
  ref(): this;

  /** Lets the process end although the tunnel is open. */
  unref(): this;
}

/** Options of `measurePath`. */
export interface MeasurePathOptions {
  /** A numeric address of the peer inside the tunnel. */
  readonly address?: string;
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
