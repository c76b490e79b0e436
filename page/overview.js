/** All tunnels together, and the process that runs them. */
import { byId, setText } from './dom.js';
import { Facts } from './facts.js';
import {
  formatBytes,
  formatDate,
  formatDuration,
  formatPercent,
  formatRate,
  formatThroughput,
  UNKNOWN,
} from './format.js';
import { stateOf } from './wording.js';

/** @import { ProcessFacts } from '../src/http/routes.ts' */
/** @import { Series } from './history.js' */
/** @import { TunnelView } from './tunnel-view.js' */

export class Overview {
  #summary = new Facts(byId('summary'), ['Up', 'In', 'Out', 'Packets in', 'Packets out', 'Dropped']);
  #process = new Facts(byId('process'), [
    'Version',
    'Running for',
    'Since',
    'Processor',
    'Memory',
    'Process',
  ]);
  /** @type {ProcessFacts | null} */
  #before = null;

  /**
   * @param {readonly TunnelView[]} views
   * @param {ProcessFacts} facts
   */
  update(views, facts) {
    const up = views.filter(({ report }) => stateOf(report) === 'up').length;
    const drops = views.map(({ history }) =>
      history.growth(({ encap, decap }) => encap.dropped + decap.dropped),
    );
    this.#summary.tell({
      Up: `${up} of ${views.length}`,
      In: formatThroughput(total(views, 'inBits')),
      Out: formatThroughput(total(views, 'outBits')),
      'Packets in': formatRate(total(views, 'inPackets')),
      'Packets out': formatRate(total(views, 'outPackets')),
      Dropped: formatRate(sum(drops)),
    });
    this.#tellProcess(facts);
    setText(byId('host'), facts.host);
    document.title = `${up < views.length ? `${views.length - up} not up · ` : ''}ttun on ${facts.host}`;
  }

  /** @param {ProcessFacts} facts */
  #tellProcess(facts) {
    const { version, node, pid, startedAt, uptimeMs, cpuSeconds, residentBytes } = facts;
    const before = this.#before?.pid === pid ? this.#before : null;
    const elapsed = before === null ? 0 : (uptimeMs - before.uptimeMs) / 1000;
    this.#process.tell({
      Version: `ttun ${version}, Node ${node}`,
      'Running for': formatDuration(uptimeMs),
      Since: formatDate(startedAt),
      Processor:
        before === null || elapsed <= 0 ? UNKNOWN : formatPercent((cpuSeconds - before.cpuSeconds) / elapsed),
      Memory: formatBytes(residentBytes),
      Process: String(pid),
    });
    this.#before = facts;
  }
}

/**
 * @param {readonly TunnelView[]} views
 * @param {Series} series
 */
function total(views, series) {
  return sum(views.map(({ history }) => history.now?.[series] ?? null));
}

/**
 * The sum of what is known; `null` where nothing is.
 *
 * @param {readonly (number | null)[]} values
 */
function sum(values) {
  return values.reduce((all, value) => (value === null ? all : (all ?? 0) + value), null);
}
