/** Whether the process answers. */
import { byId, setText } from './dom.js';
import { formatClock } from './format.js';

export class Connection {
  #element = byId('connection');
  /** @type {'connecting' | 'live' | 'lost'} */
  #state = 'connecting';
  /** When the last answer came, in ms since the epoch. */
  #lastAt = Date.now();

  /** @returns {string | null} what to announce */
  answered() {
    const wasLost = this.#state === 'lost';
    this.#lastAt = Date.now();
    this.#show('live', 'Live');
    return wasLost ? 'The connection to ttun is back.' : null;
  }

  /** @returns {string | null} what to announce */
  failed() {
    if (this.#state === 'lost') return null;
    const since = formatClock(this.#lastAt);
    this.#show(
      'lost',
      this.#state === 'connecting'
        ? 'ttun does not answer, trying again'
        : `ttun does not answer; figures are of ${since}`,
    );
    return 'ttun does not answer any more.';
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
