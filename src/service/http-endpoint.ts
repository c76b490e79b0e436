/** The HTTP server of a service, which a reload may move to another address. */
import { asTtunError, TtunError } from '../errors.ts';
import type { HttpServer } from '../http/server.ts';
import { toProblem } from '../tunnel-host.ts';
import type { HttpReport, TunnelHost } from '../tunnel-host.ts';

export type HttpEvent =
  /** HTTP is served at this URL from now on; `null`: no longer served, as configured. */
  | { readonly kind: 'serving'; readonly url: string | null }
  /** HTTP is configured but no longer served; retrying. Emitted once per problem. */
  | { readonly kind: 'http-failed'; readonly error: TtunError };

export class HttpEndpoint {
  readonly #host: TunnelHost;
  readonly #listener: (event: HttpEvent) => void;
  /** As configured; `null` for nowhere. */
  #listen: string | null = null;
  #server: HttpServer | null = null;
  /** Why nothing is served at `#listen`. */
  #error: TtunError | null = null;
  #timer: NodeJS.Timeout | undefined;
  #retry: Promise<void> = Promise.resolve();

  constructor(host: TunnelHost, listener: (event: HttpEvent) => void) {
    this.#host = host;
    this.#listener = listener;
  }

  report(): HttpReport | null {
    if (this.#listen === null) return null;
    const problem = this.#error === null ? null : toProblem(this.#error);
    return { listen: this.#listen, url: this.#server?.url ?? null, problem };
  }

  /**
   * Serves at `listen` from now on; `null`: nowhere. The old server is closed once the new one listens. Calls must not overlap.
   *
   * @throws TtunError if HTTP cannot be served there; the old address stays in use, and is retried if it fails too
   */
  async moveTo(listen: string | null): Promise<void> {
    await this.#stopRetrying();
    if (listen === this.#listen) {
      if (this.#error !== null) await this.#retryNow();
      return;
    }
    const before = this.#server?.url ?? null;
    try {
      await this.#replace(listen);
      this.#listen = listen;
      this.#error = null;
    } catch (error) {
      if (this.#server === null) await this.#restore();
      throw error;
    } finally {
      this.#reportMove(before);
    }
  }

  async close(): Promise<void> {
    await this.#stopRetrying();
    await this.#server?.close();
    this.#server = null;
    this.#listen = null;
  }

  async #replace(listen: string | null): Promise<void> {
    const old = this.#server;
    try {
      this.#server = listen === null ? null : await this.#start(listen);
    } catch (error) {
      if (listen === null || this.#listen === null || old === null) throw error;
      if (!isPortInUse(error) || portOf(listen) !== portOf(this.#listen)) throw error;
      // Perhaps by this process: 127.0.0.1:9750 and :9750 exclude each other.
      await old.close();
      this.#server = null;
      this.#server = await this.#start(listen);
      return;
    }
    await old?.close();
  }

  /** Serves at the configured address again; retries until that works. */
  async #restore(): Promise<void> {
    if (this.#listen === null) return;
    try {
      this.#server = await this.#start(this.#listen);
      this.#error = null;
    } catch (cause) {
      const error = asTtunError(cause);
      if (error.message !== this.#error?.message) this.#listener({ kind: 'http-failed', error });
      this.#error = error;
      this.#timer = setTimeout(() => {
        this.#retry = this.#retryNow();
      }, RETRY_MS).unref();
    }
  }

  async #retryNow(): Promise<void> {
    await this.#restore();
    this.#reportMove(null);
  }

  #reportMove(before: string | null): void {
    const url = this.#server?.url ?? null;
    if (url !== before && this.#error === null) this.#listener({ kind: 'serving', url });
  }

  async #stopRetrying(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#retry;
    clearTimeout(this.#timer);
  }

  async #start(listen: string): Promise<HttpServer> {
    const { startHttpServer } = await import('../http/server.ts');
    return startHttpServer(listen, this.#host);
  }
}

const RETRY_MS = 2000;

function isPortInUse(error: unknown): boolean {
  return error instanceof TtunError && error.code === 'ERR_TTUN_PORT_IN_USE';
}

function portOf(listen: string): string {
  return listen.slice(listen.lastIndexOf(':') + 1);
}
