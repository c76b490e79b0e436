/** Everything that `ttun up` runs: tunnels, the HTTP server, and notifications to the service manager. */
import { asTtunError, TtunError } from '../errors.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { ResolvedOptions } from '../schema.ts';
import type { HttpReport, ReloadReport, TunnelHost, TunnelReport } from '../tunnel-host.ts';
import { HttpEndpoint } from './http-endpoint.ts';
import type { HttpEvent } from './http-endpoint.ts';
import { describeStatus, ServiceManager } from './service-manager.ts';
import { Supervisor } from './supervisor.ts';
import type { TunnelEvent } from './supervised-tunnel.ts';

/** The content of a valid configuration. */
export interface Plan {
  /** Where to serve HTTP, such as `127.0.0.1:9750`; `null` for nowhere. */
  readonly listen: string | null;
  /** By name, in the order of the configuration. */
  readonly tunnels: ReadonlyMap<string, ResolvedOptions>;
}

export type ServiceEvent =
  | TunnelEvent
  | HttpEvent
  | { readonly kind: 'reloaded'; readonly report: ReloadReport }
  /** The new configuration cannot be used; the old one stays in use. */
  | { readonly kind: 'reload-failed'; readonly error: TtunError }
  /** The service manager cannot be notified; everything else runs. */
  | { readonly kind: 'manager-failed'; readonly error: TtunError };

export interface ServiceSettings {
  /** Reads the configuration. Rejects with a `TtunError` that lists all mistakes in it. */
  readonly load: () => Promise<Plan>;
  readonly listener: (event: ServiceEvent) => void;
}

export class Service implements TunnelHost {
  readonly #settings: ServiceSettings;
  readonly #supervisor: Supervisor;
  readonly #http: HttpEndpoint;
  readonly #manager: ServiceManager;
  /** Changes are made one after the other. */
  #lastChange: Promise<unknown> = Promise.resolve();
  #isClosing = false;

  constructor(settings: ServiceSettings) {
    this.#settings = settings;
    const listener = (event: TunnelEvent | HttpEvent): void => {
      settings.listener(event);
      // The tunnel may have brought the address to listen on.
      if (event.kind === 'opened') this.#http.retryNow();
      this.#manager.status(() => this.#status());
    };
    this.#supervisor = new Supervisor(listener);
    this.#http = new HttpEndpoint(this, listener);
    this.#manager = new ServiceManager((error) => settings.listener({ kind: 'manager-failed', error }));
  }

  /**
   * Starts the plan. Resolves once each tunnel was tried, or after 5 s; those that are not open by then are retried.
   *
   * @throws TtunError if HTTP cannot be served, except for lack of its address; then no tunnel was opened
   */
  start(plan: Plan): Promise<void> {
    return this.#change(async () => {
      await this.#apply(plan);
      if (!this.#isClosing) this.#manager.ready(this.#status());
    });
  }

  reports(): readonly TunnelReport[] {
    return this.#supervisor.reports();
  }

  find(name: string): OpenTunnel | undefined {
    return this.#supervisor.find(name);
  }

  http(): HttpReport | null {
    return this.#http.report();
  }

  /** Reads the configuration again and applies what changed. A configuration that cannot be used changes nothing. */
  reload(): Promise<ReloadReport> {
    return this.#change(() => this.#reload());
  }

  /** Closes everything. Resolves when all devices and sockets are released. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#manager.stopping();
    await Promise.all([this.#supervisor.close(), this.#lastChange]);
    await this.#http.close();
  }

  #change<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#lastChange.then(change);
    this.#lastChange = changed.catch(() => {});
    return changed;
  }

  async #reload(): Promise<ReloadReport> {
    if (this.#isClosing) throw new TtunError('ERR_TTUN_CLOSED', 'ttun up is shutting down');
    const { listener, load } = this.#settings;
    this.#manager.reloading();
    try {
      const report = await this.#apply(await load());
      listener({ kind: 'reloaded', report });
      return report;
    } catch (cause) {
      const error = asTtunError(cause);
      listener({ kind: 'reload-failed', error });
      throw error;
    } finally {
      if (!this.#isClosing) this.#manager.ready(this.#status());
    }
  }

  /** HTTP first, because only that can fail; but its address may be that of a tunnel. */
  async #apply({ listen, tunnels }: Plan): Promise<ReloadReport> {
    await this.#http.moveTo(listen);
    const report = await this.#supervisor.apply(tunnels);
    await this.#http.settle();
    return report;
  }

  #status(): string {
    return describeStatus(this.reports(), this.http()?.problem ?? null);
  }
}
