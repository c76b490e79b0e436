/** Checks of a running tunnel whose peer does not answer, and of packets that the kernel drops before or after ttun sees them. */
import type { BindingArrival } from '../../binding.cjs';
import { formatAuthority, InvalidValue, parseEndpoint } from '../address.ts';
import type { Endpoint } from '../address.ts';
import type { TunnelReport } from '../tunnel-host.ts';
import type { HostFacts, SubjectFacts } from './facts.ts';
import { finding, ok } from './finding.ts';
import type { Finding } from './finding.ts';

/** Whether a running tunnel's peer does not answer, as far as this end knows. */
export function isUnanswered({ phase, state, diagnosis }: TunnelReport): boolean {
  return phase === 'open' && (state === 'waiting' || diagnosis !== null);
}

export function checkPeerAnswers({ subject: { running }, arrivals }: SubjectFacts): Finding[] {
  if (running === null || running.stats === null || running.phase !== 'open') return [];
  if (!isUnanswered(running)) return [ok('the peer answers')];
  if (running.stats.socket.remote === null) {
    const unknown = finding('peer-unknown', running.diagnosis ?? 'the peer is not known yet');
    return [...fromStrangers(running, arrivals), unknown];
  }
  const ends = endsOf(running);
  if (ends === null) return [];
  const { here, peer } = ends;
  const elsewhere = [...fromOthers(here, peer, arrivals), ...toOtherPorts(here, peer, arrivals)];
  return [...elsewhere, ...notHeard(running.diagnosis, here, peer, running.remote === 'learn')];
}

/** The addresses in use; `null` if the peer is not known yet, or they are invalid: the process may belong to a hostile user. */
export function endsOf({ stats }: TunnelReport): { readonly here: Endpoint; readonly peer: Endpoint } | null {
  if (stats === null || stats.socket.remote === null) return null;
  const [here, peer] = [endpointOrNull(stats.socket.local), endpointOrNull(stats.socket.remote)];
  return here === null || peer === null ? null : { here, peer };
}

/** Where a running tunnel is bound; `null` if that is invalid. */
export function localEndOf({ stats }: TunnelReport): Endpoint | null {
  return stats === null ? null : endpointOrNull(stats.socket.local);
}

function endpointOrNull(text: string): Endpoint | null {
  try {
    return parseEndpoint(text);
  } catch (error) {
    if (error instanceof InvalidValue) return null;
    throw error;
  }
}

/** Datagrams that make no one the peer of a tunnel that learns it. */
function fromStrangers(running: TunnelReport, arrivals: SubjectFacts['arrivals']): Finding[] {
  const here = localEndOf(running);
  const strangers = (arrivals ?? []).filter(({ localPort }) => localPort === here?.port);
  return strangers.map(({ address, port, localPort }) =>
    finding(
      'peer-not-accepted',
      `datagrams to port ${localPort} come from ${formatAuthority(address, port)}, but do not make it the peer`,
      {
        advice: `if that is the peer: ${address} must be in peers, and its packets valid and from allowedSources; the drops of ttun show ${running.name} tell which of these`,
      },
    ),
  );
}

/** The kernel answers datagrams of others with "port unreachable" and counts them as UdpNoPorts, so only a copy shows them. */
function fromOthers(here: Endpoint, peer: Endpoint, arrivals: SubjectFacts['arrivals']): Finding[] {
  const others = (arrivals ?? []).filter(
    ({ localPort, ...from }) => localPort === here.port && !isFrom(peer, from),
  );
  return others.map(({ address, port }) => {
    const [sender, expected] = [formatAuthority(address, port), nameOf(peer)];
    return finding(
      'peer-elsewhere',
      `datagrams to port ${here.port} come from ${sender}, not from ${expected}`,
      {
        advice: `if that is the peer: set remote = "${sender}" here, or local = "${expected}" on its host; if a NAT in front of it chooses the port: remote = "learn" and peers = ["${address}"] here`,
      },
    );
  });
}

/** Datagrams of the peer to ports that no socket has. */
function toOtherPorts(here: Endpoint, peer: Endpoint, arrivals: SubjectFacts['arrivals']): Finding[] {
  const others = (arrivals ?? []).filter(
    ({ address, localPort, isTaken }) => address === peer.address.text && localPort !== here.port && !isTaken,
  );
  return others.map(({ address, localPort }) =>
    finding(
      'peer-other-port',
      `${address} sends to UDP port ${localPort} of this host, not to ${here.port}`,
      {
        advice: `if they belong to the tunnel: set remote = "${nameOf(here)}" on the other host`,
      },
    ),
  );
}

/** @param learns whether the tunnel follows its peer to another address or port */
function notHeard(diagnosis: string | null, here: Endpoint, peer: Endpoint, learns: boolean): Finding[] {
  if (diagnosis === null) return [];
  // A sentence of the core: what is known, and what to check.
  const [what = diagnosis, ...questions] = diagnosis.split(/: (?=is |does |see )/);
  // What is to be seen on this host says nothing about the other one. A zone of this host means nothing there.
  const isHere = questions.some((question) => question.startsWith('see '));
  const host = here.address.text.replace(/%.*/, '');
  const look = `on ${peer.address.text}: ss -uanp 'sport = :${peer.port}'; tcpdump -ni any udp port ${peer.port} and host ${host}`;
  const nat = `; if it is behind a NAT, which chooses its port: remote = "learn" and peers = ["${peer.address.text}"] here`;
  const mayBeBehindNat = !learns && peer.address.family === 4;
  const there = isHere ? [] : [`${look}${mayBeBehindNat ? nat : ''}`];
  return [finding('peer-not-heard', what, { advice: [...questions, ...there].join(' ') })];
}

function isFrom({ address, port }: Endpoint, from: Pick<BindingArrival, 'address' | 'port'>): boolean {
  return address.text === from.address && port === from.port;
}

function nameOf({ address, port }: Endpoint): string {
  return formatAuthority(address.text, port);
}

/** The counters of the kernel that can explain losses, and what they mean. */
const COUNTERS = [
  {
    names: ['UdpInCsumErrors', 'Udp6InCsumErrors'],
    code: 'udp-checksums',
    what: 'UDP datagrams arrived with a wrong checksum, or over IPv6 without one',
  },
  {
    names: ['IpReasmFails', 'Ip6ReasmFails'],
    code: 'fragments-lost',
    what: 'fragmented packets could not be reassembled',
  },
] as const;

/** FOU and GUE devices of the kernel can do without checksums over IPv6. */
const ACCEPT_UNCHECKED =
  'If the peer sends UDP over IPv6 without checksums (noencap-csum6), set zeroChecksum6 = true';

export function checkCounters({ counters }: HostFacts): Finding[] {
  return COUNTERS.flatMap(({ names, code, what }) => {
    const counted = names.filter((name) => (counters.get(name) ?? 0) > 0);
    const sum = counted.reduce((total, name) => total + (counters.get(name) ?? 0), 0);
    if (sum === 0) return [];
    const unchecked = counted.some((name) => name === 'Udp6InCsumErrors') ? `. ${ACCEPT_UNCHECKED}` : '';
    const advice = `${watch(counted)}${unchecked}`;
    return [finding(code, `${sum} ${what} since this machine booted`, { advice })];
  });
}

/** Datagrams to ports without a socket may come from a misconfigured peer. */
export function checkStrayDatagrams(
  { subject: { running } }: SubjectFacts,
  { counters }: HostFacts,
): Finding[] {
  if (running === null || !isUnanswered(running)) return [];
  const counted = ['UdpNoPorts', 'Udp6NoPorts'].filter((name) => (counters.get(name) ?? 0) > 0);
  const sum = counted.reduce((total, name) => total + (counters.get(name) ?? 0), 0);
  if (sum === 0) return [];
  const what = `${sum} UDP datagrams arrived at ports without a socket`;
  return [finding('no-socket', what, { advice: watch(counted) })];
}

function watch(names: readonly string[]): string {
  return `check whether the counter grows while packets are sent through the tunnel: nstat -az ${names.join(' ')}`;
}

/** Datagrams that a router has marked although their packets do not use ECN; the tunnel drops them (RFC 6040, section 4.2). */
export function checkIllegalMarks({ subject: { running } }: SubjectFacts): Finding[] {
  const dropped = running?.stats?.decap.drops['ecn-illegal'] ?? 0;
  if (running?.phase !== 'open' || dropped === 0) return [];
  const what = `${dropped} datagrams of the peer arrived as congested (CE), although their packets do not use ECN`;
  return [
    finding('ecn-illegal', what, { advice: 'find the router that writes the ECN field of all datagrams' }),
  ];
}

export function checkDeviceQueue({ subject: { running }, device }: SubjectFacts): Finding[] {
  if (running?.phase !== 'open' || device === null || device.txDropped === 0) return [];
  const what = `${device.name} has dropped ${device.txDropped} packets because its queue was full or no program was attached`;
  return [
    finding('device-queue-full', what, {
      advice: `if the number grows during bursts of UDP: ip link set dev ${device.name} txqueuelen 5000`,
    }),
  ];
}
