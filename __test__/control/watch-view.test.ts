import test from 'ava';
import { actionsIn } from '../../src/cli/screen.ts';
import type { Line } from '../../src/cli/screen.ts';
import { drawTable, drawView, noticeOf, sparkline } from '../../src/cli/watch-view.ts';
import { History } from '../../src/cli/watched.ts';
import type { Survey } from '../../src/control/client.ts';
import { ControlError, PROTOCOL } from '../../src/control/protocol.ts';
import type { TunnelStats } from '../../src/stats.ts';
import { REPORT, STATS } from './host.ts';

/** Statistics this many seconds later, with this many more bytes per direction. */
function later(seconds: number, bytes: number): TunnelStats {
  return {
    ...STATS,
    uptimeMs: STATS.uptimeMs + seconds * 1000,
    encap: { ...STATS.encap, bytes: STATS.encap.bytes + bytes },
    decap: { ...STATS.decap, bytes: STATS.decap.bytes + bytes },
  };
}

function textOf(line: Line | undefined): string {
  return (line ?? []).map(({ text }) => text).join('');
}

test('a sparkline spans from 0 to its highest value, with gaps where values are missing', (t) => {
  t.is(sparkline([0, 1, 50, 100, null, 100]), '▁▂▅█ █');
  t.is(sparkline([0, 0]), '▁▁');
  t.is(sparkline([null]), ' ');
});

test('a history has the highest rate of each part of the last minute', (t) => {
  const history = new History();
  history.add(STATS, 0);
  t.is(history.rates, null);
  history.add(later(1, 1000), 1000);
  history.add(later(2, 4000), 2000);
  t.is(history.rates?.encap.bytes, 3000);
  // Both directions together, in bits.
  t.deepEqual(history.inParts(6, 2000), [null, null, null, null, null, 48_000]);
  t.deepEqual(history.inParts(6, 12_000), [null, null, null, null, 48_000, null]);
  t.deepEqual(history.inParts(60, 2000).slice(-2), [16_000, 48_000]);
});

test('statistics that go back in time, as another user may send, have no rates', (t) => {
  const history = new History();
  history.add(later(2, 1000), 0);
  history.add(later(1, 2000), 1000);
  t.is(history.rates, null);
  history.add(later(2, 4000), 2000);
  t.is(history.rates?.encap.bytes, 2000);
});

test('a history drops samples older than a minute', (t) => {
  const history = new History();
  history.add(STATS, 0);
  history.add(later(1, 1000), 1000);
  history.add(null, 61_500);
  t.deepEqual(new Set(history.inParts(60, 61_500)), new Set([null]));
});

test('rates need two samples in succession', (t) => {
  const history = new History();
  history.add(STATS, 0);
  history.add(later(1, 1000), 1000);
  history.add(null, 2000);
  t.is(history.rates, null);
  history.add(later(3, 1000), 3000);
  t.is(history.rates, null);
  history.add(later(4, 2000), 4000);
  t.is(history.rates?.decap.bytes, 1000);
});

test('round-trip time and loss have columns if a tunnel is probed', (t) => {
  const probe = {
    ...STATS.probe,
    address: '10.0.2.2',
    loss: 0.25,
    rttMs: { ...STATS.probe.rttMs, p50: 12.25 },
  };
  const history = new History();
  const without = { label: 'a', report: REPORT, history, isSilent: false };
  const probed = {
    label: 'b',
    report: { ...REPORT, stats: { ...STATS, probe } },
    history,
    isSilent: false,
  };
  t.false(textOf(drawTable([without], 200, 0).header).includes('RTT'));
  const { header, rows } = drawTable([without, probed], 200, 0);
  const columns = /RTT +LOSS/.exec(textOf(header));
  const place = columns?.index ?? 0;
  const cells = rows.map((row) => textOf(row).slice(place - 4, place + (columns?.[0].length ?? 0)));
  t.deepEqual(cells, ['      –      –', '12.3 ms   25 %']);
});

/** Statistics this many seconds later, with twelve packets in the queue. */
function waited(seconds: number, delayed: number, delaySum: number): TunnelStats {
  return { ...later(seconds, 0), queue: { ...STATS.queue, packets: 12, delayed, delaySum } };
}

test('the queue has columns if packets of a tunnel wait or have waited', (t) => {
  const history = new History();
  history.add(waited(1, 100, 500_000), 0);
  history.add(waited(2, 300, 2_950_000), 1000);
  const quiet = { label: 'a', report: REPORT, history: new History(), isSilent: false };
  const busy = {
    label: 'b',
    report: { ...REPORT, stats: waited(2, 300, 2_950_000) },
    history,
    isSilent: false,
  };
  t.false(textOf(drawTable([quiet], 200, 0).header).includes('QUEUE'));
  const { header, rows } = drawTable([quiet, busy], 200, 1000);
  const end = textOf(header).indexOf('WAIT') + 'WAIT'.length;
  t.deepEqual(
    rows.map((row) => textOf(row).slice(end - 15, end)),
    ['     0        –', '    12  12.3 ms'],
  );
});

test('no row is wider than the terminal', (t) => {
  const problem = { code: 'ERR_TTUN_SYSTEM', message: 'a long message '.repeat(20), hint: null };
  const tunnels = [
    {
      label: 'a-name-that-is-longer-than-any-column',
      report: REPORT,
      history: new History(),
      isSilent: false,
    },
    { label: 'b', report: { ...REPORT, problem, stats: null }, history: new History(), isSilent: true },
  ];
  for (let width = 24; width <= 200; width += 1) {
    const { header, rows } = drawTable(tunnels, width, 0);
    for (const line of [header, ...rows]) t.true(textOf(line).trimEnd().length <= width, textOf(line));
    t.true(textOf(header).startsWith('TUNNEL'));
  }
});

test('the least important columns are omitted first, and the chart gets the remaining space', (t) => {
  const tunnels = [{ label: 'office', report: REPORT, history: new History(), isSilent: false }];
  const titles = (width: number): string =>
    textOf(drawTable(tunnels, width, 0).header)
      .trim()
      .replaceAll(/ {2,}/g, '|');
  t.is(titles(120), 'TUNNEL|STATE|RECEIVED|SENT|RECV PKT/S|SENT PKT/S|DROPS/S|HEARD|LAST MINUTE');
  t.is(titles(85), 'TUNNEL|STATE|RECEIVED|SENT|RECV PKT/S|SENT PKT/S|DROPS/S|HEARD');
  t.is(titles(60), 'TUNNEL|STATE|RECEIVED|SENT|DROPS/S');
  t.is(titles(35), 'TUNNEL|RECEIVED|SENT');
  t.is(titles(20), 'TUNNEL|RECEIVED');
});

test('the line below the table shows the most important message that the table does not', (t) => {
  const http = {
    listen: '10.0.2.1:9750',
    url: null,
    problem: { code: 'x', message: 'cannot serve HTTP', hint: null },
  };
  const about = {
    pid: 1,
    uid: 0,
    version: '0.1.0',
    startedAt: 0,
    config: null,
    networkNamespace: { inode: 1, name: null },
  };
  const found = (problem: typeof http | null): Survey => {
    const reply = { protocol: PROTOCOL, process: { ...about, http: problem }, tunnels: [REPORT], values: [] };
    return { replies: [{ path: '', reply }], silent: [] };
  };
  const tunnel = { label: 'office', report: REPORT, history: new History(), isSilent: false };
  const diagnosed = { ...tunnel, report: { ...REPORT, diagnosis: '192.0.2.2 refuses port 8000' } };
  t.is(noticeOf(found(null), [tunnel]), null);
  t.is(noticeOf(found(null), [tunnel, diagnosed]), 'office: 192.0.2.2 refuses port 8000');
  t.is(noticeOf(found(http), [diagnosed]), 'cannot serve HTTP');
  const silent = [{ path: '', error: new ControlError('no-answer', 'the process at x does not answer') }];
  t.is(noticeOf({ ...found(null), silent }, [diagnosed]), 'the process at x does not answer');

  const view = { tunnels: [tunnel], placeholder: '', intervalMs: 1000, isPaused: false, at: 0, time: '' };
  const lines = drawView({ ...view, notice: 'cannot serve HTTP' }, 0, { columns: 60, rows: 8 });
  t.is(lines.length, 8);
  t.deepEqual(lines.slice(-2).map(textOf), ['cannot serve HTTP', 'q quit  space pause']);
});

test('every rate fits its column', (t) => {
  const history = new History();
  history.add(STATS, 0);
  for (const bytesPerSecond of [123, 45_678, 147_500, 159_999_999, 99_999_999_999]) {
    history.add(later(1, bytesPerSecond), 1000);
    const [row] = drawTable([{ label: 'x', report: REPORT, history, isSilent: false }], 100, 1000).rows;
    t.notRegex(textOf(row), /…/);
    history.add(null, 1000);
    history.add(STATS, 1000);
  }
});

test('keys are distinguished, also when several come at once', (t) => {
  t.deepEqual(actionsIn('q'), ['quit']);
  t.deepEqual(actionsIn('\u001B'), ['quit']);
  t.deepEqual(actionsIn('\u001B[A\u001BOBjk\u001B[6~'), ['up', 'down', 'down', 'up', 'page-down']);
  t.deepEqual(actionsIn('\u001B[1;5C\u001B[Zxü'), []);
});
