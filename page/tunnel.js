/** One tunnel: a row with its state and rates, which expands to its details. */
import { Sparkline } from './chart.js';
import { Details } from './details.js';
import { html, replaceContent, setAttributes, setText } from './dom.js';
import { formatRate, formatRoughly, formatThroughput, UNKNOWN } from './format.js';
import { History } from './history.js';

/** @import { ShownValue, TunnelReport } from '../src/tunnel-host.ts' */

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
    replaceContent(this.#ends, [local, remote, address], () => [
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
    const { problem, diagnosis } = this.report;
    this.#problem.hidden = problem === null && diagnosis === null;
    if (this.#problem.hidden) return;
    const { message, hint } = problem ?? { message: diagnosis ?? '', hint: null };
    replaceContent(this.#problem, [message, hint], () => [
      html('strong', {}, message),
      ...(hint === null ? [] : [' ', html('span', { class: 'hint' }, hint)]),
    ]);
  }
}

/** @param {'received' | 'sent'} direction */
function keyOf(direction) {
  return html('span', { class: `key ${direction}`, 'aria-hidden': 'true' });
}
