import test from 'ava';
import { absolute, relative } from '../../bench/comparison.ts';
import type { Figures } from '../../bench/measure.ts';
import type { Sample } from '../../bench/rounds.ts';
import { median, quantile } from '../../bench/statistics.ts';
import { targetsTable } from '../../bench/targets.ts';

const NOTHING: Figures = {
  tcpThere: 0,
  tcpBack: 0,
  tcp: 0,
  tcpFourStreams: 0,
  processorPerGigabyte: null,
  udpSmall: 0,
  udpLoss: 0,
  roundTrip: 0,
  roundTripTail: 0,
  memory: null,
  firstPacketMs: null,
  retransmits: 0,
};

function sample(contender: string, round: number, figures: Partial<Figures> | null): Sample {
  const measured = figures === null ? null : { ...NOTHING, ...figures };
  return { link: 'wire', round, contender, figures: measured, error: figures === null ? 'failed' : null };
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
  const samples = [sample('vxlan', 1, { tcp: 10 })];
  t.is(absolute(samples, 'wire', 'vxlan', 'memory'), null);
  t.deepEqual(absolute(samples, 'wire', 'vxlan', 'tcp'), { median: 10, min: 10, max: 10 });
});

test('a target is judged in the direction in which its value is better', (t) => {
  const samples = [
    sample('vxlan', 1, { tcp: 10, udpSmall: 100 }),
    sample('ttun-1472', 1, { tcp: 12, udpSmall: 80, memory: 60e6, firstPacketMs: 119 }),
  ];
  const rows = targetsTable(samples, ['ttun-1472']).split('\n');
  const verdict = (title: string): string | undefined => {
    const row = rows.find((line) => line.includes(title));
    return /(\w+) *\|$/.exec(row ?? '')?.[1];
  };
  t.is(verdict('TCP, one stream × vxlan'), 'aim');
  t.is(verdict('UDP 64 B delivered × vxlan'), 'short');
  t.is(verdict('memory'), 'pass');
  t.is(verdict('first packet'), 'aim');
});
