/** The tunnels of one process, each kept open for itself, and how one set of them becomes another. */
import type { OpenTunnel } from '../open-tunnel.ts';
import type { TunnelOptions } from '../options.ts';
import { settledWithin } from '../settled-within.ts';
import type { TunnelListener } from './events.ts';
import type { ReloadReport, TunnelReport } from './host.ts';
import { SupervisedTunnel } from './supervised-tunnel.ts';

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
