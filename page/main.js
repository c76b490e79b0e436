/** The page: asks for the figures, keeps those of the last five minutes, and shows them. */
import { Connection } from './connection.js';
import { byId, setText } from './dom.js';
import { Overview } from './overview.js';
import { poll } from './poll.js';
import { TunnelView } from './tunnel-view.js';
import { describeState } from './wording.js';

/** @import { StatsDocument } from '../src/http/routes.ts' */
/** @import { TunnelReport } from '../src/service/host.ts' */

/** With no more tunnels than this, each is shown in full from the beginning. */
const FEW = 2;

/** @type {Map<string, TunnelView>} */
const views = new Map();
const overview = new Overview();
const connection = new Connection();
const list = byId('tunnels');
/** Of the process that answered last. @type {number | null} */
let startedAt = null;

poll(show, () => {
  for (const { history } of views.values()) history.interrupt();
  announce([connection.failed()]);
});

/** @param {StatsDocument} answer */
function show({ process, tunnels }) {
  const now = performance.now();
  const isFirst = startedAt === null;
  const restarted = !isFirst && startedAt !== process.startedAt;
  startedAt = process.startedAt;
  const news = [connection.answered(), restarted ? 'ttun was started anew.' : null];
  for (const report of tunnels) news.push(showTunnel(now, report, isFirst && tunnels.length <= FEW));
  news.push(...removeAllBut(tunnels));
  byId('none').hidden = tunnels.length > 0;
  overview.update([...views.values()], process);
  document.body.classList.add('ready');
  if (!isFirst) announce(news);
}

/**
 * @param {number} now
 * @param {TunnelReport} report
 * @param {boolean} open
 * @returns {string | null} what to announce
 */
function showTunnel(now, report, open) {
  const known = views.get(report.name);
  const view = known ?? new TunnelView(report);
  const before = known === undefined ? null : describeState(known.report);
  view.update(now, report);
  if (known === undefined) {
    views.set(report.name, view);
    if (open) view.open(true);
  }
  const state = describeState(report);
  if (state === before) return null;
  return `${report.name}: ${state}. ${report.problem?.message ?? ''}`;
}

/**
 * Takes away what is gone, and puts the rest in the order of the configuration.
 *
 * @param {readonly TunnelReport[]} tunnels
 * @returns {string[]} what to announce
 */
function removeAllBut(tunnels) {
  const names = new Set(tunnels.map(({ name }) => name));
  const news = [];
  for (const [name, { element }] of views) {
    if (names.has(name)) continue;
    element.remove();
    views.delete(name);
    news.push(`${name}: removed.`);
  }
  for (const [index, { name }] of tunnels.entries()) {
    const element = views.get(name)?.element;
    // An element that is moved loses the focus, so that only those in the wrong place are.
    if (element !== undefined && list.children[index] !== element)
      list.insertBefore(element, list.children[index] ?? null);
  }
  return news;
}

/**
 * Tells those who do not see the page what has changed.
 *
 * @param {readonly (string | null)[]} news
 */
function announce(news) {
  const text = news.filter((item) => item !== null).join(' ');
  if (text !== '') setText(byId('announcements'), text);
}
