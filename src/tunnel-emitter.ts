/** The events of a tunnel, and the timers behind them. */
import { errorMonitor, EventEmitter } from 'node:events';
import type { TtunError } from './errors.ts';
import type { TunnelState } from './stats.ts';
import type { TunnelChange, TunnelEnd, TunnelEvents } from './tunnel.ts';

/** Emits `TunnelEvents`. No timer runs while `state` has no listener and no follower. */
export abstract class TunnelEmitter extends EventEmitter<TunnelEvents> {
  abstract readonly state: TunnelState;
  readonly #poll = new StatePoll(
    () => this.state,
    (state, previous) => this.#onPoll(state, previous),
  );
  #follower: ((state: TunnelState) => void) | null = null;

  constructor() {
    super();
    this.#noticeListeners();
  }

  /** Also keeps noticing listeners that are added afterwards. */
  override removeAllListeners(event?: keyof TunnelEvents): this {
    if (event === undefined) super.removeAllListeners();
    else super.removeAllListeners(event);
    this.#noticeListeners();
    return this;
  }

  /** Calls `follower` with the state twice a second, until the end. */
  followState(follower: (state: TunnelState) => void): void {
    this.#follower = follower;
    this.#poll.start();
  }

  emitChange(change: TunnelChange): void {
    this.emit('change', change);
  }

  /**
   * Emits `state`, `error` and `close`, each in its own microtask, so that a listener that throws does not keep the others
   * from being called, and its exception is handled as those of listeners are.
   */
  protected emitEnd(end: TunnelEnd): void {
    queueMicrotask(() => this.#poll.poll());
    if (end.reason === 'failed') queueMicrotask(() => this.#emitError(end.error));
    queueMicrotask(() => this.emit('close', end));
  }

  #onPoll(state: TunnelState, previous: TunnelState): void {
    const wanted = this.#follower !== null || this.listenerCount('state') > 0;
    if (!wanted || state === 'closed') this.#poll.stop();
    this.#follower?.(state);
    if (state !== previous) this.emit('state', state, previous);
  }

  /** EventEmitter would throw without a listener; but one lost tunnel must not end a program that awaits `closed`. */
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
    if (event === 'state') this.#poll.start();
  };

  /** For events that every emitter has, such as `newListener`. */
  get #untyped(): EventEmitter {
    return this;
  }
}

/** The packet path does not report changes of the state, which would cost time with each packet. */
const POLL_INTERVAL_MS = 500;

/** Polls the state of one tunnel while there is a reason to, without keeping the process alive for it. */
class StatePoll {
  readonly #read: () => TunnelState;
  readonly #onPoll: (state: TunnelState, previous: TunnelState) => void;
  #timer: NodeJS.Timeout | undefined;
  #seen: TunnelState = 'waiting';

  /** `onPoll` is called each time, whether or not the state changed. */
  constructor(read: () => TunnelState, onPoll: (state: TunnelState, previous: TunnelState) => void) {
    this.#read = read;
    this.#onPoll = onPoll;
  }

  /** Reports changes from now on. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#seen = this.#read();
    if (this.#seen === 'closed') return;
    this.#timer = setInterval(() => this.poll(), POLL_INTERVAL_MS).unref();
  }

  poll(): void {
    const previous = this.#seen;
    this.#seen = this.#read();
    this.#onPoll(this.#seen, previous);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Keeps the process alive, as an open socket of Node does; the binding's threads do not. */
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

/** The longest interval that setInterval accepts, about 25 days. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;
