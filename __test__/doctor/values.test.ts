/** Checks that need another kernel. */
import test from 'ava';
import { checkMtu } from '../../src/doctor/device-checks.ts';
import { settingCommand, settingOf, settingPath } from '../../src/doctor/facts.ts';
import type { HostFacts } from '../../src/doctor/facts.ts';
import { CATALOGUE } from '../../src/doctor/finding.ts';
import { parseRelease } from '../../src/doctor/gather-host.ts';
import { checkKernel } from '../../src/doctor/host-checks.ts';
import { checkRpFilter } from '../../src/doctor/network-checks.ts';
import { checkCounters, checkIllegalMarks } from '../../src/doctor/peer-checks.ts';
import { checkNat, checkProbe } from '../../src/doctor/probe-checks.ts';
import { reportOf, STATS_OF_NOTHING } from '../stats-of-nothing.ts';
import type { TunnelStats } from '../../src/stats.ts';
import { factsOf } from './facts-of.ts';
import type { Around } from './facts-of.ts';

function host(release: string, udp = { segment: true, receive: true }): HostFacts {
  return {
    user: { uid: 0, name: 'root', gids: [0], mayConfigure: true },
    tunNode: 'usable',
    tunDriver: true,
    native: null,
    udp,
    kernel: parseRelease(release),
    settings: new Map(),
    counters: new Map(),
    firewall: null,
    hasOldFirewall: false,
    interfaces: [],
  };
}

const codes = (facts: HostFacts): unknown[] => checkKernel(facts).map(({ code }) => code);

test('a kernel is judged by its version', (t) => {
  for (const release of ['6.2.0', '6.18.44-custom', '7.1.5', '7.2-rc1', '10.0.1']) {
    t.deepEqual(codes(host(release)), [null], release);
  }
  for (const release of ['7.0.0', '7.0-rc3', '7.0.12-generic', '7.1', '7.1.4']) {
    t.deepEqual(codes(host(release)), ['segment-bug'], release);
  }
  for (const release of ['6.1.0-13-amd64', '5.15.200', '4.19.0']) {
    t.deepEqual(codes(host(release)), ['uso-missing'], release);
  }
});

test('a kernel is judged by the features of its sockets', (t) => {
  const found = codes(host('4.14.1', { segment: false, receive: false }));
  t.deepEqual(found, ['segment-missing', 'gro-missing', 'uso-missing']);
});

const adviceOn = (...names: readonly string[]): unknown =>
  checkCounters({ ...host('6.18.0'), counters: new Map(names.map((name) => [name, 3])) })[0]?.advice;

test('lost checksums point to peers that send none over IPv6, where IPv6 is concerned', (t) => {
  t.regex(String(adviceOn('UdpInCsumErrors')), /nstat -az UdpInCsumErrors$/);
  t.regex(
    String(adviceOn('UdpInCsumErrors', 'Udp6InCsumErrors')),
    /Udp6InCsumErrors\. .*noencap-csum6.* zeroChecksum6 = true$/,
  );
});

test('each reason fits on one line', (t) => {
  for (const [code, { why }] of Object.entries(CATALOGUE)) t.regex(why, /^[A-Z][^\n]{20,150}\.$/, code);
});

test('a setting of an interface with a dot in its name is written with slashes', (t) => {
  const name = settingOf('eth0.100', 'rp_filter');
  t.is(settingCommand(name, 2), 'sysctl -w net/ipv4/conf/eth0.100/rp_filter=2');
  t.is(settingPath(name), '/proc/sys/net/ipv4/conf/eth0.100/rp_filter');
  t.is(settingPath(settingOf('eth0', 'rp_filter')), '/proc/sys/net/ipv4/conf/eth0/rp_filter');
});

test('without a known path the reverse path filter is not reported', (t) => {
  const subject = {
    title: 'tun0',
    device: 'tun0',
    options: null,
    running: null,
    socket: null,
    silence: null,
  };
  const nothing = {
    networks: [],
    attached: [],
    returnRoutes: [],
    probe: null,
    measured: null,
    arrivals: null,
  };
  const facts = { subject, device: null, path: null, ...nothing };
  t.deepEqual(checkRpFilter(facts, host('6.18.0')), []);
});

function saidOfNat(source: string, peer: string, more: Around = {}): unknown[] {
  return checkNat(factsOf({ route: { source }, peer, ...more })).map(({ advice }) => advice);
}

test('a NAT is likely between a private and a public address', (t) => {
  const learn =
    'on the other host, set remote = "learn", which follows the address that the NAT gives this host';
  for (const source of ['10.1.2.3', '172.31.0.1', '192.168.1.5', '100.64.0.1']) {
    t.deepEqual(
      saidOfNat(source, '198.51.100.7'),
      [`${learn}; here, set a probe, which keeps it open`],
      source,
    );
  }
  const probe = { address: '10.0.2.2', intervalMs: 1000, route: null };
  t.deepEqual(saidOfNat('192.168.1.5', '198.51.100.7', { probe }), [learn]);
  for (const [source, peer] of [
    ['10.0.1.1', '10.0.3.1'],
    ['192.168.1.5', '172.16.0.1'],
    ['198.51.100.1', '198.51.100.7'],
    ['172.32.0.1', '198.51.100.7'],
  ] as const) {
    t.deepEqual(saidOfNat(source, peer), [], source);
  }
});

/** A running tunnel with a probe. */
function probing(
  loss: number,
  p50: number | null,
  lost = 100,
  device = 'tun0',
  options: Around['options'] = {},
): string[] {
  const probe = { ...STATS_OF_NOTHING.probe, address: '10.0.2.2', intervalMs: 1000, loss, lost };
  const stats = {
    ...STATS_OF_NOTHING,
    state: 'up',
    probe: { ...probe, rttMs: { ...probe.rttMs, p50 } },
  } as const;
  const ends = { device: 'tun0', local: '192.0.2.1:8000', remote: '192.0.2.2:8000' };
  const running = reportOf({ name: 'tun0', ...ends, phase: 'open', problem: null, stats });
  const route = { index: 1, device, local: false, gateway: null, source: null, mtu: 1500 };
  const facts = factsOf({ running, options, probe: { address: '10.0.2.2', intervalMs: 1000, route } });
  return checkProbe(facts).map(({ code, what, commands }) => [code ?? 'ok', what, ...commands].join(': '));
}

test('what the probe shows', (t) => {
  t.deepEqual(probing(0, 1.234), ['ok: 10.0.2.2 answers the probe in 1.23 ms']);
  t.deepEqual(probing(0.25, 40), [
    'ok: 10.0.2.2 answers the probe in 40.0 ms',
    'path-loss: 25 % of the last probes of 10.0.2.2 were lost',
  ]);
  t.is(probing(0.25, 40, 2).length, 1, 'while the peer was not running');
  t.deepEqual(probing(1, null), ['probe-unanswered: the peer sends, but 10.0.2.2 does not answer the probe']);
});

test('packets to the probed address should take the tunnel, too', (t) => {
  t.deepEqual(probing(0, 1, 0, 'eth0').slice(0, 1), [
    'probe-not-routed: the probe asks 10.0.2.2 through tun0, but packets to it leave through eth0: ip route add 10.0.2.2 dev tun0',
  ]);
  const planned = { interface: { addresses: ['10.0.2.1/24'] } };
  t.is(probing(0, 1, 0, 'eth0', planned).length, 1);
});

test('marks on datagrams of packets that do not use ECN', (t) => {
  const { decap } = STATS_OF_NOTHING;
  const drops = { ...decap.drops, 'ecn-illegal': 12 };
  const ends = { device: 'tun0', local: '192.0.2.1:8000', remote: '192.0.2.2:8000' };
  const of = (stats: TunnelStats): unknown[] => {
    const running = reportOf({ name: 'tun0', ...ends, phase: 'open', problem: null, stats });
    return checkIllegalMarks(factsOf({ running })).map(({ what }) => what);
  };
  t.deepEqual(of({ ...STATS_OF_NOTHING, decap: { ...decap, drops } }), [
    '12 datagrams of the peer arrived as congested (CE), although their packets do not use ECN',
  ]);
  t.deepEqual(of(STATS_OF_NOTHING), []);
});

test('with pathMtu = "discover" a device may be larger than the path', (t) => {
  const larger = { device: { mtu: 1500 }, route: { mtu: 1400 } };
  t.deepEqual(
    checkMtu(factsOf(larger)).map(({ code }) => code),
    ['mtu-too-large'],
  );
  const discovering = checkMtu(factsOf({ ...larger, options: { pathMtu: 'discover' } }));
  t.deepEqual(
    discovering.map(({ what }) => what),
    ['packets of up to 1372 bytes fit the path to the peer; the senders of larger ones are told so'],
  );
});
