/** What the measurement of the path shows, and what to set. */
import type { BindingInterface } from '../../binding.cjs';
import { IPV6_MINIMUM_MTU, OUTER_OVERHEAD } from '../network.ts';
import type { EcnTreatment, PathMeasurement } from '../path.ts';
import type { SubjectFacts } from './facts.ts';
import { finding, ok } from './finding.ts';
import type { Finding } from './finding.ts';

export function checkMeasuredPath(facts: SubjectFacts): Finding[] {
  const { measured } = facts;
  if (measured === null) return [];
  if (measured.measurement === null) {
    return [finding('path-not-measured', measured.problem, { advice: measured.hint })];
  }
  const { measurement } = measured;
  if (measurement.rtt === null) return unanswered(measurement);
  return [
    ...checkRoundTrips(measurement),
    ...checkSent(facts, measurement),
    ...checkReceived(facts, measurement),
    ...checkLonger(facts, measurement),
    ...checkPeerMtu(facts, measurement),
    ...checkEcn(facts, measurement),
  ];
}

function unanswered({ address, requests, ecnSent }: PathMeasurement): Finding[] {
  const what = `${address} did not answer any of ${requests} echo requests`;
  const advice =
    'if the peer has another address inside the tunnel, or does not answer pings: ttun doctor --path <address>';
  if (ecnSent !== 'marked') return [finding('path-unanswered', what, { advice })];
  const marked = 'all datagrams reach the peer as congested (CE), even those that do not use ECN';
  return [
    finding('path-unanswered', what, { advice: 'only packets that use ECN pass' }),
    finding('ecn-marked', marked, { advice: 'find the router that writes the ECN field of all datagrams' }),
  ];
}

// Round trips.

function checkRoundTrips({ address, requests, answers, rtt }: PathMeasurement): Finding[] {
  if (rtt === null) return [];
  const times = `${inMs(rtt.median)} ms (${inMs(rtt.min)} to ${inMs(rtt.max)} ms)`;
  const found = ok(`${address} answers in ${times}`);
  const lost = requests - answers;
  if (lost === 0) return [found, ok(`no packet of ${requests} was lost on the way to the peer and back`)];
  const percent = Math.round((lost / requests) * 100);
  return [
    found,
    finding(
      'path-loss',
      `${lost} of ${requests} packets were lost on the way to the peer or back (${percent} %)`,
      { advice: 'watch it over time with a probe, or examine the path below the tunnel: mtr -u' },
    ),
  ];
}

/** `0.13`, `2.5`, `48`: of three digits at most. */
function inMs(ms: number): string {
  if (ms < 1) return ms.toFixed(2);
  return ms < 10 ? ms.toFixed(1) : ms.toFixed(0);
}

// The largest packets.

function checkSent(facts: SubjectFacts, { largestSent }: PathMeasurement): Finding[] {
  const { subject, device, probe } = facts;
  if (largestSent === null || device === null) return [];
  const { bytes, isLimit } = largestSent;
  const reaches = ok(`packets of up to ${bytes} bytes reach the peer unfragmented`);
  if (!isLimit || device.mtu <= bytes) return [reaches];
  // If the tunnel knows it, checkMtu has found it.
  if (isKnown(facts, bytes)) return [reaches];
  const mtu = carriesIpv6(device) ? Math.max(bytes, IPV6_MINIMUM_MTU) : bytes;
  const isConfigured = (subject.options?.interface?.mtu ?? null) !== null;
  const what = `packets of more than ${bytes} bytes do not reach the peer unfragmented; the MTU of ${device.name} is ${device.mtu}`;
  const commands = isConfigured ? [] : [`ip link set dev ${device.name} mtu ${mtu}`];
  const advice = [
    ...(isConfigured ? [`set mtu = ${mtu} in the configuration`] : []),
    ...(discovers(subject) && probe === null
      ? ['or set a probe, with which the tunnel searches the limit']
      : []),
  ];
  return [finding('path-mtu-unreported', what, { commands, advice: advice.join(', ') || null })];
}

function discovers({ options }: SubjectFacts['subject']): boolean {
  return options?.pathMtu === 'discover';
}

/** Whether the tunnel knows that longer packets do not fit. */
function isKnown({ subject: { running }, path }: SubjectFacts, bytes: number): boolean {
  if (path === null || path.peer.address === null) return false;
  const { address, route } = path.peer;
  const known = [route?.mtu ?? null, running?.stats?.socket.pathMtu ?? null].filter((mtu) => mtu !== null);
  return known.some((mtu) => mtu - OUTER_OVERHEAD[address.family] <= bytes);
}

function carriesIpv6({ addresses }: BindingInterface): boolean {
  return addresses.some((address) => address.includes(':'));
}

function checkReceived({ device }: SubjectFacts, { largestReceived, peerMtu }: PathMeasurement): Finding[] {
  if (largestReceived === null) return [];
  const { bytes, isLimit } = largestReceived;
  // As far as is known, the device of the peer has the same MTU as this one.
  if (!isLimit || (peerMtu ?? device?.mtu ?? 0) <= bytes)
    return [ok(`packets of ${bytes} bytes arrive from the peer unfragmented`)];
  return [
    finding('path-mtu-back', `packets of more than ${bytes} bytes arrive from the peer in fragments`, {
      advice: `on the other host: ip link set dev <device> mtu ${bytes}`,
    }),
  ];
}

function checkLonger(facts: SubjectFacts, { largestSent, longer }: PathMeasurement): Finding[] {
  const { subject, device } = facts;
  if (longer === null || device === null || largestSent === null) return [];
  // Their senders are told, rather than their packets sent.
  if (discovers(subject) && isKnown(facts, largestSent.bytes)) return [];
  const { bytes, requests, answers } = longer;
  const packets = `of ${requests} packets of ${bytes} bytes`;
  const count = answers === 0 ? `none ${packets} was answered` : `${answers} ${packets} were answered`;
  if (answers > requests / 2) return [ok(`${count}: fragments pass`)];
  if (device.mtu <= largestSent.bytes) return [ok(`${count}, but those of ${device.name} are shorter`)];
  return [finding('longer-lost', count, { advice: 'with the MTU above, there are no such packets' })];
}

function checkPeerMtu({ device }: SubjectFacts, { peerMtu }: PathMeasurement): Finding[] {
  if (peerMtu === null || device === null) return [];
  // Fragments have lengths in steps of 8 bytes.
  if (peerMtu <= device.mtu && device.mtu < peerMtu + 8) return [];
  const what = `the device of the peer has an MTU of ${peerMtu} to ${peerMtu + 7}, and ${device.name} one of ${device.mtu}`;
  return [finding('mtu-differs', what, { advice: 'give both devices the smaller one' })];
}

// ECN.

function checkEcn({ subject }: SubjectFacts, { ecnSent, ecnReceived }: PathMeasurement): Finding[] {
  const isOn = subject.options?.ecn === true;
  const sent = isOn ? withEcn(ecnSent) : withoutEcn(ecnSent);
  // Only a peer with the option sends datagrams that show it.
  const received =
    ecnReceived === 'marked'
      ? [
          finding('ecn-marked', 'all datagrams of the peer with ECN arrive as congested', {
            advice: 'set ecn = false on the other host',
          }),
        ]
      : ecnReceived === 'kept'
        ? [ok('congestion marks (ECN) arrive from the peer')]
        : [];
  return [...sent, ...received];
}

function withEcn(treatment: EcnTreatment): Finding[] {
  const advice = 'set ecn = false in the configuration';
  switch (treatment) {
    case 'kept':
      return [ok('congestion marks (ECN) reach the peer')];
    case 'cleared':
      return [finding('ecn-cleared', 'congestion marks (ECN) do not reach the peer', { advice })];
    case 'marked':
      return [finding('ecn-marked', 'all datagrams with ECN reach the peer as congested', { advice })];
    case 'dropped':
      return [finding('ecn-dropped', 'no datagram with ECN reaches the peer', { advice })];
    default:
      return [];
  }
}

function withoutEcn(treatment: EcnTreatment): Finding[] {
  switch (treatment) {
    case 'kept':
      return [
        finding('ecn-unused', 'congestion marks (ECN) would reach the peer', {
          advice: 'to use them: ecn = true on both hosts',
        }),
      ];
    case 'cleared':
      return [ok('congestion marks (ECN) would not reach the peer: ecn = true would be of no use')];
    case 'marked':
      return [ok('all datagrams with ECN would reach the peer as congested: leave ecn = false')];
    case 'dropped':
      return [ok('no datagram with ECN would reach the peer: leave ecn = false')];
    default:
      return [];
  }
}
