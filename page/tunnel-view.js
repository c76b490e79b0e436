/** One tunnel: a line that tells how it is, and what belongs to it, which opens and closes. */
import { html, setAttributes, setText } from './dom.js';
import { formatRate, formatRoughly, formatThroughput, UNKNOWN } from './format.js';
import { History } from './history.js';
import { Sparkline } from './sparkline.js';
import { TunnelDetails } from './tunnel-details.js';
import { describeState, stateOf } from './wording.js';

/** @import { TunnelReport } from '../src/service/host.ts' */

let count = 0;

export class TunnelView {
  history = new History();
  /** What `element` tells now. @type {TunnelReport} */
  report;
  #spark = new Sparkline();
  #details = new TunnelDetails(this.history);
  #state = html('span', { class: 'state' });
  #ends = html('p', { class: 'ends' });
  #device = html('span', { class: 'device' });
  #in = html('dd');
  #out = html('dd');
  #dropped = html('span');
  #dropping = html('span', { class: 'growing' });
  #problem = html('p', { class: 'problem', hidden: '' });
  /** @type {HTMLButtonElement} */
  #button;
  /** @type {HTMLElement} */
  element;

  /** @param {TunnelReport} report */
  constructor(report) {
    this.report = report;
    count += 1;
    const bodyId = `tunnel-${count}`;
    this.#button = html(
      'button',
      { type: 'button', 'aria-expanded': 'false', 'aria-controls': bodyId },
      report.name,
    );
    this.#details.element.id = bodyId;
    this.#details.element.hidden = true;
    this.#button.addEventListener('click', () =>
      this.open(this.#button.getAttribute('aria-expanded') === 'false'),
    );
    this.element = html(
      'article',
      { class: 'tunnel' },
      html(
        'header',
        {},
        html('div', { class: 'who' }, html('h2', {}, this.#button), this.#device, this.#state),
        this.#ends,
        this.#spark.element,
        html(
          'dl',
          { class: 'figures' },
          figure('In', this.#in, 'in'),
          figure('Out', this.#out, 'out'),
          figure('Dropped', html('dd', {}, this.#dropped, ' ', this.#dropping)),
        ),
      ),
      this.#problem,
      this.#details.element,
    );
  }

  /** @param {boolean} open */
  open(open) {
    setAttributes(this.#button, { 'aria-expanded': String(open) });
    this.#details.element.hidden = !open;
    this.#draw(performance.now());
  }

  /**
   * @param {number} now ms of the browser's monotonic time
   * @param {TunnelReport} report
   */
  update(now, report) {
    this.report = report;
    this.history.add(now, report);
    const { device, local, remote, stats } = report;
    setAttributes(this.element, { 'data-state': stateOf(report) });
    setText(this.#state, describeState(report));
    setText(this.#device, device);
    this.#tellEnds(local, remote, stats?.socket.remote ?? remote);
    setText(this.#in, formatThroughput(this.history.now?.inBits ?? null));
    setText(this.#out, formatThroughput(this.history.now?.outBits ?? null));
    this.#tellDropped();
    this.#tellProblem();
    this.#draw(now);
  }

  /** Draws what can be seen. @param {number} now */
  #draw(now) {
    this.#spark.update(this.history, now);
    if (!this.#details.element.hidden) this.#details.update(now, this.report);
  }

  /**
   * @param {string} local
   * @param {string} remote
   * @param {string} address of the remote end, which may be given by name
   */
  #tellEnds(local, remote, address) {
    const key = JSON.stringify([local, remote, address]);
    if (this.#ends.dataset['ends'] === key) return;
    this.#ends.dataset['ends'] = key;
    const [from, to] = [html('span', { class: 'end' }, local), html('span', { class: 'end' }, remote)];
    this.#ends.replaceChildren(from, html('span', { class: 'to' }, ' to '), to);
    if (address !== remote) this.#ends.append(' ', html('span', { class: 'address' }, `(${address})`));
  }

  #tellDropped() {
    const { stats } = this.report;
    const growth = this.history.growth(({ encap, decap }) => encap.dropped + decap.dropped);
    const total = stats === null ? null : stats.encap.dropped + stats.decap.dropped;
    setText(this.#dropped, total === null ? UNKNOWN : formatRoughly(total));
    setText(this.#dropping, growth !== null && growth > 0 ? `+${formatRate(growth)}` : '');
  }

  #tellProblem() {
    const { problem } = this.report;
    this.#problem.hidden = problem === null;
    if (problem === null) return;
    const { message, hint } = problem;
    const key = JSON.stringify([message, hint]);
    if (this.#problem.dataset['problem'] === key) return;
    this.#problem.dataset['problem'] = key;
    this.#problem.replaceChildren(html('strong', {}, message));
    if (hint !== null) this.#problem.append(' ', html('span', { class: 'hint' }, hint));
  }
}

/**
 * @param {string} name
 * @param {HTMLElement} value
 * @param {'in' | 'out' | ''} key the mark of its curve
 */
function figure(name, value, key = '') {
  return html(
    'div',
    {},
    html('dt', {}, html('span', { class: `key ${key}`, 'aria-hidden': 'true' }), name),
    value,
  );
}
