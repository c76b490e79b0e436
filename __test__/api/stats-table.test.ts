/** The table of statistics in the core, and all that has to follow from it. */
import { readFile } from 'node:fs/promises';
import test from 'ava';
import { describeTunnel } from '../../src/cli/show.ts';
import { formatMetrics } from '../../src/http/metrics.ts';
import { readProcessStats } from '../../src/http/stats.ts';
import { loadBinding } from '../../src/native.ts';
import { STATES, STATS } from '../../src/stats-table.ts';
import { valueAt } from '../../src/stats.ts';
import type { TunnelStats } from '../../src/stats.ts';
import { OPEN, STATS as FIXTURE } from '../http/reports.ts';

/** Counters without a line of their own: they are shown together, or are sums. */
const SHOWN_TOGETHER = new Set([
  'encap.received',
  'encap.packets',
  'encap.bytes',
  'encap.reads',
  'encap.sends',
  'encap.dropped',
  'decap.received',
  'decap.packets',
  'decap.bytes',
  'decap.receives',
  'decap.writes',
  'decap.dropped',
  'probe.sent',
  'probe.received',
  'probe.lost',
  'probe.rttSum',
  'queue.delayed',
  'queue.delaySum',
]);

const COUNTERS = STATS.filter(({ kind }) => kind === 'counter' || kind === 'drop');

/** Each count is different, so that none can be taken for another. */
function distinctCounts(): TunnelStats {
  const stats = structuredClone(FIXTURE);
  for (const [index, { path }] of COUNTERS.entries()) {
    const [section, ...rest] = path.split('.');
    const last = rest.pop() ?? '';
    Object(valueAt(stats, [section, ...rest].join('.')))[last] = countOf(index);
  }
  return stats;
}

function countOf(index: number): number {
  return 1_234_000 + index;
}

test('the types and functions were generated from the table of this native part', async (t) => {
  const { table, states } = loadBinding().statsLayout();
  t.deepEqual([...STATS], table);
  t.deepEqual<string[], string[]>([...STATES], states);
});

test('every value is in the statistics, and nothing else except the opening time', (t) => {
  const paths = STATS.filter(({ kind }) => kind !== 'section').map(({ path }) => path);
  const found = new Set(leavesOf(FIXTURE, ''));
  t.deepEqual(
    paths.filter((path) => !found.has(path)),
    [],
  );
  t.deepEqual(
    [...found].filter((path) => !paths.includes(path)),
    [],
  );
});

test('every counter and drop reason is exported as a metric', (t) => {
  const metrics = formatMetrics([{ ...OPEN, stats: distinctCounts() }], readProcessStats());
  // The number of all answers is also in the histogram.
  const lines = metrics.split('\n').filter((line) => !line.startsWith('ttun_probe_rtt_seconds'));
  for (const [index, { path, metric, unit }] of COUNTERS.entries()) {
    const value = unit === 'us' ? countOf(index) / 1e6 : countOf(index);
    const exported = lines.filter((line) => line.endsWith(` ${value}`));
    t.is(exported.length, metric === '-' ? 0 : 1, path);
  }
  t.deepEqual(
    COUNTERS.filter(({ metric }) => metric === '-').map(({ path }) => path),
    ['encap.dropped', 'decap.dropped', 'probe.rttSum'],
    'the sums of the reasons, and what is exported with others',
  );
});

test('every counter and drop reason is shown by ttun show', (t) => {
  const networkNamespace = { inode: 1, name: null };
  const process = { pid: 1, uid: 0, version: '', startedAt: 0, config: null, networkNamespace, http: null };
  const viewer = { uid: 0, namespace: 1, style: (_style: unknown, text: string) => text };
  const report = { ...OPEN, stats: distinctCounts() };
  const text = describeTunnel({ path: '', process, report }, viewer);
  for (const [index, { path, kind, label }] of COUNTERS.entries()) {
    const count = countOf(index).toLocaleString('en');
    if (kind === 'drop') t.true(text.includes(`${count} ${path.split('.').at(-1)}`), path);
    else if (label !== '') t.true(text.includes(`${label}: ${count}`), path);
    else t.true(SHOWN_TOGETHER.has(path), `${path} needs a label`);
  }
});

test('every value is documented', async (t) => {
  const [api, faults] = await Promise.all([readPage('api.md'), readPage('when-things-fail.md')]);
  for (const { path, kind } of STATS) {
    const name = path.split('.').at(-1) ?? '';
    if (path !== '') t.true(api.includes(`\`${name}\``), `${path} in docs/api.md: npm run docs`);
    if (kind === 'drop') t.true(faults.includes(`| \`${name}\` |`), `${path} in docs/when-things-fail.md`);
  }
});

function readPage(name: string): Promise<string> {
  return readFile(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
}

function leavesOf(value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null || path === 'socket.errors') return [path];
  return Object.entries(value).flatMap(([name, inner]) =>
    leavesOf(inner, path === '' ? name : `${path}.${name}`),
  );
}
