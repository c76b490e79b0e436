/** A list of terms, each with its figure. */
import { html, setText } from './dom.js';

/**
 * A description list whose terms are always the same.
 *
 * @template {string} Term
 */
export class Facts {
  /** @type {Map<string, HTMLElement>} */
  #values = new Map();

  /**
   * @param {HTMLElement} list
   * @param {readonly Term[]} terms
   */
  constructor(list, terms) {
    for (const term of terms) {
      const value = html('dd');
      this.#values.set(term, value);
      list.append(html('div', {}, html('dt', {}, term), value));
    }
  }

  /** @param {Readonly<Record<Term, string>>} figures */
  tell(figures) {
    for (const [term, value] of this.#values) setText(value, Object(figures)[term]);
  }
}
