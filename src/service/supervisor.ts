/** Keeps the tunnels of a configuration open, and replaces one set of them with another. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { BindingNetworkWatch } from '../../binding.cjs';
import { formatLocal, formatRemote } from '../address.ts';
import type { ResolvedOptions } from '../schema.ts';
import { asTtunError } from '../errors.ts';
import type { TtunError, TtunErrorCode } from '../errors.ts';
import { watchNetwork } from '../native.ts';
import { openTunnel } from '../open-tunnel.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { TunnelStats } from '../stats.ts';
import { toReport } from '../tunnel-host.ts';
import type { ReloadReport, TunnelReport } from '../tunnel-host.ts';
import type { TunnelChange } from '../tunnel.ts';
import { DescriptorReserve } from './reserve.ts';

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

type TunnelListener = (event: TunnelEvent) => void;

export class Supervisor {
  readonly #listener: TunnelListener;
  /** In the order of the configuration. */
  #tunnels: ReadonlyMap<string, SupervisedTunnel> = new Map();
  #isClosing = false;
  #poll: NodeJS.Timeout | undefined;
  /** Set while tunnels wait for an address, an interface or a route. */
  #watch: BindingNetworkWatch | null = null;

  constructor(listener: TunnelListener) {
    this.#listener = listener;
  }

  reports(): readonly TunnelReport[] {
    return [...this.#tunnels.values()].map((tunnel) => tunnel.report());
  }

  find(name: string): OpenTunnel | undefined {
    return this.#tunnels.get(name)?.open;
  }

  /**
   * Makes these the tunnels. Running tunnels whose options are unchanged, or differ only in the rate, keep running, and settings that
   * their devices have lost are restored; waiting ones are retried at once, because the user may have fixed what they wait for.
   * All tunnels that are removed or changed otherwise are closed before any is opened, because a new one may take over the device
   * or port of an old one.
   *
   * Resolves once each new tunnel was tried, or after 5 s: a name server that does not answer must not delay the caller, or a
   * service manager would consider it hung.
   */
  async apply(wanted: ReadonlyMap<string, ResolvedOptions>): Promise<ReloadReport> {
    const before = this.#tunnels;
    const comparison = compare(before, wanted);
    const isInterrupted = (name: string): boolean => {
      const options = wanted.get(name);
      return options === undefined || before.get(name)?.canFollow(options) !== true;
    };
    const going = new Set([...comparison.removed, ...comparison.changed.filter(isInterrupted)]);
    await Promise.all([...before.values()].filter(({ name }) => going.has(name)).map((old) => old.close()));
    // A tunnel opened after close() would stay open.
    if (this.#isClosing) return { ...comparison, restored: {} };

    const continuing = [...wanted].filter(([name]) => before.has(name) && !going.has(name));
    const kept = new Map(continuing.map(([name]) => [name, before.get(name)]));
    for (const [name, options] of continuing) before.get(name)?.follow(options);
    for (const tunnel of kept.values()) tunnel?.retryNow();
    const tunnels = [...wanted].map(
      ([name, options]) => kept.get(name) ?? new SupervisedTunnel(name, options, this.#listener),
    );
    this.#tunnels = new Map(tunnels.map((tunnel) => [tunnel.name, tunnel]));
    const restoring = reconcile([...kept.values()]);
    this.#poll ??= setInterval(() => this.#checkProblems(), POLL_MS).unref();
    const limit = new AbortController();
    await Promise.race([
      Promise.all(tunnels.map(({ tried }) => tried)),
      sleep(START_LIMIT_MS, undefined, { signal: limit.signal }).catch(() => {}),
    ]);
    limit.abort();
    return { ...comparison, restored: await restoring };
  }

  /** Closes all tunnels at once, and opens no more. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#poll);
    this.#watch?.stop();
    await Promise.all([...this.#tunnels.values()].map((tunnel) => tunnel.close()));
  }

  #checkProblems(): void {
    const tunnels = [...this.#tunnels.values()];
    for (const tunnel of tunnels) tunnel.checkProblem();
    if (!tunnels.some((tunnel) => tunnel.waitsForNetwork)) {
      this.#watch?.stop();
      this.#watch = null;
    } else {
      this.#watch ??= watchNetwork(() => this.#retryAfterChange());
    }
  }

  #retryAfterChange(): void {
    for (const tunnel of this.#tunnels.values()) tunnel.retryAfterChange();
  }
}

/** Well below the 90 s that systemd allows a service to start. */
const START_LIMIT_MS = 5000;

/** The packet path does not report problems such as a deleted device, so tunnels are polled. */
const POLL_MS = 500;

function compare(
  before: ReadonlyMap<string, SupervisedTunnel>,
  wanted: ReadonlyMap<string, ResolvedOptions>,
): Omit<ReloadReport, 'restored'> {
  const [added, changed, unchanged]: [string[], string[], string[]] = [[], [], []];
  for (const [name, options] of wanted) {
    const old = before.get(name);
    if (old === undefined) added.push(name);
    else if (old.hasOptions(options)) unchanged.push(name);
    else changed.push(name);
  }
  const removed = [...before.keys()].filter((name) => !wanted.has(name));
  return { added, changed, removed, unchanged };
}

/** Restores settings that devices have lost. If that fails, the tunnel reports it as its problem. */
async function reconcile(
  tunnels: readonly (SupervisedTunnel | undefined)[],
): Promise<ReloadReport['restored']> {
  const restored = await Promise.all(
    tunnels.map(async (tunnel) => {
      const settings = await tunnel?.open?.reconcile().catch(() => []);
      return tunnel === undefined || settings === undefined ? [] : [[tunnel.name, settings] as const];
    }),
  );
  return Object.fromEntries(restored.flat().filter(([, settings]) => settings.length > 0));
}

/** One tunnel that is opened again whenever it fails, until it is closed on request. */
class SupervisedTunnel {
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
