/** The tunnel as users of the package hold it. */
import type { TtunError } from './errors.ts';
import { openTunnel } from './open-tunnel.ts';
import { resolveOptions } from './options.ts';
import type { TunnelOptions } from './options.ts';
import type { TunnelStats } from './stats.ts';

/** How opening is controlled, beside what is opened. */
export interface CreateTunnelSettings {
  /** Aborting it gives up opening the tunnel, or closes the open one. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Attaches to a TUN device, opens the socket, and starts to carry packets both ways.
 *
 * Rejects with a `TtunError` that says why the tunnel cannot be opened, or with the signal's reason when it is aborted
 * before the tunnel is open; nothing is left open in either case.
 */
export async function createTunnel(
  options: TunnelOptions,
  { signal }: CreateTunnelSettings = {},
): Promise<Tunnel> {
  signal?.throwIfAborted();
  return openTunnel(resolveOptions(options), signal);
}

/**
 * An open tunnel. It runs until it is closed, whether or not anybody still holds it, and keeps the process alive meanwhile.
 * `await using tunnel = await createTunnel(…)` closes it at the end of the block.
 */
export interface Tunnel extends AsyncDisposable {
  /**
   * Resolves once the tunnel has ended and released its device and socket, and tells why. It never rejects, so it may be
   * left alone.
   */
  readonly closed: Promise<TunnelEnd>;

  /** The figures of this instant; after the end, the last ones. */
  stats(): TunnelStats;

  /** Ends the tunnel. Resolves once device and socket are released. May be called again, and after a failure. */
  close(): Promise<void>;

  /** Lets the tunnel keep the process alive, as it does from the start. */
  ref(): this;

  /** Lets the process end although the tunnel is open. */
  unref(): this;
}

/** How a tunnel ended: `closed` by `close()` or an aborted signal, or `failed` with an error after which it could not go on. */
export type TunnelEnd =
  { readonly reason: 'closed' } | { readonly reason: 'failed'; readonly error: TtunError };
