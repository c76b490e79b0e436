import test from 'ava';
import { bare } from '../../bench/contenders/bare.ts';
import { socat } from '../../bench/contenders/socat.ts';
import { vxlan } from '../../bench/contenders/vxlan.ts';
import { LINK_NAMES } from '../../bench/links.ts';
import { absolute, relative } from '../../bench/report/comparison.ts';
import { summaryTable } from '../../bench/report/summary.ts';
import { figuresTable, ratiosTable } from '../../bench/report/tables.ts';
import { targetsTable } from '../../bench/report/targets.ts';
import { planTurns } from '../../bench/rounds.ts';
import type { Sample } from '../../bench/rounds.ts';
import { median, quantile } from '../../bench/statistics.ts';

function sample(
  contender: string,
  round: number,
  figures: Sample['figures'],
  link: Sample['link'] = 'wire',
): Sample {
  return { link, round, contender, figures, error: figures === null ? 'failed' : null };
}

/** The cells of the first row that contains a text. */
function cellsOf(table: string, text: string): string[] {
  const row = table.split('\n').find((line) => line.includes(text)) ?? '';
  return row
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}

test('the median of an even number of values lies between the two in the middle', (t) => {
  t.is(median([9, 1, 4, 2]), 3);
  t.is(median([9, 1, 4]), 4);
});

test('a quantile is a value that was measured', (t) => {
  const values = Array.from({ length: 300 }, (_, index) => 300 - index);
  t.is(quantile(values, 0.99), 297);
  t.is(quantile([7], 0.99), 7);
});

test('ratios are computed within a round, so drift between rounds does not affect them', (t) => {
  const samples = [
    sample('socat', 1, { tcp: 10 }),
    sample('ttun-1472', 1, { tcp: 20 }),
    sample('socat', 2, { tcp: 1000 }),
    sample('ttun-1472', 2, { tcp: 3000 }),
    sample('socat', 3, { tcp: 1 }),
    sample('ttun-1472', 3, { tcp: 2.5 }),
  ];
  t.deepEqual(relative(samples, 'wire', 'ttun-1472', 'socat', 'tcp'), { median: 2.5, min: 2, max: 3 });
});

test('a round in which either side failed has no ratio', (t) => {
  const samples = [
    sample('socat', 1, null),
    sample('ttun-1472', 1, { tcp: 20 }),
    sample('socat', 2, { tcp: 10 }),
    sample('ttun-1472', 2, { tcp: 40 }),
  ];
  t.deepEqual(relative(samples, 'wire', 'ttun-1472', 'socat', 'tcp'), { median: 4, min: 4, max: 4 });
  t.is(relative(samples, 'veth', 'ttun-1472', 'socat', 'tcp'), null);
});

test('a value that a contender does not have is omitted, not counted as zero', (t) => {
  const samples = [sample('vxlan', 1, { tcp: 10, memory: null })];
  t.is(absolute(samples, 'wire', 'vxlan', 'memory'), null);
  t.is(absolute(samples, 'wire', 'vxlan', 'firstPacketMs'), null);
  t.deepEqual(absolute(samples, 'wire', 'vxlan', 'tcp'), { median: 10, min: 10, max: 10 });
});

test('the tables of a slow link have the columns of latency under load, those of a fast one do not', (t) => {
  const samples = [
    sample('bare', 1, { pingBeside1: 48, pingBeside1Lost: 0.25, goodput1: 19.2e6 }, 'slow-20'),
    sample('ttun-1472', 1, { pingBeside1: 6, pingBeside1Lost: 0, goodput1: 18.72e6 }, 'slow-20'),
    sample('bare', 1, { tcp: 1 }),
  ];
  const slow = figuresTable(samples, 'slow-20');
  t.deepEqual(cellsOf(slow, 'ping').slice(1, 5), ['1 TCP: ping ms', 'worst ms', 'lost %', 'goodput Mbit/s']);
  t.deepEqual(cellsOf(slow, 'bare').slice(1, 5), ['48.0', '–', '25.0', '19.2']);
  t.deepEqual(cellsOf(ratiosTable(samples, 'slow-20', 'bare'), 'ttun').slice(1, 4), ['1/8.0', '–', '0.975']);
  t.notRegex(figuresTable(samples, 'wire'), /goodput/);
  t.notRegex(figuresTable(samples, 'wire'), /ttun-1472/);
});

test('a target is judged in the direction in which its value is better', (t) => {
  const samples = [
    sample('vxlan', 1, { tcp: 10, udpSmall: 100 }),
    sample('ttun-1472', 1, { tcp: 12, udpSmall: 50, memory: 55e6, firstPacketMs: 99 }),
  ];
  const verdict = (title: string) =>
    cellsOf(targetsTable(samples, ['ttun-1472']), title)[4]
      ?.split(' ')
      .at(-1);
  t.is(verdict('TCP, one stream × vxlan'), 'aim');
  t.is(verdict('UDP 64 B at full speed, delivered × vxlan'), 'short');
  t.is(verdict('memory'), 'pass');
  t.is(verdict('first packet'), 'aim');
});

test('targets relative to an earlier build compare the same variant of it', (t) => {
  const samples = [
    sample('before-1472', 1, { tcp: 1 }),
    sample('before-1500', 1, { tcp: 2 }),
    sample('ttun-1472', 1, { tcp: 0.99 }),
    sample('ttun-1500', 1, { tcp: 1 }),
  ];
  const table = targetsTable(samples, ['ttun-1472', 'ttun-1500']);
  t.deepEqual(cellsOf(table, 'TCP, one stream × before').slice(4), ['0.990 pass', '0.500 short']);
});

test('a latency under load is judged against the bare link of the same round', (t) => {
  const samples = [
    sample('bare', 1, { pingBeside1: 48, pingBeside8: 430 }, 'slow-20'),
    sample('ttun-1472', 1, { pingBeside1: 467, pingBeside8: 5 }, 'slow-20'),
  ];
  const table = targetsTable(samples, ['ttun-1472']);
  t.deepEqual(cellsOf(table, 'beside 1 TCP').slice(2), ['≤ 0.250', '≤ 1/8.0', '9.73 short']);
  t.deepEqual(cellsOf(table, 'beside 8 TCP').slice(2), ['≤ 1/20.0', '≤ 1/80.0', '1/86.0 aim']);
});

test('each round of each link begins with another contender, and only those for the link take part', (t) => {
  const turns = planTurns([bare, vxlan, socat], { links: LINK_NAMES, rounds: 2 });
  const on = (link: string, round: number): string[] =>
    turns.filter((turn) => turn.link === link && turn.round === round).map(({ contender }) => contender.name);
  t.deepEqual(on('slow-20', 1), ['bare', 'vxlan', 'socat']);
  t.deepEqual(on('slow-20', 2), ['vxlan', 'socat', 'bare']);
  t.deepEqual(on('far-20', 1), ['bare', 'vxlan']);
});

test('the summary has one line for each contender, once all of its links were measured', (t) => {
  const samples = [
    sample('ttun-1472', 1, { tcp: 15e9 }, 'veth'),
    sample('ttun-1472', 1, { tcp: 10e9 }, 'wire'),
    sample('ttun-1472', 1, { tcp: 10.8e9, processorPerGigabyte: 1.02, roundTrip: 97 }, 'wire-checksum'),
    sample('bare', 1, { tcp: 63e9 }, 'veth'),
  ];
  t.is(summaryTable(samples, ['bare', 'ttun-1472']), null);
  const slow = sample('ttun-1472', 1, { pingBeside1: 2.74, pingBeside8: null }, 'slow-20');
  const summary = summaryTable([...samples, slow], ['bare', 'ttun-1472']) ?? '';
  t.deepEqual(cellsOf(summary, 'bare'), ['bare', '63.0', '–', '–', '–', '–', '–', '–']);
  t.deepEqual(cellsOf(summary, 'ttun'), ['ttun-1472', '15.0', '10.0', '10.8', '1.0', '97', '2.7', '–']);
});
