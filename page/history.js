/** Rates and round-trip times of one tunnel over the last five minutes, from its statistics. */

/** @import { TunnelReport } from '../src/tunnel-host.ts' */
/** @import { TunnelStats } from '../src/stats.ts' */

/** Span of the charts, in ms. */
export const WINDOW_MS = 5 * 60_000;
/** Points further apart than this, in ms, are not joined by a line: the page was hidden, or got no answer. */
const GAP_MS = 4000;
/** Drop rates are averaged over this time, in ms, so that a burst stays visible for a moment. */
const DROP_WINDOW_MS = 10_000;

/**
 * Per second, since the previous reading; and what the probe has measured since.
 *
 * @typedef {object} Rates
 * @property {number} receivedBits
 * @property {number} sentBits
 * @property {number} receivedPackets
 * @property {number} sentPackets
 * @property {number | null} roundTrip mean round-trip time, in ms, or that of the last answer; `null` while none comes, and without a probe
 * @property {number | null} lost part of the probes that were lost, from 0 to 1; `null` without a probe
 * @property {number | null} waited how long packets waited in the queue on average, in ms; `null` while none leaves it that waits
 * @property {number} slowed part of the packets that the queue dropped or marked, so that their senders slow down, from 0 to 1
 */

/**
 * @typedef {object} Point
 * @property {number} at ms of the browser's monotonic clock
 * @property {Rates} rates
 * @property {boolean} joined whether a line leads here from the previous point
 */

/** @typedef {keyof Rates} Series */

export class History {
  /** Oldest first. @type {Point[]} */
  points = [];
  /** Rates of the last reading; `null` while unknown. @type {Rates | null} */
  now = null;
  /** Readings of the last seconds, oldest first. @type {TunnelStats[]} */
  #recent = [];
  /** @type {number} */
  #lastAt = Number.NEGATIVE_INFINITY;

  /**
   * Adds a reading.
   *
   * @param {number} at ms of the browser's monotonic clock
   * @param {TunnelReport} report
   */
  add(at, { phase, stats }) {
    this.points = recent(this.points, (point) => at - point.at >= WINDOW_MS);
    if (phase !== 'open' || stats === null) return this.interrupt();

    // Counters start at 0 whenever a tunnel is opened.
    if (this.#recent.at(-1)?.openedAt !== stats.openedAt) this.interrupt();
    const previous = this.#recent.at(-1);
    if (previous !== undefined && stats.uptimeMs <= previous.uptimeMs) return;
    this.#recent.push(stats);
    if (previous !== undefined) {
      this.now = ratesBetween(previous, stats, this.now);
      const joined = at - this.#lastAt <= GAP_MS && this.points.at(-1)?.at === this.#lastAt;
      this.points.push({ at, rates: this.now, joined });
    }
    this.#lastAt = at;
    this.#recent = recent(this.#recent, (reading) => stats.uptimeMs - reading.uptimeMs >= DROP_WINDOW_MS);
  }

  /** The next reading cannot be compared with the previous ones. */
  interrupt() {
    this.#recent = [];
    this.#lastAt = Number.NEGATIVE_INFINITY;
    this.now = null;
  }

  /**
   * The highest value of the last five minutes.
   *
   * @param {Series} series
   * @returns {number | null}
   */
  peak(series) {
    return this.points.reduce((/** @type {number | null} */ peak, { rates }) => {
      const value = rates[series];
      return value === null ? peak : Math.max(peak ?? 0, value);
    }, null);
  }

  /**
   * Increase of a counter per second, over the last ten seconds.
   *
   * @param {(stats: TunnelStats) => number} counter
   * @returns {number | null}
   */
  growth(counter) {
    const [first, last] = [this.#recent[0], this.#recent.at(-1)];
    if (first === undefined || last === undefined || first === last) return null;
    return ((counter(last) - counter(first)) * 1000) / (last.uptimeMs - first.uptimeMs);
  }
}

/**
 * @param {TunnelStats} before
 * @param {TunnelStats} after
 * @param {Rates | null} previous
 * @returns {Rates}
 */
function ratesBetween(before, after, previous) {
  const seconds = (after.uptimeMs - before.uptimeMs) / 1000;
  return {
    receivedBits: ((after.decap.bytes - before.decap.bytes) * 8) / seconds,
    sentBits: ((after.encap.bytes - before.encap.bytes) * 8) / seconds,
    receivedPackets: (after.decap.packets - before.decap.packets) / seconds,
    sentPackets: (after.encap.packets - before.encap.packets) / seconds,
    ...probed(before.probe, after.probe, previous),
    ...queued(before, after),
  };
}

/**
 * @param {TunnelStats} before
 * @param {TunnelStats} after
 * @returns {Pick<Rates, 'waited' | 'slowed'>}
 */
function queued(before, after) {
  const delayed = after.queue.delayed - before.queue.delayed;
  const dropped = droppedByQueue(after) - droppedByQueue(before);
  const slowed = after.queue.marked - before.queue.marked + dropped;
  const mean = delayed === 0 ? 0 : (after.queue.delaySum - before.queue.delaySum) / 1000 / delayed;
  return {
    waited: delayed === 0 && after.queue.packets > 0 ? null : mean,
    slowed: slowed === 0 ? 0 : slowed / (delayed + dropped),
  };
}

/** @param {TunnelStats} stats */
function droppedByQueue({ encap: { drops } }) {
  return drops.queue + drops['queue-full'];
}

/**
 * @param {TunnelStats['probe']} before
 * @param {TunnelStats['probe']} after
 * @param {Rates | null} previous
 * @returns {Pick<Rates, 'roundTrip' | 'lost'>}
 */
function probed(before, after, previous) {
  if (after.address === null) return { roundTrip: null, lost: null };
  const [answers, lost] = [after.received - before.received, after.lost - before.lost];
  if (answers > 0)
    return { roundTrip: (after.rttSum - before.rttSum) / 1000 / answers, lost: lost / (answers + lost) };
  if (lost > 0) return { roundTrip: null, lost: 1 };
  // Not every reading has a new answer.
  return { roundTrip: previous === null ? after.rttMs.last : previous.roundTrip, lost: 0 };
}

/**
 * The items that are not old, and the last old one before them, so that curves reach the edge and rates span the whole window.
 *
 * @template Item
 * @param {Item[]} items oldest first
 * @param {(item: Item) => boolean} isOld
 */
function recent(items, isOld) {
  const first = items.findIndex((item) => !isOld(item));
  return items.slice(Math.max(0, (first === -1 ? items.length : first) - 1));
}
