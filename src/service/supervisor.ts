/** The tunnels of one process, each kept open for itself, and how one set of them becomes another. */
import { settledWithin } from '../settled-within.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { resolveOptions } from '../config/resolve-options.ts';
import { asTtunError } from '../errors.ts';
import type { TtunError } from '../errors.ts';
import { openTunnel } from '../open-tunnel.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { ResolvedOptions, TunnelOptions } from '../options.ts';
import type { TunnelStats } from '../stats.ts';
import { toProblem } from './host.ts';
import type { ReloadReport, TunnelListener, TunnelReport } from './host.ts';

export class Supervisor {
  readonly #listener: TunnelListener;
  /** In the order of the configuration. */
  #tunnels: ReadonlyMap<string, SupervisedTunnel> = new Map();
  #isClosing = false;
  #looking: NodeJS.Timeout | undefined;

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
   * Makes these the tunnels. Those that are already there with the same options are left alone, unless they wait to be tried
   * again: whoever loads a configuration anew may have mended what they wait for. All that go or change are
   * closed before any is opened, because a new one may have the device or the port of an old one.
   *
   * Resolves when each new one was tried once, or is still being tried after a while: a name server that does not answer is not to
   * hold up those who wait for this, of whom a service manager would take the process for hung.
   */
  async apply(wanted: ReadonlyMap<string, TunnelOptions>): Promise<ReloadReport> {
    const before = this.#tunnels;
    const report = compare(before, wanted);
    const going = new Set([...report.removed, ...report.changed]);
    const old = [...before.values()].filter(({ name }) => going.has(name));
    await Promise.all(old.map((tunnel) => tunnel.close()));
    // Nobody would close what is opened from here on.
    if (this.#isClosing) return report;

    const unchanged = new Set(report.unchanged);
    for (const name of unchanged) before.get(name)?.retryNow();
    const tunnels = [...wanted].map(
      ([name, options]) =>
        (unchanged.has(name) ? before.get(name) : undefined) ??
        new SupervisedTunnel(name, options, this.#listener),
    );
    this.#tunnels = new Map(tunnels.map((tunnel) => [tunnel.name, tunnel]));
    this.#looking ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    await settledWithin(
      TRYING_LIMIT_MS,
      tunnels.map(({ tried }) => tried),
    );
    return report;
  }

  /** Ends all of them at once, and opens no more. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#looking);
    await Promise.all([...this.#tunnels.values()].map((tunnel) => tunnel.close()));
  }

  #look(): void {
    for (const tunnel of this.#tunnels.values()) tunnel.look();
  }
}

/** Well below the 90 s that systemd gives a service to start. */
const TRYING_LIMIT_MS = 5000;

/** The packet path does not call when a device goes or comes: a tunnel is asked. */
const LOOK_EVERY_MS = 500;

function compare(
  before: ReadonlyMap<string, SupervisedTunnel>,
  wanted: ReadonlyMap<string, TunnelOptions>,
): ReloadReport {
  const report = {
    added: [] as string[],
    changed: [] as string[],
    removed: [] as string[],
    unchanged: [] as string[],
  };
  for (const [name, options] of wanted) {
    const old = before.get(name);
    if (old === undefined) report.added.push(name);
    else if (old.isMadeBy(options)) report.unchanged.push(name);
    else report.changed.push(name);
  }
  report.removed.push(...[...before.keys()].filter((name) => !wanted.has(name)));
  return report;
}

// One tunnel that is kept open: opened, and opened again after whatever ended it, until it is closed on purpose.

export class SupervisedTunnel {
  readonly name: string;
  /** Resolves when it was tried for the first time: it is open, or something keeps it from being so. */
  readonly tried: Promise<void>;
  readonly #options: TunnelOptions;
  readonly #listener: TunnelListener;
  readonly #closing = new AbortController();
  #pause = new AbortController();
  readonly #ended: Promise<void>;
  #markTried: () => void = () => {};
  #phase: TunnelReport['phase'] = 'opening';
  #error: TtunError | null = null;
  /** What kept the open tunnel from working when it was last looked at. */
  #impairment: TtunError | null = null;
  #tunnel: OpenTunnel | null = null;
  /** As understood when it was last tried. */
  #resolved: ResolvedOptions | null = null;

  constructor(name: string, options: TunnelOptions, listener: TunnelListener) {
    this.name = name;
    this.#options = options;
    this.#listener = listener;
    this.tried = new Promise((done) => {
      this.#markTried = done;
    });
    this.#ended = this.#keepOpen(this.#closing.signal);
  }

  report(): TunnelReport {
    const { device, local, remote } = this.#options;
    const error = this.#error ?? this.open?.problem() ?? null;
    return {
      name: this.name,
      device,
      local,
      remote,
      phase: this.#phase,
      problem: error === null ? null : toProblem(error),
      stats: this.#stats(),
    };
  }

  /**
   * Whether these options make the same tunnel, however they are written. An interface that a link-local address names may
   * have been made anew meanwhile, and then it is another tunnel; where there is none now, only the writing counts.
   */
  isMadeBy(options: TunnelOptions): boolean {
    const wanted = resolveIfPossible(options);
    return wanted === null || this.#resolved === null
      ? isDeepStrictEqual(options, this.#options)
      : isDeepStrictEqual(wanted, this.#resolved);
  }

  /** The tunnel while it is open. */
  get open(): OpenTunnel | undefined {
    return this.#phase === 'open' ? (this.#tunnel ?? undefined) : undefined;
  }

  /** Looks whether something keeps the open tunnel from working, or no longer does, and tells of it. */
  look(): void {
    const last = this.#impairment;
    const error = this.open?.problem() ?? null;
    this.#impairment = error;
    if (error === null && last !== null) this.#tellOpened();
    if (error !== null && !isSame(error, last))
      this.#listener({ kind: 'impaired', tunnel: this.name, error });
  }

  /** Tries it again at once, if it waits for that. */
  retryNow(): void {
    this.#pause.abort();
  }

  /** Ends it for good. Resolves when device and socket are released. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#pause.abort();
    await this.#ended;
  }

  async #keepOpen(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff();
    while (!signal.aborted) {
      const error = await this.#runOnce(signal);
      if (error === null) break;
      const retryInMs = backoff.afterFailure(this.#ranMs());
      this.#failed(error, retryInMs);
      this.#pause = new AbortController();
      if (signal.aborted) break;
      await sleep(retryInMs, undefined, { signal: this.#pause.signal }).catch(() => {});
    }
    this.#phase = 'closed';
    this.#error = null;
    this.#markTried();
    this.#listener({ kind: 'closed', tunnel: this.name, stats: this.#stats() });
  }

  /** Resolves when the tunnel has ended, to what ended it; `null` when that was us. */
  async #runOnce(signal: AbortSignal): Promise<TtunError | null> {
    try {
      this.#resolved = null;
      this.#resolved = resolveWithReattach(this.#options);
      const onWaiting = (reason: TtunError): void => this.#waiting(reason);
      this.#tunnel = await openTunnel(this.#resolved, { signal, onWaiting });
    } catch (error) {
      // Whatever it is, it must not take the other tunnels down.
      return signal.aborted ? null : asTtunError(error);
    }
    this.#phase = 'open';
    this.#error = null;
    this.#markTried();
    this.#impairment = null;
    this.#tellOpened();
    this.#tunnel.on('peer', (remote, previous) => {
      this.#listener({ kind: 'peer', tunnel: this.name, remote, previous });
    });
    const end = await this.#tunnel.closed;
    return end.reason === 'failed' ? end.error : null;
  }

  /** It is being opened, which takes as long as its peer's name can't be resolved. */
  #waiting(error: TtunError): void {
    if (this.#isNews(error)) this.#listener({ kind: 'waiting', tunnel: this.name, error });
  }

  #failed(error: TtunError, retryInMs: number): void {
    const stats = this.#phase === 'open' ? this.#stats() : null;
    this.#phase = 'retrying';
    if (this.#isNews(error)) this.#listener({ kind: 'failed', tunnel: this.name, error, retryInMs, stats });
  }

  /** Whether it is another problem than the last one, from which on it is the last one. */
  #isNews(error: TtunError): boolean {
    const last = this.#error;
    this.#error = error;
    this.#markTried();
    return !isSame(error, last);
  }

  #tellOpened(): void {
    const stats = this.#stats();
    if (stats !== null) this.#listener({ kind: 'opened', tunnel: this.name, stats });
  }

  #ranMs(): number {
    return this.#phase === 'open' ? (this.#stats()?.uptimeMs ?? 0) : 0;
  }

  #stats(): TunnelStats | null {
    return this.#tunnel?.stats() ?? null;
  }
}

/**
 * Done at each attempt, because the interface of a link-local address may come, or be made anew. Who runs many tunnels as a
 * service wants them back when a device is made anew, too.
 */
function resolveWithReattach(options: TunnelOptions): ResolvedOptions {
  return resolveOptions({ reattach: true, ...options });
}

function resolveIfPossible(options: TunnelOptions): ResolvedOptions | null {
  try {
    return resolveWithReattach(options);
  } catch {
    return null;
  }
}

function isSame(error: TtunError, other: TtunError | null): boolean {
  return error.code === other?.code && error.message === other.message;
}

/** How long to wait before a tunnel that failed is tried again: longer each time, until it has run well for a while. */
export class Backoff {
  #nextMs = FIRST_MS;

  /** @param ranMs how long the tunnel ran before it failed; 0 when it could not be opened */
  afterFailure(ranMs: number): number {
    if (ranMs >= RAN_WELL_MS) this.#nextMs = FIRST_MS;
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(delayMs * 2, LONGEST_MS);
    return delayMs;
  }
}

const FIRST_MS = 1000;
const LONGEST_MS = 30_000;
const RAN_WELL_MS = 60_000;
