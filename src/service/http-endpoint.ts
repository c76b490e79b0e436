/** Where this process serves HTTP, which a new configuration may change. */
import type { HttpServer } from '../http/server.ts';
import type { TunnelHost } from './host.ts';

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
