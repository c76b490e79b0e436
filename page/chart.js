/** Charts of the last five minutes: large ones with a legend and a cursor for pointer and arrow keys, and a sparkline. */
import { html, setAttributes, setText, svg } from './dom.js';
import { formatDuration, UNKNOWN } from './format.js';
import { WINDOW_MS } from './history.js';

/** @import { History, Point, Rates, Series } from './history.js' */

/**
 * @typedef {object} Line
 * @property {Series} series
 * @property {string} name in the legend
 * @property {'received' | 'sent' | 'round-trip' | 'lost'} look
 * @property {(value: number | null) => string} format
 * @property {number} [top] value at the upper edge, if it is not that of the scale
 */

/**
 * @typedef {object} ChartOptions
 * @property {string} title
 * @property {readonly [Line, Line]} lines the scale shows values of the first one
 * @property {number} least smallest value at the top of the scale, so that a few packets do not fill the chart
 */

/** How far an arrow key moves the cursor. */
const STEP_MS = 5000;

let count = 0;

export class Chart {
  /** @type {HTMLElement} */
  element;
  /** @type {ChartOptions} */
  options;
  /** @type {History} */
  #history;
  #time = html('span', { class: 'chart-time' });
  /** @type {readonly Legend[]} */
  #legends;
  /** @type {Curves} */
  #curves;
  #half = html('span', { class: 'scale half' });
  #top = html('span', { class: 'scale top' });
  #marker = html('span', { class: 'marker', hidden: '' });
  /** @type {HTMLElement} */
  #plot;
  #scale = 0;
  #now = 0;
  /** Distance of the cursor from the right edge, in ms; `null` if there is no cursor. @type {number | null} */
  #cursor = null;

  /**
   * @param {History} history
   * @param {ChartOptions} options
   */
  constructor(history, options) {
    this.#history = history;
    this.options = options;
    this.#legends = options.lines.map(({ look, name }) => new Legend(look, name));
    this.#curves = new Curves(options.lines);
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
      this.#curves.draw('curves', [0, SIDE / 2, SIDE]),
      this.#top,
      this.#half,
      this.#marker,
    );
    this.element = html(
      'section',
      { class: 'chart' },
      html('header', {}, html('h3', { id: titleId }, options.title), this.#time),
      html('div', { class: 'legend', id: legendId }, ...this.#legends.map(({ element }) => element)),
      this.#plot,
      html(
        'div',
        { class: 'times', 'aria-hidden': 'true' },
        ...['5 min', '4', '3', '2', '1', 'now'].map((time) => html('span', {}, time)),
      ),
    );
    this.#listen();
  }

  /** @param {number} now ms of the browser's monotonic clock */
  update(now) {
    const { lines, least } = this.options;
    this.#now = now;
    const peaks = lines.map(({ series }) => this.#history.peak(series));
    const onScale = peaks.filter((_, index) => lines[index]?.top === undefined);
    this.#scale = roundTop(Math.max(...onScale.map((peak) => peak ?? 0)), this.#scale, least);
    this.#curves.update(this.#history.points, now, this.#scale);
    const [{ format }] = lines;
    setText(this.#top, format(this.#scale));
    setText(this.#half, format(this.#scale / 2));
    for (const [index, line] of lines.entries())
      this.#legends[index]?.setPeak(line.format(peaks[index] ?? null));
    this.#showCursor();
  }

  /** Shows the values at the cursor, or the current ones. */
  #showCursor() {
    const { lines } = this.options;
    const rates = this.#ratesAtCursor();
    const time = this.#cursor === null ? 'now' : `${formatDuration(this.#cursor)} ago`;
    const texts = lines.map(({ series, format }) => format(rates?.[series] ?? null));
    setText(this.#time, time);
    for (const [index, text] of texts.entries()) this.#legends[index]?.setValue(text);
    const inWords = lines.map(({ name }, index) => `${name.toLowerCase()} ${texts[index]}`).join(', ');
    setAttributes(this.#plot, {
      'aria-valuenow': String(-Math.round((this.#cursor ?? 0) / 1000)),
      'aria-valuetext': `${time}: ${rates === null ? 'unknown' : inWords}`,
    });
    this.#marker.hidden = this.#cursor === null;
    if (this.#cursor !== null) this.#marker.style.left = `${100 * (1 - this.#cursor / WINDOW_MS)}%`;
  }

  /** @returns {Rates | null} */
  #ratesAtCursor() {
    if (this.#cursor === null) return this.#history.now;
    const at = this.#now - this.#cursor;
    const { points } = this.#history;
    // A point covers the time before it.
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
   * Where a key moves the cursor; `null` removes it.
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
    this.#showCursor();
  }

  #remove() {
    this.#cursor = null;
    this.#showCursor();
  }
}

/** One line in the legend: its key, name, current value and peak. */
class Legend {
  #value = html('span', { class: 'value' }, UNKNOWN);
  #peak = html('span', { class: 'peak' });
  element;

  /**
   * @param {Line['look']} look
   * @param {string} name
   */
  constructor(look, name) {
    const key = html('span', { class: `key ${look}`, 'aria-hidden': 'true' });
    this.element = html(
      'p',
      {},
      key,
      html('span', { class: 'name' }, name),
      ' ',
      this.#value,
      ' ',
      this.#peak,
    );
  }

  /** @param {string} text */
  setValue(text) {
    setText(this.#value, text);
  }

  /** @param {string} text */
  setPeak(text) {
    setText(this.#peak, `peak ${text}`);
  }
}

/** Throughput of both directions at a glance. The numbers next to it say the same to screen readers. */
export class Sparkline {
  #curves = new Curves([
    { series: 'receivedBits', look: 'received' },
    { series: 'sentBits', look: 'sent' },
  ]);
  element = this.#curves.draw('spark', [SIDE]);

  /**
   * @param {History} history
   * @param {number} now ms of the browser's monotonic clock
   */
  update(history, now) {
    const top = Math.max(history.peak('receivedBits') ?? 0, history.peak('sentBits') ?? 0, LEAST_BITS);
    this.#curves.update(history.points, now, top);
  }
}

/** In bit/s: a ping alone stays near the bottom of a sparkline. */
const LEAST_BITS = 10_000;

/** Lines, each with an area below it, which is visible for some of the looks. */
class Curves {
  #curves;

  /** @param {readonly Pick<Line, 'series' | 'look' | 'top'>[]} lines */
  constructor(lines) {
    this.#curves = lines.map((line) => ({
      ...line,
      area: svg('path', { class: `area ${line.look}` }),
      line: svg('path', { class: `line ${line.look}` }),
    }));
  }

  /**
   * @param {string} name class of the image
   * @param {readonly number[]} grid heights of horizontal lines
   */
  draw(name, grid) {
    return svg(
      'svg',
      { class: name, viewBox: `0 0 ${SIDE} ${SIDE}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      ...grid.map((y) => svg('path', { class: 'grid', d: `M0 ${y}H${SIDE}` })),
      ...this.#curves.flatMap(({ area, line }) => [area, line]),
    );
  }

  /**
   * @param {readonly Point[]} points
   * @param {number} now ms of the browser's monotonic clock
   * @param {number} scale value at the upper edge
   */
  update(points, now, scale) {
    for (const { series, top, area, line } of this.#curves) {
      const curve = curveOf(points, series, now, top ?? scale);
      setAttributes(area, { d: curve.area });
      setAttributes(line, { d: curve.line });
    }
  }
}

/** Curves have coordinates from 0 to this, and are stretched to the size of the image. */
const SIDE = 1000;

/**
 * SVG paths of the line through the points, and of the area below it. Both are interrupted where the value is unknown.
 *
 * @param {readonly Point[]} points
 * @param {Series} series
 * @param {number} now time at the right edge, in ms of the browser's monotonic clock
 * @param {number} top value at the upper edge
 * @returns {{ line: string, area: string }}
 */
export function curveOf(points, series, now, top) {
  let line = '';
  let area = '';
  /** Where the present piece begins; empty between two pieces. */
  let begin = '';
  const end = () => {
    if (begin !== '') area += `V${SIDE}H${begin}Z`;
    begin = '';
  };
  for (const { at, rates, joined } of points) {
    const value = rates[series];
    if (value === null || !joined) end();
    if (value === null) continue;
    const x = (SIDE * (1 - (now - at) / WINDOW_MS)).toFixed(1);
    const y = (SIDE * (1 - Math.min(1, value / top))).toFixed(1);
    line += `${begin === '' ? 'M' : 'L'}${x} ${y}`;
    area += begin === '' ? `M${x} ${SIDE}V${y}` : `L${x} ${y}`;
    if (begin === '') begin = x;
  }
  end();
  return { line, area };
}

/**
 * The top of a scale: the smallest of 1, 2, 5, 10, 20, … that is at least `value`. The current one is kept while the curve fills a
 * fifth of it, so that the scale does not jump whenever a peak leaves the window.
 *
 * @param {number} value
 * @param {number} current
 * @param {number} least
 */
export function roundTop(value, current, least) {
  if (current > 0 && value <= current && value >= current / 5) return current;
  const wanted = Math.max(value, least);
  const decade = 10 ** Math.floor(Math.log10(wanted));
  return ([1, 2, 5].find((step) => step * decade >= wanted) ?? 10) * decade;
}
