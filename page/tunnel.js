/** One tunnel: a row with its state and rates, which expands to charts, details, and drops by reason. */
import { Chart, Sparkline } from './chart.js';
import { DescriptionList, html, setAttributes, setText } from './dom.js';
import {
  formatAgo,
  formatBytes,
  formatCount,
  formatDuration,
  formatRate,
  formatRoughly,
  formatThroughput,
  UNKNOWN,
} from './format.js';
import { History } from './history.js';

/** @import { ShownValue, TunnelReport } from '../src/tunnel-host.ts' */
/** @import { TunnelStats } from '../src/stats.ts' */

let count = 0;

export class TunnelView {
  history = new History();
  /** The report shown now. @type {TunnelReport} */
  report;
  #sparkline = new Sparkline();
  /** @type {Details} */
  #details;
  #state = html('span', { class: 'state' });
  #ends = html('p', { class: 'ends' });
  #device = html('span', { class: 'device' });
  #received = html('dd');
  #sent = html('dd');
  #dropped = html('span');
  #dropRate = html('span', { class: 'growing' });
  #problem = html('p', { class: 'problem', hidden: '' });
  /** @type {HTMLButtonElement} */
  #button;
  /** @type {HTMLElement} */
  element;

  /**
   * @param {TunnelReport} report
   * @param {readonly ShownValue[]} values
   */
  constructor(report, values) {
    this.report = report;
    this.#details = new Details(this.history, values);
    count += 1;
    const id = `tunnel-${count}`;
    this.#details.element.id = id;
    this.#details.element.hidden = true;
    this.#button = html(
      'button',
      { type: 'button', 'aria-expanded': 'false', 'aria-controls': id },
      report.name,
    );
    this.#button.addEventListener('click', () =>
      this.expand(this.#button.getAttribute('aria-expanded') === 'false'),
    );
    const dropped = html('dd', {}, this.#dropped, ' ', this.#dropRate);
    this.element = html(
      'article',
      { class: 'tunnel' },
      html(
        'header',
        {},
        html('div', { class: 'who' }, html('h2', {}, this.#button), this.#device, this.#state),
        this.#ends,
        this.#sparkline.element,
        html(
          'dl',
          { class: 'rates' },
          html('div', {}, html('dt', {}, keyOf('received'), 'Received'), this.#received),
          html('div', {}, html('dt', {}, keyOf('sent'), 'Sent'), this.#sent),
          html('div', {}, html('dt', {}, 'Dropped'), dropped),
        ),
      ),
      this.#problem,
      this.#details.element,
    );
  }

  /** @param {boolean} expanded */
  expand(expanded) {
    setAttributes(this.#button, { 'aria-expanded': String(expanded) });
    this.#details.element.hidden = !expanded;
    this.#draw(performance.now());
  }

  /**
   * @param {number} now ms of the browser's monotonic clock
   * @param {TunnelReport} report
   */
  update(now, report) {
    this.report = report;
    this.history.add(now, report);
    setAttributes(this.element, { 'data-state': report.state });
    setText(this.#state, report.stateText);
    setText(this.#device, report.device);
    setText(this.#received, formatThroughput(this.history.now?.receivedBits ?? null));
    setText(this.#sent, formatThroughput(this.history.now?.sentBits ?? null));
    this.#showEnds();
    this.#showDrops();
    this.#showProblem();
    this.#draw(now);
  }

  /** @param {number} now ms of the browser's monotonic clock */
  #draw(now) {
    this.#sparkline.update(this.history, now);
    if (!this.#details.element.hidden) this.#details.update(now, this.report);
  }

  #showEnds() {
    const { local, remote, stats } = this.report;
    // The remote end may be given by name.
    const address = stats?.socket.remote ?? remote;
    replace(this.#ends, [local, remote, address], () => [
      html('span', { class: 'end' }, local),
      html('span', { class: 'to' }, ' to '),
      html('span', { class: 'end' }, remote),
      ...(address === remote ? [] : [' ', html('span', { class: 'address' }, `(${address})`)]),
    ]);
  }

  #showDrops() {
    const { stats } = this.report;
    const growth = this.history.growth(({ encap, decap }) => encap.dropped + decap.dropped) ?? 0;
    setText(
      this.#dropped,
      stats === null ? UNKNOWN : formatRoughly(stats.encap.dropped + stats.decap.dropped),
    );
    setText(this.#dropRate, growth > 0 ? `+${formatRate(growth)}` : '');
  }

  #showProblem() {
    const { problem } = this.report;
    this.#problem.hidden = problem === null;
    if (problem === null) return;
    const { message, hint } = problem;
    replace(this.#problem, [message, hint], () => [
      html('strong', {}, message),
      ...(hint === null ? [] : [' ', html('span', { class: 'hint' }, hint)]),
    ]);
  }
}

/** @param {'received' | 'sent'} direction */
function keyOf(direction) {
  return html('span', { class: `key ${direction}`, 'aria-hidden': 'true' });
}

/**
 * Replaces the content of an element if what it shows has changed, so that a selection in it stays otherwise.
 *
 * @param {HTMLElement} element
 * @param {unknown} shown
 * @param {() => (Node | string)[]} render
 */
function replace(element, shown, render) {
  const key = JSON.stringify(shown);
  if (element.dataset['shown'] === key) return;
  element.dataset['shown'] = key;
  element.replaceChildren(...render());
}

const TERMS = /** @type {const} */ ([
  'Last heard',
  'Uptime',
  'Received',
  'Sent',
  'Packets per system call',
  'Device MTU',
  'Route MTU',
  'Offloads',
  'Buffers',
]);

class Details {
  /** @type {HTMLElement} */
  element;
  #charts;
  #drops;
  /** Values with a line of their own, apart from the drops. @type {readonly ShownValue[]} */
  #shown;
  /** @type {DescriptionList<string>} */
  #values;
  #advice = html('p', { class: 'advice', hidden: '' });
  #content;
  #none = html('p', { class: 'none' }, 'No statistics yet: this tunnel has not been open.');

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
    this.#charts = [
      new Chart(history, {
        title: 'Throughput',
        received: 'receivedBits',
        sent: 'sentBits',
        least: 10_000,
        format: formatThroughput,
      }),
      new Chart(history, {
        title: 'Packets',
        received: 'receivedPackets',
        sent: 'sentPackets',
        least: 10,
        format: formatRate,
      }),
    ];
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
    );
    this.element = html('div', { class: 'details' }, this.#content, this.#none);
  }

  /**
   * @param {number} now ms of the browser's monotonic clock
   * @param {TunnelReport} report
   */
  update(now, { stats, advice }) {
    this.#content.hidden = stats === null;
    this.#none.hidden = stats !== null;
    if (stats === null) return;
    for (const chart of this.#charts) chart.update(now);
    for (const table of this.#drops) table.update(stats);
    this.#values.update({ ...valuesOf(stats), ...shownOf(stats, this.#shown) });
    this.#advice.hidden = advice === null;
    if (advice !== null)
      replace(this.#advice, advice, () => [
        `${capitalized(advice.text)}: `,
        html('code', {}, advice.command),
      ]);
  }
}

/**
 * @param {TunnelStats} stats
 * @returns {Record<(typeof TERMS)[number], string>}
 */
function valuesOf({ timestamp, uptimeMs, device, socket, encap, decap }) {
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
    'Packets per system call': `received ${perCall[0]}, sent ${perCall[1]}`,
    'Device MTU': device.mtu === 0 ? 'the device is deleted' : `${device.mtu} bytes`,
    'Route MTU': socket.pathMtu === null ? 'no route to the peer' : `${socket.pathMtu} bytes`,
    Offloads: offloads.join(', ') || 'none',
    Buffers: `receive ${formatBytes(socket.receiveBuffer)}, send ${formatBytes(socket.sendBuffer)}`,
  };
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

/** Drops of one direction. All reasons are always listed, so that no row appears or vanishes. */
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
