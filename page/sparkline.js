/** Throughput of both directions at a glance. The figures beside it say the same in words. */
import { curveOf, SIDE } from './curve.js';
import { setAttributes, svg } from './dom.js';

/** @import { History } from './history.js' */

/** Under this, in bit/s, a curve stays low: a ping is not much. */
const LEAST = 10_000;

export class Sparkline {
  #area = svg('path', { class: 'area in' });
  #in = svg('path', { class: 'line in' });
  #out = svg('path', { class: 'line out' });
  element = svg(
    'svg',
    { class: 'spark', viewBox: `0 0 ${SIDE} ${SIDE}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('path', { class: 'grid', d: `M0 ${SIDE}H${SIDE}` }),
    this.#area,
    this.#in,
    this.#out,
  );

  /**
   * @param {History} history
   * @param {number} now ms of the browser's monotonic time
   */
  update(history, now) {
    const top = Math.max(history.peak('inBits') ?? 0, history.peak('outBits') ?? 0, LEAST);
    const inward = curveOf(history.points, 'inBits', now, top);
    setAttributes(this.#area, { d: inward.area });
    setAttributes(this.#in, { d: inward.line });
    setAttributes(this.#out, { d: curveOf(history.points, 'outBits', now, top).line });
  }
}
