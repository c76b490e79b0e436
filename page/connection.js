/** Polls /stats while the page is visible, and shows whether the process answers. */
import { byId, setText } from './dom.js';
import { formatClock } from './format.js';

/** @import { StatsDocument } from '../src/http/stats.ts' */

const INTERVAL_MS = 1000;
const TIMEOUT_MS = 4000;

export class Connection {
  #onDocument;
  #onFailure;
  #element = byId('connection');
  /** @type {'connecting' | 'live' | 'lost'} */
  #state = 'connecting';
  /** Time of the last answer, in ms since the epoch. */
  #lastAt = Date.now();
  /** Ends the polling; `null` while the page is hidden. @type {AbortController | null} */
  #polling = null;

  /**
   * @param {(document: StatsDocument, isBack: boolean) => void} onDocument `isBack` after a failure
   * @param {(isNew: boolean) => void} onFailure `isNew` for the first of several
   */
  constructor(onDocument, onFailure) {
    this.#onDocument = onDocument;
    this.#onFailure = onFailure;
  }

  start() {
    document.addEventListener('visibilitychange', () => this.#followVisibility());
    this.#followVisibility();
  }

  #followVisibility() {
    if (document.hidden) {
      this.#polling?.abort();
      this.#polling = null;
    } else if (this.#polling === null) {
      this.#polling = new AbortController();
      void this.#poll(this.#polling.signal);
    }
  }

  /** @param {AbortSignal} ended */
  async #poll(ended) {
    while (!ended.aborted) {
      const begin = performance.now();
      const answer = await fetchStats();
      if (ended.aborted) return;
      if (answer === null) this.#failed();
      else this.#answered(answer);
      const delay = Math.max(0, INTERVAL_MS - (performance.now() - begin));
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }

  /** @param {StatsDocument} answer */
  #answered(answer) {
    const isBack = this.#state === 'lost';
    this.#lastAt = Date.now();
    this.#show('live', 'Live');
    this.#onDocument(answer, isBack);
  }

  #failed() {
    const before = this.#state;
    const last = before === 'connecting' ? 'retrying' : `last update at ${formatClock(this.#lastAt)}`;
    if (before !== 'lost') this.#show('lost', `ttun does not answer; ${last}`);
    this.#onFailure(before !== 'lost');
  }

  /**
   * @param {'live' | 'lost'} state
   * @param {string} text
   */
  #show(state, text) {
    this.#state = state;
    this.#element.dataset['state'] = state;
    document.body.classList.toggle('stale', state === 'lost');
    setText(this.#element, text);
  }
}

/** @returns {Promise<StatsDocument | null>} `null` if there is no answer */
async function fetchStats() {
  try {
    const response = await fetch('stats', { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}
