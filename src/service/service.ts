/** All that one process runs by a configuration: its tunnels, its HTTP server, and what the service manager hears of them. */
import { TtunError } from '../errors.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import { asTtunError } from './as-ttun-error.ts';
import type { TunnelEvent } from './events.ts';
import type { ReloadReport, TunnelHost, TunnelReport } from './host.ts';
import { HttpEndpoint } from './http-endpoint.ts';
import type { Plan } from './plan.ts';
import { ServiceManager } from './service-manager.ts';
import { describeStatus } from './status.ts';
import { Supervisor } from './supervisor.ts';

export type ServiceEvent =
  | TunnelEvent
  /** HTTP is served there from now on; `null`: nowhere. */
  | { readonly kind: 'serving'; readonly url: string | null }
  | { readonly kind: 'reloaded'; readonly report: ReloadReport }
  /** The configuration can't be used; everything goes on as before. */
  | { readonly kind: 'reload-failed'; readonly error: TtunError }
  /** The service manager can't be told anything; everything goes on without it. */
  | { readonly kind: 'manager-failed'; readonly error: TtunError };

export interface ServiceSettings {
  /** Reads the configuration. Rejects with a `TtunError` that tells all that is wrong with it. */
  readonly load: () => Promise<Plan>;
  /** Told of everything that happens. */
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
    this.#supervisor = new Supervisor((event) => {
      settings.listener(event);
      this.#manager.status(() => this.#status());
    });
    this.#http = new HttpEndpoint(this);
    this.#manager = new ServiceManager((error) => settings.listener({ kind: 'manager-failed', error }));
  }

  /**
   * Starts what the plan says. Resolves when each tunnel was tried once, as far as that does not take long; those that are not open
   * yet go on being tried.
   *
   * @throws TtunError when HTTP can't be served there; then no tunnel was touched
   */
  start(plan: Plan): Promise<void> {
    return this.#change(async () => {
      await this.#carryOut(plan);
      if (!this.#isClosing) this.#manager.ready(this.#status());
    });
  }

  reports(): readonly TunnelReport[] {
    return this.#supervisor.reports();
  }

  find(name: string): OpenTunnel | undefined {
    return this.#supervisor.find(name);
  }

  /** Reads the configuration anew and carries out what has changed. One that can't be used changes nothing. */
  reload(): Promise<ReloadReport> {
    return this.#change(() => this.#reload());
  }

  /** Ends everything. Resolves when all is released. */
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
    if (this.#isClosing)
      throw new TtunError('ERR_TTUN_CLOSED', 'ttun up is ending, so it loads nothing anew');
    const { listener, load } = this.#settings;
    this.#manager.reloading();
    try {
      const report = await this.#carryOut(await load());
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

  /** HTTP first: nothing that comes after it can fail. */
  async #carryOut({ listen, tunnels }: Plan): Promise<ReloadReport> {
    const before = this.#http.url;
    await this.#http.moveTo(listen);
    const { url } = this.#http;
    if (url !== before) this.#settings.listener({ kind: 'serving', url });
    return this.#supervisor.apply(tunnels);
  }

  #status(): string {
    return describeStatus(this.reports());
  }
}
