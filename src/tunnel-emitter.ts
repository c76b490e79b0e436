/** The events of a tunnel, and what has to run so that there are any. */
import { errorMonitor, EventEmitter } from 'node:events';
import type { TtunError } from './errors.ts';
import type { TunnelState } from './stats.ts';
import type { TunnelEnd, TunnelEvents } from './tunnel.ts';

/** Emits what `TunnelEvents` promises. While nobody listens to `state` and nobody follows it, no timer runs. */
export abstract class TunnelEmitter extends EventEmitter<TunnelEvents> {
  abstract readonly state: TunnelState;
  readonly #watch = new StateWatch(
    () => this.state,
    (state, previous) => this.#onLook(state, previous),
  );
  #follower: ((state: TunnelState) => void) | null = null;

  constructor() {
    super();
    this.#noticeListeners();
  }

  /** Listeners may come again after all were removed, and then there has to be somebody to notice. */
  override removeAllListeners(event?: keyof TunnelEvents): this {
    if (event === undefined) super.removeAllListeners();
    else super.removeAllListeners(event);
    this.#noticeListeners();
    return this;
  }

  /** Has `follower` told of the state twice a second, until the end. */
  followState(follower: (state: TunnelState) => void): void {
    this.#follower = follower;
    this.#watch.start();
  }

  /**
   * Emits `state`, `error` and `close`, each in a turn of its own, so that a listener that throws keeps no other one from
   * being told, and the error goes where errors of listeners go.
   */
  protected emitEnd(end: TunnelEnd): void {
    queueMicrotask(() => this.#watch.look());
    if (end.reason === 'failed') queueMicrotask(() => this.#emitError(end.error));
    queueMicrotask(() => this.emit('close', end));
  }

  #onLook(state: TunnelState, previous: TunnelState): void {
    const wanted = this.#follower !== null || this.listenerCount('state') > 0;
    if (!wanted || state === 'closed') this.#watch.stop();
    this.#follower?.(state);
    if (state !== previous) this.emit('state', state, previous);
  }

  /** EventEmitter throws an error that nobody listens to; but one lost tunnel must not end a program that awaits `closed`. */
  #emitError(error: TtunError): void {
    if (this.listenerCount('error') > 0) this.emit('error', error);
    else if (this.listenerCount(errorMonitor) > 0) this.#untyped.emit(errorMonitor, error);
  }

  #noticeListeners(): void {
    if (!this.#untyped.listeners('newListener').includes(this.#onListener)) {
      this.#untyped.on('newListener', this.#onListener);
    }
  }

  readonly #onListener = (event: string | symbol): void => {
    if (event === 'state') this.#watch.start();
  };

  /** For the events that every emitter has and that are not among those of a tunnel. */
  get #untyped(): EventEmitter {
    return this;
  }
}

// Notices changes of state. The packet path tells nobody of them, as that would cost something with each packet; so while
// somebody wants to know, the state is looked at twice a second.

const INTERVAL_MS = 500;

/** Looks at the state of one tunnel while there is a reason to, without keeping the process alive for it. */
export class StateWatch {
  readonly #read: () => TunnelState;
  readonly #onLook: (state: TunnelState, previous: TunnelState) => void;
  #timer: NodeJS.Timeout | undefined;
  #seen: TunnelState = 'waiting';

  /** `onLook` is called at each look, also when nothing changed since the one before. */
  constructor(read: () => TunnelState, onLook: (state: TunnelState, previous: TunnelState) => void) {
    this.#read = read;
    this.#onLook = onLook;
  }

  /** Changes count from now on. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#seen = this.#read();
    if (this.#seen === 'closed') return;
    this.#timer = setInterval(() => this.look(), INTERVAL_MS).unref();
  }

  look(): void {
    const previous = this.#seen;
    this.#seen = this.#read();
    this.#onLook(this.#seen, previous);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Keeps the process alive, as an open socket of Node's own does; the binding's threads do not. */
export class KeepAlive {
  readonly #timer = setInterval(() => {}, LONGEST_INTERVAL_MS);

  ref(): void {
    this.#timer.ref();
  }

  unref(): void {
    this.#timer.unref();
  }

  end(): void {
    clearInterval(this.#timer);
  }
}

/** The longest that setInterval takes, about 25 days. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;
