/** What is shown of a tunnel when it is opened: charts, facts, and what was dropped and why. */
import { Chart } from './chart.js';
import { html } from './dom.js';
import { DropsTable } from './drops-table.js';
import { Facts } from './facts.js';
import {
  formatAgo,
  formatBytes,
  formatCount,
  formatDuration,
  formatRate,
  formatThroughput,
} from './format.js';
import { adviseMtu, DECAP_REASONS, ENCAP_REASONS } from './wording.js';

/** @import { TunnelReport } from '../src/service/host.ts' */
/** @import { TunnelStats } from '../src/stats.ts' */
/** @import { History } from './history.js' */

const TERMS = /** @type {const} */ ([
  'Last heard',
  'Open for',
  'Came in',
  'Went out',
  'Packets each call',
  'Device MTU',
  'Route MTU',
  'Offloads',
  'Buffers',
  'Sent in fragments',
  'Receive overflow',
  'Socket errors',
]);

/** @typedef {(typeof TERMS)[number]} Term */

export class TunnelDetails {
  /** @type {HTMLElement} */
  element;
  /** @type {readonly Chart[]} */
  #charts;
  /** @type {readonly DropsTable[]} */
  #drops;
  /** @type {Facts<Term>} */
  #facts;
  #advice = html('p', { class: 'advice', hidden: '' });
  #figures;
  #nothing = html('p', { class: 'nothing' }, 'There are no figures yet: the tunnel was never open.');

  /** @param {History} history */
  constructor(history) {
    this.#charts = [
      new Chart(history, {
        title: 'Throughput',
        inward: 'inBits',
        outward: 'outBits',
        least: 10_000,
        format: formatThroughput,
      }),
      new Chart(history, {
        title: 'Packets',
        inward: 'inPackets',
        outward: 'outPackets',
        least: 10,
        format: formatRate,
      }),
    ];
    this.#drops = [
      new DropsTable(history, 'Dropped on the way out', ENCAP_REASONS, ({ encap }) => encap.drops),
      new DropsTable(history, 'Dropped on the way in', DECAP_REASONS, ({ decap }) => decap.drops),
    ];
    const list = html('dl', { class: 'facts' });
    this.#facts = new Facts(list, TERMS);
    this.#figures = html(
      'div',
      { class: 'figures-all' },
      html('div', { class: 'charts' }, ...this.#charts.map(({ element }) => element)),
      this.#advice,
      html(
        'div',
        { class: 'tables' },
        html('section', { class: 'about' }, html('h3', {}, 'Details'), list),
        ...this.#drops.map(({ element }) => element),
      ),
    );
    this.element = html('div', { class: 'details' }, this.#figures, this.#nothing);
  }

  /**
   * @param {number} now ms of the browser's monotonic time
   * @param {TunnelReport} report
   */
  update(now, { stats }) {
    this.#figures.hidden = stats === null;
    this.#nothing.hidden = stats !== null;
    if (stats === null) return;
    for (const chart of this.#charts) chart.update(now);
    for (const table of this.#drops) table.update(stats);
    this.#facts.tell(factsOf(stats));
    this.#advise(stats);
  }

  /** @param {TunnelStats} stats */
  #advise(stats) {
    const advice = adviseMtu(stats);
    this.#advice.hidden = advice === null;
    if (advice === null || this.#advice.dataset['command'] === advice.command) return;
    this.#advice.dataset['command'] = advice.command;
    this.#advice.replaceChildren(`${advice.problem} `, html('code', {}, advice.command));
  }
}

/**
 * @param {TunnelStats} stats
 * @returns {Record<Term, string>}
 */
function factsOf({ timestamp, uptimeMs, device, socket, encap, decap }) {
  const granted = {
    checksum: device.offload.checksum,
    TSO: device.offload.tso,
    USO: device.offload.uso,
    segmentation: socket.segmentsPerSend > 1,
    GRO: socket.gro,
  };
  const offloads = Object.entries(granted).flatMap(([name, on]) => (on ? [name] : []));
  const errors = Object.entries(socket.errors).map(([name, times]) => `${name} ${formatCount(times)}`);
  return {
    'Last heard': decap.lastAt === null ? 'never' : formatAgo(timestamp - decap.lastAt),
    'Open for': formatDuration(uptimeMs),
    'Came in': `${formatCount(decap.packets)} packets, ${formatBytes(decap.bytes)}`,
    'Went out': `${formatCount(encap.packets)} packets, ${formatBytes(encap.bytes)}`,
    'Packets each call': `in ${perCall(decap.packets, decap.receives)}, out ${perCall(encap.packets, encap.sends)}`,
    'Device MTU': device.mtu === 0 ? 'the device is deleted' : `${device.mtu} bytes`,
    'Route MTU': socket.pathMtu === null ? 'no route to the peer' : `${socket.pathMtu} bytes`,
    Offloads: offloads.length === 0 ? 'none' : offloads.join(', '),
    Buffers: `receive ${formatBytes(socket.receiveBuffer)}, send ${formatBytes(socket.sendBuffer)}`,
    'Sent in fragments': `${formatCount(encap.fragmented)} packets`,
    'Receive overflow':
      socket.receiveOverflow === 0 ? 'none' : `at least ${formatCount(socket.receiveOverflow)} datagrams`,
    'Socket errors': errors.length === 0 ? 'none' : errors.join(', '),
  };
}

/**
 * @param {number} packets
 * @param {number} calls
 */
function perCall(packets, calls) {
  return calls === 0 ? '–' : (packets / calls).toFixed(1);
}
