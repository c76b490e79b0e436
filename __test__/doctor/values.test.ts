/** Checks that need another kernel. */
import test from 'ava';
import { settingCommand, settingOf, settingPath } from '../../src/doctor/facts.ts';
import type { HostFacts } from '../../src/doctor/facts.ts';
import { CATALOGUE } from '../../src/doctor/finding.ts';
import { parseRelease } from '../../src/doctor/gather-host.ts';
import { checkKernel } from '../../src/doctor/host-checks.ts';
import { checkNat, checkRpFilter } from '../../src/doctor/network-checks.ts';
import { checkCounters } from '../../src/doctor/peer-checks.ts';
import { factsOf } from './facts-of.ts';

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
  const nothing = { networks: [], attached: [], returnRoutes: [], measured: null, arrivals: null };
  const facts = { subject, device: null, path: null, ...nothing };
  t.deepEqual(checkRpFilter(facts, host('6.18.0')), []);
});

function saidOfNat(source: string, peer: string): unknown[] {
  return checkNat(factsOf({ route: { source }, peer })).map(({ advice }) => advice);
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
  for (const [source, peer] of [
    ['10.0.1.1', '10.0.3.1'],
    ['192.168.1.5', '172.16.0.1'],
    ['198.51.100.1', '198.51.100.7'],
    ['172.32.0.1', '198.51.100.7'],
  ] as const) {
    t.deepEqual(saidOfNat(source, peer), [], source);
  }
});
