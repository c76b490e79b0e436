/**
 * A chart of both directions over the last five minutes. Its legend tells in words what the curves show, and a cursor, moved by
 * pointer or arrow keys, what there was at any moment.
 */
import { curveOf, roundTop, SIDE } from './curve.js';
import { html, setAttributes, setText, svg } from './dom.js';
import { formatDuration, UNKNOWN } from './format.js';
import { WINDOW_MS } from './history.js';

/** @import { History, Rates, Series } from './history.js' */

/**
 * @typedef {object} ChartOptions
 * @property {string} title
 * @property {Series} inward
 * @property {Series} outward
 * @property {number} least the least value at the upper edge, so that little does not look like much
 * @property {(value: number | null) => string} format
 */

const STEP_MS = 5000;

let count = 0;

export class Chart {
  /** @type {HTMLElement} */
  element;
  /** @type {ChartOptions} */
  #options;
  /** @type {History} */
  #history;
  #when = html('span', { class: 'chart-when' });
  #inward = new Legend('in', 'In');
  #outward = new Legend('out', 'Out');
  #area = svg('path', { class: 'area in' });
  #lines = { in: svg('path', { class: 'line in' }), out: svg('path', { class: 'line out' }) };
  #half = html('span', { class: 'scale half' });
  #top = html('span', { class: 'scale top' });
  #marker = html('span', { class: 'marker', hidden: '' });
  /** @type {HTMLElement} */
  #plot;
  #scale = 0;
  #now = 0;
  /** How far back the cursor stands, in ms; `null` while there is none. @type {number | null} */
  #cursor = null;

  /**
   * @param {History} history
   * @param {ChartOptions} options
   */
  constructor(history, options) {
    this.#history = history;
    this.#options = options;
    count += 1;
    const [titleId, legendId] = [`chart-${count}`, `legend-${count}`];
    this.#plot = html(
      'div',
      {
        class: 'plot',
        role: 'slider',
        tabindex: '0',
        'aria-labelledby': titleId,
        'aria-describedby': legendId,
        'aria-valuemin': String(-WINDOW_MS / 1000),
        'aria-valuemax': '0',
      },
      this.#draw(),
      this.#top,
      this.#half,
      this.#marker,
    );
    this.element = html(
      'section',
      { class: 'chart' },
      html('header', {}, html('h3', { id: titleId }, options.title), this.#when),
      html('div', { class: 'legend', id: legendId }, this.#inward.element, this.#outward.element),
      this.#plot,
      html(
        'div',
        { class: 'times', 'aria-hidden': 'true' },
        ...['5 min', '4', '3', '2', '1', 'now'].map((time) => html('span', {}, time)),
      ),
    );
    this.#listen();
  }

  /** @param {number} now ms of the browser's monotonic time */
  update(now) {
    const { inward, outward, least, format } = this.#options;
    this.#now = now;
    const peaks = { in: this.#history.peak(inward), out: this.#history.peak(outward) };
    this.#scale = roundTop(Math.max(peaks.in ?? 0, peaks.out ?? 0), this.#scale, least);
    const { points } = this.#history;
    const curves = {
      in: curveOf(points, inward, now, this.#scale),
      out: curveOf(points, outward, now, this.#scale),
    };
    setAttributes(this.#area, { d: curves.in.area });
    setAttributes(this.#lines.in, { d: curves.in.line });
    setAttributes(this.#lines.out, { d: curves.out.line });
    setText(this.#top, format(this.#scale));
    setText(this.#half, format(this.#scale / 2));
    this.#inward.tellPeak(format(peaks.in));
    this.#outward.tellPeak(format(peaks.out));
    this.#tell();
  }

  #draw() {
    const grid = [0, SIDE / 2, SIDE].map((y) => svg('path', { class: 'grid', d: `M0 ${y}H${SIDE}` }));
    return svg(
      'svg',
      { viewBox: `0 0 ${SIDE} ${SIDE}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      ...grid,
      this.#area,
      this.#lines.in,
      this.#lines.out,
    );
  }

  /** Tells the figures at the cursor, or those of now. */
  #tell() {
    const { inward, outward, format } = this.#options;
    const rates = this.#ratesAtCursor();
    const when = this.#cursor === null ? 'now' : `${formatDuration(this.#cursor)} ago`;
    const [inText, outText] = [format(rates?.[inward] ?? null), format(rates?.[outward] ?? null)];
    setText(this.#when, when);
    this.#inward.tell(inText);
    this.#outward.tell(outText);
    setAttributes(this.#plot, {
      'aria-valuenow': String(-Math.round((this.#cursor ?? 0) / 1000)),
      'aria-valuetext': rates === null ? `${when}: nothing known` : `${when}: in ${inText}, out ${outText}`,
    });
    this.#marker.hidden = this.#cursor === null;
    if (this.#cursor !== null) this.#marker.style.left = `${100 * (1 - this.#cursor / WINDOW_MS)}%`;
  }

  /** @returns {Rates | null} */
  #ratesAtCursor() {
    if (this.#cursor === null) return this.#history.now;
    const at = this.#now - this.#cursor;
    const { points } = this.#history;
    // A point tells of the time before it.
    const point = points.find((candidate) => candidate.at >= at) ?? points.at(-1);
    return point !== undefined && Math.abs(point.at - at) <= STEP_MS ? point.rates : null;
  }

  #listen() {
    const plot = this.#plot;
    plot.addEventListener('pointermove', (event) => {
      const { left, width } = plot.getBoundingClientRect();
      this.#moveTo(WINDOW_MS * (1 - (event.clientX - left) / width));
    });
    plot.addEventListener('pointerleave', () => this.#remove());
    plot.addEventListener('blur', () => this.#remove());
    plot.addEventListener('keydown', (event) => {
      const target = this.#targetOf(event.key);
      if (target === undefined) return;
      event.preventDefault();
      if (target === null) this.#remove();
      else this.#moveTo(target);
    });
  }

  /**
   * Where a key moves the cursor; `null` takes it away.
   *
   * @param {string} key
   * @returns {number | null | undefined}
   */
  #targetOf(key) {
    const from = this.#cursor ?? 0;
    switch (key) {
      case 'ArrowLeft':
      case 'ArrowDown':
        return from + STEP_MS;
      case 'ArrowRight':
      case 'ArrowUp':
        return from - STEP_MS;
      case 'PageDown':
        return from + 12 * STEP_MS;
      case 'PageUp':
        return from - 12 * STEP_MS;
      case 'Home':
        return WINDOW_MS;
      case 'End':
        return 0;
      case 'Escape':
        return null;
      default:
        return undefined;
    }
  }

  /** @param {number} ago ms */
  #moveTo(ago) {
    this.#cursor = Math.min(WINDOW_MS, Math.max(0, ago));
    this.#tell();
  }

  #remove() {
    this.#cursor = null;
    this.#tell();
  }
}

/** One direction in the legend: its mark, its name, its figure, and the highest. */
class Legend {
  #value = html('span', { class: 'value' }, UNKNOWN);
  #peak = html('span', { class: 'peak' });
  element;

  /**
   * @param {'in' | 'out'} direction
   * @param {string} name
   */
  constructor(direction, name) {
    this.element = html(
      'p',
      {},
      html('span', { class: `key ${direction}`, 'aria-hidden': 'true' }),
      html('span', { class: 'name' }, name),
      ' ',
      this.#value,
      ' ',
      this.#peak,
    );
  }

  /** @param {string} text */
  tell(text) {
    setText(this.#value, text);
  }

  /** @param {string} text */
  tellPeak(text) {
    setText(this.#peak, `peak ${text}`);
  }
}
