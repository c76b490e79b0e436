/** The tunnels of `ttun show --watch` and their recent traffic. */
import type { Survey } from '../control/client.ts';
import type { ProcessReport } from '../control/protocol.ts';
import { diffStats } from '../rates.ts';
import type { TunnelReport } from '../tunnel-host.ts';
import type { TunnelRates, TunnelStats } from '../stats.ts';
import { runningTunnels, wantedBy } from './running.ts';
import type { RunningTunnel } from './running.ts';

export interface Watched {
  /** Its name, with what distinguishes it from others of that name. */
  readonly label: string;
  readonly report: TunnelReport;
  readonly history: History;
  /** Whether its process did not answer this time, so that the report is the previous one. */
  readonly isSilent: boolean;
}

export class WatchedTunnels {
  readonly #names: readonly string[];
  /** Inode of this process's network namespace. */
  readonly #namespace: number;
  #known = new Map<string, { readonly tunnel: RunningTunnel; readonly history: History }>();

  /** @param names only tunnels with these names; all if empty */
  constructor(names: readonly string[], namespace: number) {
    this.#names = names;
    this.#namespace = namespace;
  }

  /** @param now in ms of a monotonic clock */
  update(found: Survey, now: number): Watched[] {
    const silent = new Set(found.silent.map(({ path }) => path));
    const left = [...this.#known.values()].map(({ tunnel }) => tunnel).filter(({ path }) => silent.has(path));
    const all = [...runningTunnels(found), ...left];
    const wanted = wantedBy(
      this.#names,
      all.map(({ report }) => report),
    );
    const tunnels = all.filter(({ report }) => wanted(report));
    const histories = tunnels.map((tunnel) => this.#known.get(keyOf(tunnel))?.history ?? new History());
    this.#known = new Map(
      tunnels.map((tunnel, index) => [keyOf(tunnel), { tunnel, history: histories[index] ?? new History() }]),
    );
    return [...this.#known.values()].map(({ tunnel, history }) => {
      const isSilent = silent.has(tunnel.path);
      history.add(isSilent ? null : tunnel.report.stats, now);
      return { label: this.#labelOf(tunnel, tunnels), report: tunnel.report, history, isSilent };
    });
  }

  #labelOf({ report: { name }, process }: RunningTunnel, all: readonly RunningTunnel[]): string {
    const { inode, name: namespace } = process.networkNamespace;
    const namesakes = all.filter((other) => other.report.name === name);
    if (inode !== this.#namespace && namespace !== null && isOnlyOne(namesakes, inode)) {
      return `${name} (${namespace})`;
    }
    return namesakes.length > 1 ? `${name} (${process.pid})` : name;
  }
}

/** Whether exactly one of them is in that network namespace. */
function isOnlyOne(tunnels: readonly { readonly process: ProcessReport }[], namespace: number): boolean {
  return tunnels.filter(({ process }) => process.networkNamespace.inode === namespace).length === 1;
}

/** The path of the socket identifies the process. */
function keyOf({ path, report }: RunningTunnel): string {
  return `${path} ${report.name}`;
}

const HISTORY_MS = 60_000;

/** The traffic of a tunnel over the last minute. */
export class History {
  /** Between the last two samples; `null` if there are fewer. */
  rates: TunnelRates | null = null;
  #last: TunnelStats | null = null;
  /** Oldest first. */
  #samples: Sample[] = [];

  /** @param now in ms of a monotonic clock */
  add(stats: TunnelStats | null, now: number): void {
    this.rates = stats === null || this.#last === null ? null : ratesBetween(this.#last, stats);
    this.#last = stats;
    this.#samples = this.#samples.filter(({ at }) => now - at < HISTORY_MS);
    if (this.rates === null) return;
    this.#samples.push({ at: now, bits: 8 * (this.rates.encap.bytes + this.rates.decap.bytes) });
  }

  /**
   * The last minute in `count` parts, oldest first: the highest rate of each in bit/s, or `null` without samples. The boundaries of
   * the parts are fixed in time, so that a chart moves but does not change.
   */
  inParts(count: number, now: number): (number | null)[] {
    const length = HISTORY_MS / count;
    const current = Math.floor(now / length);
    const parts = Array.from({ length: count }, (): number | null => null);
    for (const { at, bits } of this.#samples) {
      const index = count - 1 - (current - Math.floor(at / length));
      if (index >= 0) parts[index] = Math.max(parts[index] ?? 0, bits);
    }
    return parts;
  }
}

/** `null` for statistics that go back in time, which only a malicious process reports. */
function ratesBetween(before: TunnelStats, after: TunnelStats): TunnelRates | null {
  const isLater = before.openedAt !== after.openedAt || before.uptimeMs <= after.uptimeMs;
  return isLater ? diffStats(before, after) : null;
}

interface Sample {
  readonly at: number;
  readonly bits: number;
}
