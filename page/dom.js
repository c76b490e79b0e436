/** Helpers for elements. Text stays text: nothing here parses markup. */

/**
 * Creates an HTML element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Readonly<Record<string, string>>} [attributes]
 * @param {...(Node | string)} content
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function html(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...content);
  return element;
}

/**
 * Creates an SVG element.
 *
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Readonly<Record<string, string>>} [attributes]
 * @param {...Node} content
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function svg(tag, attributes = {}, ...content) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  setAttributes(element, attributes);
  element.append(...content);
  return element;
}

/**
 * Leaves text that has not changed alone, so that a selection in it stays.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {Element} element
 * @param {Readonly<Record<string, string>>} attributes
 */
export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  }
}

/**
 * Replaces the content of an element if what it shows has changed, so that a selection in it stays otherwise.
 *
 * @param {HTMLElement} element
 * @param {unknown} shown
 * @param {() => (Node | string)[]} render
 */
export function replaceContent(element, shown, render) {
  const key = JSON.stringify(shown);
  if (element.dataset['shown'] === key) return;
  element.dataset['shown'] = key;
  element.replaceChildren(...render());
}

/**
 * An element of index.html.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element ${id}`);
  return element;
}

/**
 * A description list with fixed terms.
 *
 * @template {string} Term
 */
export class DescriptionList {
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

  /** @param {Readonly<Record<Term, string>>} values */
  update(values) {
    for (const [term, element] of this.#values) setText(element, Object(values)[term]);
  }
}
