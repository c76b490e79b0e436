/** A host of real tunnels in other processes and namespaces; its reports are a moment old. */
import type { TunnelHost, TunnelReport } from '../../src/tunnel-host.ts';
import type { TunnelStats } from '../../src/stats.ts';
import type { RemoteTunnel } from '../../testbed/tunnel.ts';
import { reportOf } from '../stats-of-nothing.ts';

const EVERY_MS = 200;

export class LiveHost implements TunnelHost, Disposable {
  readonly #tunnels: Readonly<Record<string, RemoteTunnel>>;
  readonly #stats = new Map<string, TunnelStats>();
  readonly #timer: NodeJS.Timeout;

  private constructor(tunnels: Readonly<Record<string, RemoteTunnel>>) {
    this.#tunnels = tunnels;
    this.#timer = setInterval(() => void this.#look().catch(() => {}), EVERY_MS);
  }

  static async of(tunnels: Readonly<Record<string, RemoteTunnel>>): Promise<LiveHost> {
    const host = new LiveHost(tunnels);
    await host.#look();
    return host;
  }

  reports(): readonly TunnelReport[] {
    return [...this.#stats].map(([name, stats]) =>
      reportOf({
        name,
        device: stats.device.name,
        local: stats.socket.local,
        remote: stats.socket.remote ?? 'learn',
        phase: 'open',
        problem: null,
        stats,
      }),
    );
  }

  find(): undefined {}

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    for (const [name, tunnel] of Object.entries(this.#tunnels)) this.#stats.set(name, await tunnel.stats());
  }
}
