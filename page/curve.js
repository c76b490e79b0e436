/** Rates of the last five minutes as paths, in a square of 1000 by 1000 that is stretched to the place there is. */
import { WINDOW_MS } from './history.js';

/** @import { Point, Series } from './history.js' */

export const SIDE = 1000;

/**
 * The line through the points, and the area under it.
 *
 * @param {readonly Point[]} points
 * @param {Series} series
 * @param {number} now ms of the browser's monotonic time: the right edge
 * @param {number} top the value at the upper edge
 * @returns {{ line: string, area: string }}
 */
export function curveOf(points, series, now, top) {
  let line = '';
  let area = '';
  let begin = '';
  for (const { at, rates, joined } of points) {
    const x = (SIDE * (1 - (now - at) / WINDOW_MS)).toFixed(1);
    const y = (SIDE * (1 - Math.min(1, rates[series] / top))).toFixed(1);
    if (joined && begin !== '') {
      line += `L${x} ${y}`;
      area += `L${x} ${y}`;
    } else {
      if (begin !== '') area += `V${SIDE}H${begin}Z`;
      begin = x;
      line += `M${x} ${y}`;
      area += `M${x} ${SIDE}V${y}`;
    }
  }
  if (begin !== '') area += `V${SIDE}H${begin}Z`;
  return { line, area };
}

/**
 * The smallest round number, 1, 2 or 5 with zeros, that is not under `value`. One that shows well already is kept, so that
 * the scale does not jump with every peak that leaves.
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
