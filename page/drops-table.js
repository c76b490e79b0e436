/** Why packets of one direction were dropped. All reasons are always there, so that none appears or vanishes. */
import { html, setText } from './dom.js';
import { formatCount, formatRate } from './format.js';

/** @import { History } from './history.js' */
/** @import { TunnelStats } from '../src/stats.ts' */

export class DropsTable {
  element;
  /** @type {History} */
  #history;
  /** @type {(stats: TunnelStats) => Readonly<Record<string, number>>} */
  #dropsOf;
  /** @type {Map<string, { row: HTMLElement, rate: HTMLElement, total: HTMLElement }>} */
  #rows = new Map();

  /**
   * @param {History} history
   * @param {string} title
   * @param {Readonly<Record<string, string>>} reasons each with its description
   * @param {(stats: TunnelStats) => Readonly<Record<string, number>>} dropsOf
   */
  constructor(history, title, reasons, dropsOf) {
    this.#history = history;
    this.#dropsOf = dropsOf;
    const body = html('tbody');
    for (const [reason, description] of Object.entries(reasons)) {
      const [rate, total] = [html('td'), html('td')];
      const name = html('th', { scope: 'row' }, html('code', {}, reason), html('small', {}, description));
      const row = html('tr', {}, name, rate, total);
      this.#rows.set(reason, { row, rate, total });
      body.append(row);
    }
    const heads = ['Reason', 'Rate', 'Total'].map((head) => html('th', { scope: 'col' }, head));
    const table = html(
      'table',
      { class: 'drops' },
      html('caption', {}, title),
      html('thead', {}, html('tr', {}, ...heads)),
      body,
    );
    this.element = html('section', { class: 'dropped' }, table);
  }

  /** @param {TunnelStats} stats */
  update(stats) {
    const drops = this.#dropsOf(stats);
    for (const [reason, { row, rate, total }] of this.#rows) {
      const growth = this.#history.growth((reading) => this.#dropsOf(reading)[reason] ?? 0);
      const dropped = drops[reason] ?? 0;
      row.className = growth !== null && growth > 0 ? 'growing' : dropped === 0 ? 'none' : '';
      setText(rate, dropped === 0 ? '' : formatRate(growth));
      setText(total, formatCount(dropped));
    }
  }
}
