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
