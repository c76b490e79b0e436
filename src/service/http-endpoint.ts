/** The HTTP server of a process, which waits for its address, and which a reload may move to another. */
import type { BindingNetworkWatch } from '../../binding.cjs';
import { asTtunError, TtunError } from '../errors.ts';
import type { HttpServer } from '../http/server.ts';
import { watchNetwork } from '../native.ts';
import { toProblem } from '../tunnel-host.ts';
import type { HttpReport, TunnelHost } from '../tunnel-host.ts';

export type HttpEvent =
  /** HTTP is served at this URL from now on; `null`: no longer served, as configured. */
  | { readonly kind: 'serving'; readonly url: string | null }
  /** HTTP is configured but not served; retrying. Emitted once for each problem. */
  | { readonly kind: 'http-failed'; readonly error: TtunError };

export class HttpEndpoint {
  readonly #host: TunnelHost;
  readonly #listener: (event: HttpEvent) => void;
  /** As configured; `null` for nowhere. */
  #listen: string | null = null;
  #server: HttpServer | null = null;
  /** Why nothing is served at `#listen`. */
  #error: TtunError | null = null;
  /** The problem that was emitted last. */
  #emitted: TtunError | null = null;
  /** Whether a tunnel that is still being opened may add the address, so that its absence is not a problem yet. */
  #isExpected = false;
  #timer: NodeJS.Timeout | undefined;
  /** Reports changes of the network while nothing is served. */
  #watch: BindingNetworkWatch | null = null;
  /** Attempts may take longer than the time between changes of the network, and must not pile up. */
  #isRetryQueued = false;
  /** Attempts are made one after the other. */
  #last: Promise<void> = Promise.resolve();

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
   * Serves at `listen` from now on; `null`: nowhere. The old server is closed once the new one listens. If this host does not have
   * the address, the server waits for it: call `settle` once the tunnels are open, because one of them may add it.
   *
   * @throws TtunError if HTTP cannot be served there; the old address stays in use, and is retried if it fails too
   */
  moveTo(listen: string | null): Promise<void> {
    return this.#then(() => this.#move(listen));
  }

  /** If HTTP is not served at the configured address, tries again at once. */
  retryNow(): void {
    if (this.#error === null || this.#isRetryQueued) return;
    this.#isRetryQueued = true;
    void this.#then(() => {
      this.#isRetryQueued = false;
      return this.#restore();
    });
  }

  /** The tunnels are open: if HTTP is still not served at the configured address, that is a problem, and is reported. */
  settle(): Promise<void> {
    return this.#then(() => {
      this.#isExpected = false;
      return this.#error === null ? Promise.resolve() : this.#restore();
    });
  }

  close(): Promise<void> {
    return this.#then(async () => {
      this.#stopRetrying();
      this.#listen = null;
      await this.#server?.close();
      this.#server = null;
    });
  }

  #then(attempt: () => Promise<void>): Promise<void> {
    const made = this.#last.then(attempt);
    this.#last = made.catch(() => {});
    return made;
  }

  async #move(listen: string | null): Promise<void> {
    this.#stopRetrying();
    if (listen === this.#listen) {
      if (this.#error !== null) await this.#restore();
      return;
    }
    const before = this.#server?.url ?? null;
    try {
      await this.#replace(listen);
      this.#listen = listen;
      this.#error = null;
    } catch (error) {
      if (!isNotHere(error)) {
        if (this.#server === null) await this.#restore();
        throw error;
      }
      await this.#waitFor(listen, error);
    }
    this.#emitMove(before);
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

  /** Nothing is served meanwhile: the old address is no longer wanted. */
  async #waitFor(listen: string | null, error: TtunError): Promise<void> {
    await this.#server?.close();
    this.#server = null;
    this.#listen = listen;
    this.#error = error;
    this.#isExpected = true;
    this.#retryLater();
  }

  /** Serves at the configured address again, or retries later. */
  async #restore(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#listen === null || this.#server !== null) return;
    try {
      this.#server = await this.#start(this.#listen);
      this.#error = null;
      this.#stopRetrying();
      this.#emitMove(null);
    } catch (cause) {
      this.#error = asTtunError(cause);
      this.#emitProblem(this.#error);
      this.#retryLater();
    }
  }

  #retryLater(): void {
    this.#timer = setTimeout(() => this.retryNow(), RETRY_MS).unref();
    this.#watch ??= watchNetwork(() => this.retryNow());
  }

  #stopRetrying(): void {
    clearTimeout(this.#timer);
    this.#watch?.stop();
    this.#watch = null;
  }

  #emitProblem(error: TtunError): void {
    if (this.#isExpected || error.message === this.#emitted?.message) return;
    this.#emitted = error;
    this.#listener({ kind: 'http-failed', error });
  }

  #emitMove(before: string | null): void {
    const url = this.#server?.url ?? null;
    if (this.#error !== null) return;
    this.#emitted = null;
    if (url !== before) this.#listener({ kind: 'serving', url });
  }

  async #start(listen: string): Promise<HttpServer> {
    const { startHttpServer } = await import('../http/server.ts');
    return startHttpServer(listen, this.#host);
  }
}

const RETRY_MS = 2000;

/** Whether this host does not have the address, or the name does not resolve; either may change at any time. */
function isNotHere(error: unknown): error is TtunError {
  return error instanceof TtunError && error.code === 'ERR_TTUN_ADDRESS_NOT_LOCAL';
}

function isPortInUse(error: unknown): boolean {
  return error instanceof TtunError && error.code === 'ERR_TTUN_PORT_IN_USE';
}

function portOf(listen: string): string {
  return listen.slice(listen.lastIndexOf(':') + 1);
}
