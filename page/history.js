/** What was seen of one tunnel in the last five minutes. */

/** @import { TunnelReport } from '../src/service/host.ts' */
/** @import { TunnelStats } from '../src/stats.ts' */

/** How far back the charts reach, in ms. */
export const WINDOW_MS = 5 * 60_000;
/** Two readings further apart than this, in ms, are not joined by a line: nobody looked in between. */
const GAP_MS = 4000;
/** Over how long drops are averaged, in ms: long enough that a burst can be read. */
const DROP_WINDOW_MS = 10_000;

/**
 * What passed each second since the reading before.
 *
 * @typedef {object} Rates
 * @property {number} inBits
 * @property {number} outBits
 * @property {number} inPackets
 * @property {number} outPackets
 */

/**
 * @typedef {object} Point
 * @property {number} at ms of the browser's monotonic time
 * @property {Rates} rates
 * @property {boolean} joined whether a line leads here from the point before
 */

/** @typedef {'inBits' | 'outBits' | 'inPackets' | 'outPackets'} Series */

export class History {
  /** @type {Point[]} */
  points = [];
  /** The rates of the last reading; `null` while there are none. @type {Rates | null} */
  now = null;
  /** The readings of the last seconds, oldest first. @type {TunnelStats[]} */
  #recent = [];
  /** @type {number} */
  #lastAt = Number.NEGATIVE_INFINITY;

  /**
   * Takes in a reading.
   *
   * @param {number} at ms of the browser's monotonic time
   * @param {TunnelReport} report
   */
  add(at, { phase, stats }) {
    this.points = lastOf(this.points, (point) => at - point.at >= WINDOW_MS);
    if (phase !== 'open' || stats === null) return this.interrupt();

    const before = this.#recent.at(-1);
    if (before !== undefined && isAnother(before, stats)) this.interrupt();
    const previous = this.#recent.at(-1);
    this.#recent.push(stats);
    if (previous !== undefined) {
      this.now = ratesBetween(previous, stats);
      const joined = at - this.#lastAt <= GAP_MS && this.points.at(-1)?.at === this.#lastAt;
      this.points.push({ at, rates: this.now, joined });
    }
    this.#lastAt = at;
    this.#recent = lastOf(this.#recent, (reading) => stats.uptimeMs - reading.uptimeMs >= DROP_WINDOW_MS);
  }

  /** Nothing is known of what passed since the last reading, or the counters begin anew. */
  interrupt() {
    this.#recent = [];
    this.#lastAt = Number.NEGATIVE_INFINITY;
    this.now = null;
  }

  /**
   * The highest rate of the last five minutes.
   *
   * @param {Series} series
   * @returns {number | null}
   */
  peak(series) {
    return this.points.reduce(
      (/** @type {number | null} */ peak, { rates }) => Math.max(peak ?? 0, rates[series]),
      null,
    );
  }

  /**
   * How fast a count has grown in the last ten seconds.
   *
   * @param {(stats: TunnelStats) => number} count
   * @returns {number | null} each second
   */
  growth(count) {
    const [first, last] = [this.#recent[0], this.#recent.at(-1)];
    if (first === undefined || last === undefined || first === last) return null;
    return Math.max(0, ((count(last) - count(first)) * 1000) / (last.uptimeMs - first.uptimeMs));
  }
}

/**
 * Whether a tunnel was opened anew between two readings: its counters then began again at 0.
 *
 * @param {TunnelStats} before
 * @param {TunnelStats} after
 */
function isAnother(before, after) {
  return (
    after.uptimeMs <= before.uptimeMs ||
    after.encap.received < before.encap.received ||
    after.decap.received < before.decap.received
  );
}

/**
 * @param {TunnelStats} before
 * @param {TunnelStats} after
 * @returns {Rates}
 */
function ratesBetween(before, after) {
  const seconds = (after.uptimeMs - before.uptimeMs) / 1000;
  return {
    inBits: ((after.decap.bytes - before.decap.bytes) * 8) / seconds,
    outBits: ((after.encap.bytes - before.encap.bytes) * 8) / seconds,
    inPackets: (after.decap.packets - before.decap.packets) / seconds,
    outPackets: (after.encap.packets - before.encap.packets) / seconds,
  };
}

/**
 * Without what is too old, but for the youngest of that: from there a line leads to the edge, and a span of time to now.
 *
 * @template Item
 * @param {Item[]} items oldest first
 * @param {(item: Item) => boolean} isOld
 */
function lastOf(items, isOld) {
  const young = items.findIndex((item) => !isOld(item));
  return items.slice(Math.max(0, (young === -1 ? items.length : young) - 1));
}
