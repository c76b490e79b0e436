/** Details of one tunnel: charts, advice, values, and drops by reason. */
import { Chart } from './chart.js';
import { DescriptionList, html, replaceContent, setText } from './dom.js';
import {
  formatAgo,
  formatBytes,
  formatClock,
  formatCount,
  formatDate,
  formatDuration,
  formatMilliseconds,
  formatRate,
  formatRoughly,
  formatShare,
  formatThroughput,
  UNKNOWN,
} from './format.js';

/** @import { ShownValue, TunnelReport } from '../src/tunnel-host.ts' */
/** @import { TunnelStats } from '../src/stats.ts' */
/** @import { ChartOptions } from './chart.js' */
/** @import { History } from './history.js' */

const TERMS = /** @type {const} */ ([
  'Last heard',
  'Uptime',
  'Received',
  'Sent',
  'Packets per system call',
  'Round trip',
  'Probes lost',
  'Queue',
  'Rate',
  'Device MTU',
  'Route MTU',
  'Offloads',
  'Buffers',
]);

/** @type {ChartOptions} */
const ROUND_TRIPS = {
  title: 'Round trip',
  lines: [
    { series: 'roundTrip', name: 'Time', look: 'round-trip', format: formatMilliseconds },
    { series: 'lost', name: 'Lost', look: 'lost', format: formatShare, top: 1 },
  ],
  least: 1,
};

/** @type {ChartOptions} */
const QUEUE = {
  title: 'Queue',
  lines: [
    { series: 'waited', name: 'Wait', look: 'round-trip', format: formatMilliseconds },
    { series: 'slowed', name: 'Dropped or marked', look: 'sent', format: formatShare, top: 1 },
  ],
  least: 5,
};

/** @type {readonly ChartOptions[]} */
const CHARTS = [
  {
    title: 'Throughput',
    lines: [
      { series: 'receivedBits', name: 'Received', look: 'received', format: formatThroughput },
      { series: 'sentBits', name: 'Sent', look: 'sent', format: formatThroughput },
    ],
    least: 10_000,
  },
  ROUND_TRIPS,
  QUEUE,
  {
    title: 'Packets',
    lines: [
      { series: 'receivedPackets', name: 'Received', look: 'received', format: formatRate },
      { series: 'sentPackets', name: 'Sent', look: 'sent', format: formatRate },
    ],
    least: 10,
  },
];

export class Details {
  /** @type {HTMLElement} */
  element;
  #charts;
  #past;
  #drops;
  /** Values to list, apart from the drops. @type {readonly ShownValue[]} */
  #shown;
  /** @type {DescriptionList<string>} */
  #values;
  #advice = html('p', { class: 'advice', hidden: '' });
  #history = html('section', { class: 'changes', hidden: '' });
  #content;
  #none = html('p', { class: 'none' }, 'No statistics yet: this tunnel has not been opened.');

  /**
   * @param {History} history
   * @param {readonly ShownValue[]} values
   */
  constructor(history, values) {
    this.#shown = values.filter(({ path }) => !path.includes('.drops.'));
    const list = html('dl', { class: 'details-list' });
    this.#values = new DescriptionList(list, [
      ...TERMS,
      ...this.#shown.map(({ label }) => capitalized(label)),
    ]);
    this.#past = history;
    this.#charts = CHARTS.map((options) => new Chart(history, options));
    this.#drops = [
      new DropsTable(history, 'Dropped when sending', values, 'encap'),
      new DropsTable(history, 'Dropped when receiving', values, 'decap'),
    ];
    this.#content = html(
      'div',
      { class: 'content' },
      html('div', { class: 'charts' }, ...this.#charts.map(({ element }) => element)),
      this.#advice,
      html(
        'div',
        { class: 'tables' },
        html('section', { class: 'about' }, html('h3', {}, 'Details'), list),
        ...this.#drops.map(({ element }) => element),
      ),
      this.#history,
    );
    this.element = html('div', { class: 'details' }, this.#content, this.#none);
  }

  /**
   * @param {number} now ms of the browser's monotonic clock
   * @param {TunnelReport} report
   */
  update(now, { stats, advice, history }) {
    this.#content.hidden = stats === null;
    this.#none.hidden = stats !== null;
    if (stats === null) return;
    for (const chart of this.#charts) {
      chart.element.hidden =
        (chart.options === ROUND_TRIPS && stats.probe.address === null) ||
        (chart.options === QUEUE && !this.#hasQueue(stats));
      chart.update(now);
    }
    for (const table of this.#drops) table.update(stats);
    this.#values.update({ ...valuesOf(stats), ...shownOf(stats, this.#shown) });
    this.#advice.hidden = advice === null;
    if (advice !== null)
      replaceContent(this.#advice, advice, () => [
        `${capitalized(advice.text)}: `,
        html('code', {}, advice.command),
      ]);
    this.#showHistory(history);
  }

  /**
   * Whether packets wait, or have waited lately.
   *
   * @param {TunnelStats} stats
   */
  #hasQueue({ queue }) {
    return queue.packets > 0 || (this.#past.peak('waited') ?? 0) > 0 || (this.#past.peak('slowed') ?? 0) > 0;
  }

  /** @param {TunnelReport['history']} history the last changes, the oldest first */
  #showHistory(history) {
    this.#history.hidden = history.length === 0;
    replaceContent(this.#history, [history.length, history.at(-1)?.at ?? 0], () => [
      html('h3', {}, 'History'),
      html(
        'ol',
        {},
        ...history
          .toReversed()
          .map(({ at, level, message }) =>
            html('li', { 'data-level': level }, html('time', {}, formatMoment(at)), ' ', message),
          ),
      ),
    ]);
  }
}

/**
 * The time, with the date unless it is today.
 *
 * @param {number} at ms since the epoch
 */
function formatMoment(at) {
  const isToday = new Date(at).toDateString() === new Date().toDateString();
  return isToday ? formatClock(at) : formatDate(at);
}

/**
 * @param {TunnelStats} stats
 * @returns {Record<(typeof TERMS)[number], string>}
 */
function valuesOf({ timestamp, uptimeMs, device, socket, encap, decap, probe, queue }) {
  const granted = {
    checksum: device.offload.checksum,
    TSO: device.offload.tso,
    USO: device.offload.uso,
    segmentation: socket.segmentsPerSend > 1,
    GRO: socket.gro,
  };
  const offloads = Object.entries(granted).flatMap(([name, on]) => (on ? [name] : []));
  const perCall = [ratio(decap.packets, decap.receives), ratio(encap.packets, encap.sends)];
  return {
    'Last heard': decap.lastAt === null ? 'never' : formatAgo(timestamp - decap.lastAt),
    Uptime: formatDuration(uptimeMs),
    Received: `${formatCount(decap.packets)} packets, ${formatBytes(decap.bytes)}`,
    Sent: `${formatCount(encap.packets)} packets, ${formatBytes(encap.bytes)}`,
    'Packets per system call': `${perCall[0]} received, ${perCall[1]} sent`,
    ...probed(probe),
    Queue: queued(queue),
    Rate: rates(queue),
    'Device MTU': deviceMtu(device),
    'Route MTU': socket.pathMtu === null ? 'no route to the peer' : `${socket.pathMtu} bytes`,
    Offloads: offloads.join(', ') || 'none',
    Buffers: `receive ${formatBytes(socket.receiveBuffer)}, send ${formatBytes(socket.sendBuffer)}`,
  };
}

/**
 * @param {TunnelStats['probe']} probe
 * @returns {Record<'Round trip' | 'Probes lost', string>}
 */
function probed({ address, rttMs, jitterMs, loss, lost, sent }) {
  if (address === null) return { 'Round trip': 'not measured: no probe', 'Probes lost': UNKNOWN };
  const jitter = jitterMs === null ? '' : `, jitter ${formatMilliseconds(jitterMs)}`;
  return {
    'Round trip':
      rttMs.p50 === null
        ? `no answer from ${address}`
        : `median ${formatMilliseconds(rttMs.p50)}, 99 % in ${formatMilliseconds(rttMs.p99)}${jitter}`,
    'Probes lost': `${formatShare(loss)} lately, ${formatCount(lost)} of ${formatCount(sent)} in all`,
  };
}

/** @param {TunnelStats['queue']} queue */
function queued({ packets, bytes, delayed, delaySum, sojournMaxMs }) {
  if (packets + delayed === 0) return 'no packet had to wait';
  const now = packets === 0 ? 'empty' : `${formatCount(packets)} packets wait (${formatBytes(bytes)})`;
  if (delayed === 0) return now;
  const mean = formatMilliseconds(delaySum / 1000 / delayed);
  return `${now}; ${formatRoughly(delayed)} waited, ${mean} on average, ${formatMilliseconds(sojournMaxMs)} at most`;
}

/** @param {TunnelStats['queue']} queue */
function rates({ rate, drainRate }) {
  const paced = rate === null ? 'not limited' : `paced to ${formatThroughput(rate)}`;
  return drainRate === null ? paced : `${paced}; the link took ${formatThroughput(drainRate)}`;
}

/**
 * @param {TunnelStats} stats
 * @param {readonly ShownValue[]} values
 * @returns {Record<string, string>}
 */
function shownOf(stats, values) {
  const texts = values.map(({ path, label, unit }) => {
    const value = path.split('.').reduce((inside, name) => Object(inside)[name], Object(stats));
    const counts = Object.entries(typeof value === 'number' ? { [unit]: value } : value);
    const occurred = counts.flatMap(([name, times]) =>
      times === 0 ? [] : [`${formatCount(times)} ${name}`],
    );
    return [capitalized(label), occurred.join(', ') || 'none'];
  });
  return Object.fromEntries(texts);
}

/** @param {TunnelStats['device']} device */
function deviceMtu({ index, mtu }) {
  if (index === 0) return 'the device is deleted';
  return mtu === 0 ? 'the device is in another network namespace' : `${mtu} bytes`;
}

/** @param {string} text */
function capitalized(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * @param {number} packets
 * @param {number} calls
 */
function ratio(packets, calls) {
  return calls === 0 ? UNKNOWN : (packets / calls).toFixed(1);
}

/** Drops of one direction. All reasons are always listed, so that no row appears or disappears. */
class DropsTable {
  element;
  #history;
  #direction;
  /** @type {Map<string, { row: HTMLElement, rate: HTMLElement, total: HTMLElement }>} */
  #rows = new Map();

  /**
   * @param {History} history
   * @param {string} title
   * @param {readonly ShownValue[]} values
   * @param {'encap' | 'decap'} direction
   */
  constructor(history, title, values, direction) {
    this.#history = history;
    this.#direction = direction;
    const body = html('tbody');
    const prefix = `${direction}.drops.`;
    for (const { path, label, help } of values) {
      if (!path.startsWith(prefix)) continue;
      const reason = path.slice(prefix.length);
      const [rate, total] = [html('td'), html('td')];
      const texts = [html('code', {}, reason), html('small', {}, label)];
      const name = html('th', { scope: 'row', title: help }, ...texts);
      const row = html('tr', {}, name, rate, total);
      this.#rows.set(reason, { row, rate, total });
      body.append(row);
    }
    const heads = ['Reason', 'Rate', 'Total'].map((head) => html('th', { scope: 'col' }, head));
    const head = html('thead', {}, html('tr', {}, ...heads));
    const table = html('table', { class: 'drops' }, html('caption', {}, title), head, body);
    this.element = html('section', { class: 'dropped' }, table);
  }

  /** @param {TunnelStats} stats */
  update(stats) {
    const drops = this.#dropsOf(stats);
    for (const [reason, { row, rate, total }] of this.#rows) {
      const growth = this.#history.growth((reading) => this.#dropsOf(reading)[reason] ?? 0);
      const dropped = drops[reason] ?? 0;
      row.className = growth !== null && growth > 0 ? 'growing' : dropped === 0 ? 'zero' : '';
      setText(rate, dropped === 0 ? '' : formatRate(growth));
      setText(total, formatCount(dropped));
    }
  }

  /**
   * @param {TunnelStats} stats
   * @returns {Readonly<Record<string, number>>}
   */
  #dropsOf(stats) {
    return stats[this.#direction].drops;
  }
}
