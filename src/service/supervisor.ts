/** Keeps the tunnels of a configuration open, and replaces one set of them with another. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BindingNetworkWatch } from '../../binding.cjs';
import type { ResolvedOptions } from '../schema.ts';
import { watchNetwork } from '../native.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { ReloadReport, TunnelReport } from '../tunnel-host.ts';
import { SupervisedTunnel } from './supervised-tunnel.ts';
import type { TunnelListener } from './supervised-tunnel.ts';

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
