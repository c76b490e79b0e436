import test from 'ava';
import { diffStats } from '../../src/rates.ts';
import type { TunnelStats } from '../../src/stats.ts';
import { STATS as NUMBERS } from '../http/reports.ts';

type Part = 'socket' | 'encap' | 'decap';
type Changes = Partial<Omit<TunnelStats, Part>> & { readonly [P in Part]?: Partial<TunnelStats[P]> };

function stats({ socket, encap, decap, ...changes }: Changes = {}): TunnelStats {
  return {
    ...NUMBERS,
    ...changes,
    socket: { ...NUMBERS.socket, ...socket },
    encap: { ...NUMBERS.encap, ...encap },
    decap: { ...NUMBERS.decap, ...decap },
  };
}

/** The same with every count as a bigint. */
function exact(counted: TunnelStats): TunnelStats<bigint> {
  const toBigInts = (value: unknown): unknown => {
    if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toBigInts(inner)]));
  };
  const { socket, encap, decap } = counted;
  const counts = toBigInts({
    socket: { receiveOverflow: socket.receiveOverflow, errors: socket.errors },
    encap,
    decap: { ...decap, lastAt: null },
  });
  const { socket: socketCounts, ...both } = Object(counts);
  return { ...counted, socket: { ...socket, ...socketCounts }, ...both };
}

const BEFORE = stats({ uptimeMs: 10_000, encap: { packets: 100, bytes: 1000 } });
const AFTER = stats({
  uptimeMs: 12_500,
  socket: { receiveOverflow: NUMBERS.socket.receiveOverflow + 5, errors: { ECONNREFUSED: 10 } },
  encap: {
    packets: 350,
    bytes: 6000,
    drops: { ...NUMBERS.encap.drops, 'too-big': NUMBERS.encap.drops['too-big'] + 5 },
  },
});

test('rates are the increase of each counter over time', (t) => {
  const { ECONNREFUSED = 0, ...others } = BEFORE.socket.errors;
  const before = stats({ ...BEFORE, socket: { errors: others } });
  const rates = diffStats(before, AFTER);
  t.is(rates.intervalMs, 2500);
  t.is(rates.encap.packets, 100);
  t.is(rates.encap.bytes, 2000);
  t.is(rates.encap.drops['too-big'], 2);
  t.is(rates.encap.drops.malformed, 0);
  t.is(rates.socket.receiveOverflow, 2);
  t.deepEqual(rates.socket.errors, { ECONNREFUSED: 4 }, 'an error that is new since then began at 0');
  t.is(typeof ECONNREFUSED, 'number');
});

test('every counter has a rate, and nothing else does', (t) => {
  const rates = diffStats(BEFORE, AFTER);
  const { lastAt, ...decap } = NUMBERS.decap;
  t.deepEqual(Object.keys(rates.encap), Object.keys(NUMBERS.encap));
  t.deepEqual(Object.keys(rates.encap.drops), Object.keys(NUMBERS.encap.drops));
  t.deepEqual(Object.keys(rates.decap), Object.keys(decap));
  t.deepEqual(Object.keys(rates.decap.drops), Object.keys(NUMBERS.decap.drops));
  t.is(typeof lastAt, 'number');
});

test('exact statistics give the same rates, mixed with numbers or not', (t) => {
  const rates = diffStats(BEFORE, AFTER);
  t.deepEqual(diffStats(exact(BEFORE), exact(AFTER)), rates);
  t.deepEqual(diffStats(BEFORE, exact(AFTER)), rates);
  t.deepEqual(diffStats(exact(BEFORE), AFTER), rates);
});

test('rates of exact counters beyond 2^53 are not rounded', (t) => {
  const huge = exact(BEFORE);
  const before = { ...huge, encap: { ...huge.encap, bytes: 2n ** 60n } };
  const after = { ...huge, uptimeMs: huge.uptimeMs + 1000, encap: { ...huge.encap, bytes: 2n ** 60n + 3n } };
  t.is(diffStats(before, after).encap.bytes, 3);
});

test('after a restart, the rates are those of the new tunnel alone', (t) => {
  const reopened = stats({
    openedAt: NUMBERS.openedAt + 60_000,
    uptimeMs: 2000,
    socket: { receiveOverflow: 0, errors: {} },
    encap: { packets: 40, bytes: 80 },
  });
  const rates = diffStats(AFTER, reopened);
  t.is(rates.intervalMs, 2000);
  t.is(rates.encap.packets, 20);
  t.is(rates.encap.bytes, 40);
  t.is(rates.socket.receiveOverflow, 0);
});

test('rates over no time are 0', (t) => {
  const rates = diffStats(AFTER, AFTER);
  t.is(rates.intervalMs, 0);
  t.is(rates.encap.packets, 0);
});

test('snapshots in the wrong order are an error', (t) => {
  t.throws(() => diffStats(AFTER, BEFORE), { instanceOf: RangeError, message: /pass the earlier one first/ });
});
