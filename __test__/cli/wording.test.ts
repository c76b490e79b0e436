import test from 'ava';
import { adviseMtu, describeAttached, describeError, grouped, summarise } from '../../src/cli/text.ts';
import { TtunError } from '../../src/errors.ts';
import type { TunnelStats } from '../../src/index.ts';
import { STATS_OF_NOTHING } from '../stats-of-nothing.ts';

test('the first line names the device, its MTU, the offloads in use and both ends', (t) => {
  t.is(
    describeAttached(STATS_OF_NOTHING),
    'attached to tun0 (mtu 1500, offload: checksum, TSO, USO), socket 10.0.1.1:9000 -> 10.0.1.2:9000 (offload: segmentation, GRO)',
  );
});

test('the first line says so when there is no offload', (t) => {
  const stats: TunnelStats = {
    ...STATS_OF_NOTHING,
    device: { ...STATS_OF_NOTHING.device, offload: { checksum: false, tso: false, uso: false } },
    socket: { ...STATS_OF_NOTHING.socket, segmentsPerSend: 1, gro: false },
  };
  t.is(
    describeAttached(stats),
    'attached to tun0 (mtu 1500, offload: none), socket 10.0.1.1:9000 -> 10.0.1.2:9000 (offload: none)',
  );
});

test('a device MTU that does not fit the route is advised against, with what to type', (t) => {
  const overIpv6 = { ...STATS_OF_NOTHING.socket, remote: '[fd00::2]:9000' };
  t.is(
    adviseMtu(STATS_OF_NOTHING.device, STATS_OF_NOTHING.socket),
    'packets of more than 1472 bytes travel in fragments; to avoid that: ip link set tun0 mtu 1472',
  );
  t.regex(adviseMtu(STATS_OF_NOTHING.device, overIpv6) ?? '', /: ip link set tun0 mtu 1452$/);
});

test('a device MTU that fits, or a route that is not known, needs no advice', (t) => {
  t.is(adviseMtu({ ...STATS_OF_NOTHING.device, mtu: 1472 }, STATS_OF_NOTHING.socket), null);
  t.is(adviseMtu(STATS_OF_NOTHING.device, { ...STATS_OF_NOTHING.socket, pathMtu: null }), null);
});

test('an advised MTU that would end IPv6 in the tunnel says so', (t) => {
  t.regex(
    adviseMtu(STATS_OF_NOTHING.device, { ...STATS_OF_NOTHING.socket, pathMtu: 1280 }) ?? '',
    /: ip link set tun0 mtu 1252 \(too small for IPv6 in the tunnel\)$/,
  );
});

test('the summary of a tunnel without faults has packets and bytes of both directions', (t) => {
  const stats: TunnelStats = {
    ...STATS_OF_NOTHING,
    encap: { ...STATS_OF_NOTHING.encap, packets: 1234, bytes: 1_234_567 },
    decap: { ...STATS_OF_NOTHING.decap, packets: 1, bytes: 84 },
  };
  t.deepEqual(summarise(stats), [
    'tun0 closed after 12.3 s',
    'out: 1,234 packets, 1,234,567 bytes, none dropped',
    'in: 1 packets, 84 bytes, none dropped',
  ]);
});

test('the summary gives drops by reason, socket errors by name, fragments and overflow', (t) => {
  const stats: TunnelStats = {
    ...STATS_OF_NOTHING,
    socket: { ...STATS_OF_NOTHING.socket, errors: { ECONNREFUSED: 2, EPERM: 1 }, receiveOverflow: 5000 },
    encap: {
      ...STATS_OF_NOTHING.encap,
      fragmented: 9,
      dropped: 1003,
      drops: { ...STATS_OF_NOTHING.encap.drops, 'peer-unreachable': 1000, 'too-big': 3 },
    },
    decap: {
      ...STATS_OF_NOTHING.decap,
      dropped: 4,
      drops: { ...STATS_OF_NOTHING.decap.drops, malformed: 4 },
    },
  };
  t.deepEqual(summarise(stats).slice(1), [
    'out: 0 packets, 0 bytes, 1,003 dropped: 1,000 peer-unreachable, 3 too-big',
    'in: 0 packets, 0 bytes, 4 dropped: 4 malformed',
    '9 packets left in fragments',
    'socket errors: 2 ECONNREFUSED, 1 EPERM',
    'lost to a full receive buffer: at least 5,000 datagrams',
  ]);
});

test('an error is said with its hint, when it has one', (t) => {
  t.is(describeError(new TtunError('ERR_TTUN_SYSTEM', 'it broke')), 'it broke');
  t.is(describeError(new TtunError('ERR_TTUN_SYSTEM', 'it broke', { hint: 'mend it' })), 'it broke; mend it');
});

test('digits are grouped by three', (t) => {
  t.deepEqual([0, 999, 1000, 1_234_567, 12_345_678].map(grouped), [
    '0',
    '999',
    '1,000',
    '1,234,567',
    '12,345,678',
  ]);
});
