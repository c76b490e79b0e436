/** All that one process runs by a configuration: its tunnels, its HTTP server, and what the service manager hears of them. */
import { asTtunError, TtunError } from '../errors.ts';
import type { HttpServer } from '../http/server.ts';
import type { OpenTunnel } from '../open-tunnel.ts';
import type { Plan, ReloadReport, TunnelEvent, TunnelHost, TunnelReport } from './host.ts';
import { describeStatus, ServiceManager } from './service-manager.ts';
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

// Where this process serves HTTP, which a new configuration may change.

export class HttpEndpoint {
  readonly #host: TunnelHost;
  #current: Serving | null = null;

  constructor(host: TunnelHost) {
    this.#host = host;
  }

  /** Where it is reached; `null` while nothing is served. */
  get url(): string | null {
    return this.#current?.server.url ?? null;
  }

  /**
   * Serves at `listen` from now on; `null`: nowhere. The old server goes on until the new one has its port.
   *
   * @throws TtunError when the new one can't be had; then everything is as before
   */
  async moveTo(listen: string | null): Promise<void> {
    const old = this.#current;
    if (listen === (old?.listen ?? null)) return;
    if (listen === null) this.#current = null;
    else this.#current = await this.#start(listen).catch((error: unknown) => this.#replace(listen, error));
    await old?.server.close();
  }

  async close(): Promise<void> {
    await this.#current?.server.close();
    this.#current = null;
  }

  /** The port may be taken by ourselves: 127.0.0.1:9750 is in the way of :9750. Then the old one has to go first. */
  async #replace(listen: string, error: unknown): Promise<Serving> {
    const old = this.#current;
    if (old === null || portOf(old.listen) !== portOf(listen)) throw error;
    await old.server.close();
    this.#current = null;
    try {
      return await this.#start(listen);
    } catch (finalError) {
      this.#current = await this.#start(old.listen);
      throw finalError;
    }
  }

  async #start(listen: string): Promise<Serving> {
    const { startHttpServer } = await import('../http/server.ts');
    return { listen, server: await startHttpServer(listen, this.#host) };
  }
}

interface Serving {
  readonly listen: string;
  readonly server: HttpServer;
}

function portOf(listen: string): string {
  return listen.slice(listen.lastIndexOf(':') + 1);
}
