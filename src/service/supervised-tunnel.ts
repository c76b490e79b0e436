/** One tunnel that is kept open, and what it reports. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { formatLocal, formatRemote } from '../address.ts';
import type { ResolvedOptions } from '../schema.ts';
import { asTtunError } from '../errors.ts';
import type { TtunError, TtunErrorCode } from '../errors.ts';
import { openTunnel } from '../open-tunnel.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { TunnelStats } from '../stats.ts';
import { toReport } from '../tunnel-host.ts';
import type { TunnelReport } from '../tunnel-host.ts';
import type { TunnelChange } from '../tunnel.ts';
import { DescriptorReserve } from './reserve.ts';

/** One tunnel that is opened again whenever it fails, until it is closed on request. */
export class SupervisedTunnel {
  readonly name: string;
  /** Resolves after the first attempt: the tunnel is open, or there is a problem. */
  readonly tried: Promise<void>;
  #options: ResolvedOptions;
  readonly #listener: TunnelListener;
  readonly #closing = new AbortController();
  readonly #ended: Promise<void>;
  #markTried: () => void = () => {};
  #retryDelay = new AbortController();
  #phase: TunnelReport['phase'] = 'opening';
  /** Why it is not open. */
  #error: TtunError | null = null;
  /** The problem of the open tunnel at the last poll. */
  #impairment: TtunError | null = null;
  #tunnel: OpenTunnel | null = null;
  /** When the last attempt to open it began. */
  #triedAt = 0;
  /** Whether the next attempt follows a change of the network. */
  #isRetryOfChange = false;
  /** The history of the tunnels that were open before this one. */
  #earlier: readonly TunnelChange[] = [];

  constructor(name: string, options: ResolvedOptions, listener: TunnelListener) {
    this.name = name;
    this.#options = options;
    this.#listener = listener;
    this.tried = new Promise((resolve) => {
      this.#markTried = resolve;
    });
    this.#ended = this.#keepOpen(this.#closing.signal);
  }

  report(): TunnelReport {
    const { device } = this.#options;
    const error = this.#error ?? this.open?.problem() ?? null;
    const ends = { local: formatLocal(this.#options.local), remote: formatRemote(this.#options.remote) };
    const settings = { name: this.name, device, ...ends };
    return toReport(settings, this.#tunnel, this.#phase, error, this.#history());
  }

  hasOptions(options: ResolvedOptions): boolean {
    return isDeepStrictEqual(options, this.#options);
  }

  /** Whether these options can be applied without interrupting the tunnel. */
  canFollow(options: ResolvedOptions): boolean {
    return isDeepStrictEqual({ ...options, rate: null }, { ...this.#options, rate: null });
  }

  /** Applies options for which `canFollow` is true. */
  follow(options: ResolvedOptions): void {
    this.#options = options;
    this.open?.setRate(options.rate);
  }

  get open(): OpenTunnel | undefined {
    return this.#phase === 'open' ? (this.#tunnel ?? undefined) : undefined;
  }

  /** Emits an event if the open tunnel has a new problem, or no longer has one. */
  checkProblem(): void {
    const last = this.#impairment;
    const error = this.open?.problem() ?? null;
    this.#impairment = error;
    if (error === null && last !== null) this.#emitOpened();
    if (error !== null && !isSame(error, last))
      this.#listener({ kind: 'impaired', tunnel: this.name, error });
  }

  /** Ends the delay before the next attempt. */
  retryNow(): void {
    this.#retryDelay.abort();
  }

  /** Whether it is retried because an address, interface or route is missing, whose arrival the kernel reports. */
  get waitsForNetwork(): boolean {
    return this.#phase === 'retrying' && this.#error !== null && isLackOf(this.#error);
  }

  /** The network has changed, so what it waits for may be there. Most changes are unrelated, so it tries at most twice a second. */
  retryAfterChange(): void {
    if (!this.waitsForNetwork) return;
    const delay = this.#retryDelay;
    const restMs = this.#triedAt + LEAST_BETWEEN_RETRIES_MS - performance.now();
    this.#isRetryOfChange = true;
    setTimeout(
      () => {
        // Otherwise it has been tried in the meantime.
        if (delay === this.#retryDelay) delay.abort();
      },
      Math.max(restMs, 0),
    ).unref();
  }

  /** Includes the time before it failed and was opened again. */
  #history(): TunnelChange[] {
    return [...this.#earlier, ...(this.#tunnel?.history() ?? [])].slice(-MOST_CHANGES);
  }

  /** Resolves when device and socket are released. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#retryDelay.abort();
    await this.#ended;
  }

  async #keepOpen(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff();
    let retryInMs = 0;
    while (!signal.aborted) {
      const error = await this.#runOnce(signal);
      if (error === null) break;
      const stats = this.#phase === 'open' ? this.#stats() : null;
      // Attempts after unrelated changes do not lengthen the intervals.
      if (!this.#isRetryOfChange || retryInMs === 0) retryInMs = backoff.afterFailure(stats?.uptimeMs ?? 0);
      this.#isRetryOfChange = false;
      this.#phase = 'retrying';
      if (this.#isNew(error)) this.#listener({ kind: 'failed', tunnel: this.name, error, retryInMs, stats });
      if (signal.aborted) break;
      await sleep(retryInMs, undefined, { signal: this.#retryDelay.signal }).catch(() => {});
    }
    this.#phase = 'closed';
    this.#error = null;
    this.#markTried();
    const summary = this.#tunnel?.summary() ?? null;
    this.#listener({ kind: 'closed', tunnel: this.name, stats: this.#stats(), summary });
  }

  /** Opens the tunnel, and resolves when it has ended: to the error that ended it, or `null` if it was closed on request. */
  async #runOnce(signal: AbortSignal): Promise<TtunError | null> {
    this.#triedAt = performance.now();
    // What happens during the attempt ends the delay after it.
    this.#retryDelay = new AbortController();
    let release: (() => void) | undefined;
    try {
      release = RESERVE.take();
      const onWaiting = (error: TtunError): void => {
        // That may take long.
        release?.();
        if (this.#isNew(error)) this.#listener({ kind: 'waiting', tunnel: this.name, error });
      };
      const options = this.#options;
      const tunnel = await openTunnel(options, { signal, onWaiting });
      if (this.#options.rate !== options.rate) tunnel.setRate(this.#options.rate);
      this.#earlier = this.#history();
      this.#tunnel = tunnel;
    } catch (error) {
      // Even a bug must not affect the other tunnels.
      return signal.aborted ? null : asTtunError(error);
    } finally {
      release?.();
    }
    this.#phase = 'open';
    this.#retryDelay = new AbortController();
    this.#error = null;
    this.#impairment = null;
    this.#markTried();
    this.#emitOpened();
    this.#tunnel.on('change', (change) => {
      const isImpaired = (this.open?.problem() ?? null) !== null;
      this.#listener({ kind: 'change', tunnel: this.name, change, isImpaired });
      // The problem may be gone before the next poll.
      if (isImpaired) this.checkProblem();
    });
    this.#tunnel.on('peer', (remote, previous) => {
      this.#listener({ kind: 'peer', tunnel: this.name, remote, previous });
    });
    const end = await this.#tunnel.closed;
    return end.reason === 'failed' ? end.error : null;
  }

  /** Records the problem; returns whether it differs from the last one. */
  #isNew(error: TtunError): boolean {
    const last = this.#error;
    this.#error = error;
    this.#markTried();
    return !isSame(error, last);
  }

  #emitOpened(): void {
    if (this.#tunnel === null) return;
    const [stats, description] = [this.#tunnel.stats(), this.#tunnel.describe()];
    this.#listener({ kind: 'opened', tunnel: this.name, stats, description });
  }

  #stats(): TunnelStats | null {
    return this.#tunnel?.stats() ?? null;
  }
}

const RESERVE = new DescriptorReserve();

function isSame(error: TtunError, other: TtunError | null): boolean {
  return error.code === other?.code && error.message === other.message;
}

const MOST_CHANGES = 50;

const LEAST_BETWEEN_RETRIES_MS = 500;

const LACKS: ReadonlySet<TtunErrorCode> = new Set([
  'ERR_TTUN_ADDRESS_NOT_LOCAL',
  'ERR_TTUN_NO_ROUTE',
  'ERR_TTUN_BIND_DEVICE_NOT_FOUND',
  'ERR_TTUN_DEVICE_NOT_FOUND',
]);

/** These errors occur before anything is changed, so that an attempt does not cause the next one. */
function isLackOf({ code, syscall }: TtunError): boolean {
  return LACKS.has(code) || syscall === 'connect' || syscall === 'bind';
}

/** Delays between attempts to open a tunnel: doubled after each failure, and reset once the tunnel has run for a minute. */
export class Backoff {
  #nextMs = FIRST_DELAY_MS;

  /** @param ranMs how long the tunnel was open before it failed; 0 if it could not be opened */
  afterFailure(ranMs: number): number {
    if (ranMs >= STABLE_AFTER_MS) this.#nextMs = FIRST_DELAY_MS;
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(delayMs * 2, LONGEST_DELAY_MS);
    return delayMs;
  }
}

const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 30_000;
const STABLE_AFTER_MS = 60_000;

export type TunnelEvent =
  /** The tunnel is open, or no longer has a problem. */
  | {
      readonly kind: 'opened';
      readonly tunnel: string;
      readonly stats: TunnelStats;
      /** Its device and ends, and the command that would make it faster, line by line. */
      readonly description: readonly string[];
    }
  /** The tunnel is open, but has a problem, such as a deleted device; `opened` follows once that is gone. */
  | { readonly kind: 'impaired'; readonly tunnel: string; readonly error: TtunError }
  /** The tunnel cannot be opened until the name of its peer is resolved; retrying. Emitted once per problem. */
  | { readonly kind: 'waiting'; readonly tunnel: string; readonly error: TtunError }
  | {
      /** The tunnel noticed a change. */
      readonly kind: 'change';
      readonly tunnel: string;
      readonly change: TunnelChange;
      /** Whether the tunnel has a problem, for which `impaired` was emitted or follows at once. */
      readonly isImpaired: boolean;
    }
  /** The name of the peer now resolves to another address. */
  | { readonly kind: 'peer'; readonly tunnel: string; readonly remote: string; readonly previous: string }
  | {
      /** The tunnel could not be opened, or failed. Emitted once per problem, not per attempt. */
      readonly kind: 'failed';
      readonly tunnel: string;
      readonly error: TtunError;
      readonly retryInMs: number;
      /** The last statistics of a tunnel that was open; `null` if it could not be opened. */
      readonly stats: TunnelStats | null;
    }
  | {
      /** The tunnel was closed on request. */
      readonly kind: 'closed';
      readonly tunnel: string;
      /** The last statistics; `null` if it was never open. */
      readonly stats: TunnelStats | null;
      /** The same in words, line by line. */
      readonly summary: readonly string[] | null;
    };

export type TunnelListener = (event: TunnelEvent) => void;
