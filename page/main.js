/** The page: statistics of all tunnels, of each tunnel, and of the process. */
import { Connection } from './connection.js';
import { byId, DescriptionList, setText } from './dom.js';
import {
  formatBytes,
  formatDate,
  formatDuration,
  formatPercent,
  formatRate,
  formatThroughput,
  UNKNOWN,
} from './format.js';
import { TunnelView } from './tunnel.js';

/** @import { ProcessStats, StatsDocument } from '../src/http/stats.ts' */
/** @import { ShownValue, TunnelReport } from '../src/tunnel-host.ts' */
/** @import { Series } from './history.js' */

/** Up to this number of tunnels, all are expanded at first. */
const FEW = 2;

/** @type {Map<string, TunnelView>} */
const views = new Map();
const list = byId('tunnels');
const summary = new DescriptionList(byId('summary'), [
  'Up',
  'Received',
  'Sent',
  'Packets received',
  'Packets sent',
  'Dropped',
]);
const processList = new DescriptionList(byId('process'), [
  'Version',
  'Uptime',
  'Since',
  'CPU',
  'Memory',
  'PID',
]);
/** The process at the previous answer. @type {ProcessStats | null} */
let previous = null;

new Connection(show, (isNew) => {
  for (const { history } of views.values()) history.interrupt();
  if (isNew) announce(['ttun does not answer.']);
}).start();

/**
 * @param {StatsDocument} answer
 * @param {boolean} isBack
 */
function show({ process, tunnels, values }, isBack) {
  const now = performance.now();
  const isFirst = previous === null;
  const news = [];
  if (isBack) news.push('ttun answers again.');
  if (previous !== null && previous.startedAt !== process.startedAt) news.push('ttun was restarted.');
  const expanded = isFirst && tunnels.length <= FEW;
  for (const report of tunnels) news.push(...showTunnel(now, report, values, expanded));
  news.push(...arrange(tunnels));
  byId('none').hidden = tunnels.length > 0;
  showSummary(process.host);
  showProcess(process);
  document.body.classList.add('ready');
  if (!isFirst) announce(news);
}

/**
 * @param {number} now ms of the browser's monotonic clock
 * @param {TunnelReport} report
 * @param {readonly ShownValue[]} values labels of the listed values and of drop reasons
 * @param {boolean} expanded whether a new tunnel is
 * @returns {string[]} changes to announce
 */
function showTunnel(now, report, values, expanded) {
  const known = views.get(report.name);
  const view = known ?? new TunnelView(report, values);
  const before = known?.report.state ?? null;
  view.update(now, report);
  if (known === undefined) {
    views.set(report.name, view);
    if (expanded) view.expand(true);
  }
  const { name, state, stateText, problem } = report;
  return state === before ? [] : [`${name}: ${stateText}. ${problem?.message ?? ''}`];
}

/**
 * Removes tunnels that no longer exist, and puts the others in the order of the configuration.
 *
 * @param {readonly TunnelReport[]} tunnels
 * @returns {string[]} changes to announce
 */
function arrange(tunnels) {
  const names = new Set(tunnels.map(({ name }) => name));
  const removed = [...views.keys()].filter((name) => !names.has(name));
  for (const name of removed) {
    views.get(name)?.element.remove();
    views.delete(name);
  }
  for (const [index, { name }] of tunnels.entries()) {
    const element = views.get(name)?.element;
    // An element that is moved loses the focus.
    if (element !== undefined && list.children[index] !== element)
      list.insertBefore(element, list.children[index] ?? null);
  }
  return removed.map((name) => `${name}: removed.`);
}

/** @param {string} host */
function showSummary(host) {
  const all = [...views.values()];
  const up = all.filter(({ report }) => report.state === 'up' || report.state === 'idle').length;
  const total = (/** @type {Series} */ series) =>
    sum(all.map(({ history }) => history.now?.[series] ?? null));
  const drops = all.map(({ history }) => history.growth(({ encap, decap }) => encap.dropped + decap.dropped));
  summary.update({
    Up: `${up} of ${all.length}`,
    Received: formatThroughput(total('receivedBits')),
    Sent: formatThroughput(total('sentBits')),
    'Packets received': formatRate(total('receivedPackets')),
    'Packets sent': formatRate(total('sentPackets')),
    Dropped: formatRate(sum(drops)),
  });
  setText(byId('host'), host);
  document.title = `${up < all.length ? `${all.length - up} not up · ` : ''}ttun on ${host}`;
}

/** @param {ProcessStats} process */
function showProcess(process) {
  const { version, node, pid, startedAt, uptimeMs, cpuSeconds, residentBytes } = process;
  const before = previous?.startedAt === startedAt ? previous : null;
  const elapsed = before === null ? 0 : (uptimeMs - before.uptimeMs) / 1000;
  processList.update({
    Version: `ttun ${version}, Node ${node}`,
    Uptime: formatDuration(uptimeMs),
    Since: formatDate(startedAt),
    CPU:
      before === null || elapsed <= 0 ? UNKNOWN : formatPercent((cpuSeconds - before.cpuSeconds) / elapsed),
    Memory: formatBytes(residentBytes),
    PID: String(pid),
  });
  previous = process;
}

/**
 * The sum of the known values; `null` if none is known.
 *
 * @param {readonly (number | null)[]} values
 */
function sum(values) {
  return values.reduce((all, value) => (value === null ? all : (all ?? 0) + value), null);
}

/**
 * Reports changes to screen readers.
 *
 * @param {readonly string[]} news
 */
function announce(news) {
  if (news.length > 0) setText(byId('announcements'), news.join(' '));
}
