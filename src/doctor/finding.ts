/** The findings of the doctor. */

/** `problem`: it does not work. `warning`: it works, but loses packets or speed. `note`: worth knowing. `ok`: checked, and correct. */
export type Severity = 'ok' | 'note' | 'warning' | 'problem';

export interface Finding {
  readonly severity: Severity;
  /** The documented code; `null` when `ok`. */
  readonly code: FindingCode | null;
  /** The finding, in one line. */
  readonly what: string;
  /** Why it matters, in one line; `null` when `ok`. */
  readonly why: string | null;
  /** Command lines that fix it, to be typed as they are, in this order. */
  readonly commands: readonly string[];
  /** Further advice, or advice where no command can be given. */
  readonly advice: string | null;
}

interface Remedy {
  readonly commands?: readonly string[];
  readonly advice?: string | null;
}

/** A fault. */
export function finding(
  code: FindingCode,
  what: string,
  { commands = [], advice = null }: Remedy = {},
): Finding {
  const { severity, why } = CATALOGUE[code];
  return { severity, code, what, why, commands, advice };
}

/** Something that was checked and is correct. */
export function ok(what: string): Finding {
  return { severity: 'ok', code: null, what, why: null, commands: [], advice: null };
}

interface Entry {
  readonly severity: 'note' | 'warning' | 'problem';
  readonly why: string;
}

/** Every fault that the doctor can find, how serious it is, and why it matters. docs/doctor.md lists the same. */
export const CATALOGUE = {
  // This machine
  'config-warning': {
    severity: 'warning',
    why: 'A valid configuration that probably does not do what it should; ttun check reports the same.',
  },
  'native-missing': {
    severity: 'problem',
    why: 'Without its native part ttun cannot open a tunnel, and the doctor cannot examine devices and routes.',
  },
  'tun-missing': {
    severity: 'problem',
    why: 'Programs attach to TUN devices through /dev/net/tun.',
  },
  'tun-forbidden': {
    severity: 'problem',
    why: 'Programs attach to TUN devices through /dev/net/tun. Opening the file alone grants no privileges.',
  },
  'segment-missing': {
    severity: 'note',
    why: 'Without UDP_SEGMENT (Linux 4.18) each packet costs a system call, which cuts throughput to a fraction.',
  },
  'gro-missing': {
    severity: 'note',
    why: 'Without UDP_GRO (Linux 5.0) each datagram costs a system call, which cuts throughput to a fraction.',
  },
  'uso-missing': {
    severity: 'note',
    why: 'Before Linux 6.2 TUN devices cannot coalesce UDP packets: bulk UDP (QUIC, video) inside the tunnel is slower. TCP is not affected.',
  },
  'segment-bug': {
    severity: 'note',
    why: 'From Linux 7.0 to 7.1.4, datagrams sent with UDP_SEGMENT leave some network cards with wrong headers or checksums and are lost.',
  },
  'receive-buffer-small': {
    severity: 'warning',
    why: 'Packets of a burst that do not fit in the receive buffer are lost (receiveOverflow in the stats). The tunnel requests 4 MiB.',
  },
  'send-buffer-small': {
    severity: 'warning',
    why: 'With less than the 4 MiB it requests, the tunnel has to wait for a fast network card more often.',
  },
  'conntrack-full': {
    severity: 'warning',
    why: 'When the connection tracking table is full, the kernel drops packets of new connections, those of the tunnel included.',
  },
  'udp-checksums': {
    severity: 'note',
    why: 'They were damaged, a network card verifies checksums incorrectly, or a peer sends none over IPv6; the kernel drops them before the tunnel.',
  },
  'fragments-lost': {
    severity: 'note',
    why: 'Some of their fragments were lost, or too many packets were incomplete at once. Packets that fit the path are not fragmented.',
  },
  // The device
  'device-missing': {
    severity: 'problem',
    why: 'A tunnel attaches to an existing TUN device, unless its configuration says to create one.',
  },
  'device-is-tap': {
    severity: 'problem',
    why: 'A TAP device carries Ethernet frames; the tunnel carries IP packets.',
  },
  'device-not-tun': {
    severity: 'problem',
    why: 'Only TUN devices pass their packets to a program.',
  },
  'device-not-owner': {
    severity: 'problem',
    why: 'Only its owner, its group and root may attach to a TUN device that has an owner or a group.',
  },
  'device-busy': {
    severity: 'problem',
    why: 'Only one program at a time can be attached to a TUN device.',
  },
  'device-shared': {
    severity: 'warning',
    why: 'Each program attached to a multi-queue device receives part of the packets, so the tunnel does not see all of them.',
  },
  'device-down': {
    severity: 'problem',
    why: 'A device that is down carries no traffic: packets from the peer are dropped as device-down.',
  },
  'settings-lost': {
    severity: 'problem',
    why: 'Addresses and routes that the tunnel gave to its device were removed by another program, or the kernel refuses to restore them.',
  },
  'device-queue-full': {
    severity: 'note',
    why: 'The kernel drops packets that arrive in bursts faster than the tunnel reads them: TCP slows down, UDP in the tunnel is lost.',
  },
  'address-missing': {
    severity: 'warning',
    why: 'Without an address on the device, this host can neither receive nor send through the tunnel.',
  },
  'interface-forbidden': {
    severity: 'problem',
    why: 'Creating and configuring interfaces and marking datagrams require CAP_NET_ADMIN.',
  },
  // The path to the peer
  'local-not-here': {
    severity: 'problem',
    why: 'A socket can only be bound to an address of this host.',
  },
  'port-taken': {
    severity: 'problem',
    why: 'Only one socket at a time can use a UDP port of an address.',
  },
  'port-forbidden': {
    severity: 'problem',
    why: 'Ports below net.ipv4.ip_unprivileged_port_start are reserved for root.',
  },
  'bind-device-missing': {
    severity: 'problem',
    why: 'The socket cannot be bound to an interface that does not exist.',
  },
  'peer-unresolved': {
    severity: 'problem',
    why: 'The tunnel waits until the name of the peer resolves to an address.',
  },
  'peer-unreachable': {
    severity: 'problem',
    why: 'The kernel has no route to the peer.',
  },
  'peer-through-tunnel': {
    severity: 'problem',
    why: 'Datagrams to the peer would go into the tunnel itself, which drops them as routing-loop.',
  },
  'peer-is-here': {
    severity: 'note',
    why: 'Both ends are on this host, so packets between them do not pass through the tunnel.',
  },
  'peer-not-heard': {
    severity: 'problem',
    why: 'Packets pass only if each end has the address and port of the other as its remote, and firewalls accept them.',
  },
  'peer-unknown': {
    severity: 'problem',
    why: 'With remote = "learn", a tunnel sends nothing until its peer has sent the first packet; a NAT in front of the peer lets nothing in before that either.',
  },
  'peer-not-accepted': {
    severity: 'problem',
    why: 'With remote = "learn", only a valid packet from an address in peers, and from allowedSources inside, makes its sender the peer.',
  },
  'peer-elsewhere': {
    severity: 'problem',
    why: 'A tunnel accepts datagrams only from its remote; the kernel refuses all others.',
  },
  'peer-other-port': {
    severity: 'problem',
    why: 'No socket of this host has that port: the remote configured on the other host has a different port from this tunnel.',
  },
  'no-socket': {
    severity: 'note',
    why: 'They may come from a peer that sends to another port, from another address than its configured one, or through a NAT (UdpNoPorts).',
  },
  'ecn-illegal': {
    severity: 'problem',
    why: 'The mark asks the sender to slow down, which it would not understand, so the packets are dropped instead (RFC 6040).',
  },
  'probe-not-routed': {
    severity: 'warning',
    why: 'The probe shows that the tunnel carries packets to that address, but those of this host take another way.',
  },
  'probe-unanswered': {
    severity: 'warning',
    why: 'The probe can measure nothing, and its losses are not those of the path.',
  },
  'link-saturated': {
    severity: 'note',
    why: 'This host sends more than the link or the configured rate takes, so packets wait in the queue of the tunnel.',
  },
  'rate-too-high': {
    severity: 'warning',
    why: 'Packets wait for a link that is slower than the rate, so the rate has no effect, neither here nor on a bottleneck behind that link.',
  },
  'send-buffer-slow': {
    severity: 'warning',
    why: 'What the socket holds can no longer be reordered or dropped: while the link is saturated, every packet waits behind all of it.',
  },
  'queue-elsewhere': {
    severity: 'note',
    why: 'A queue on the path fills up, in a modem or at a slower link: the tunnel does not see it, and cannot keep it short without a rate.',
  },
  'behind-nat': {
    severity: 'note',
    why: 'A NAT lets nothing in before this host has sent something, and forgets that when nothing passes for a minute or so.',
  },
  'mtu-too-large': {
    severity: 'warning',
    why: 'Packets that do not fit the path to the peer are fragmented, which is slower, and some firewalls drop fragments.',
  },
  'rp-filter': {
    severity: 'problem',
    why: 'The kernel drops packets that arrive on a different interface from the one it would reply through (strict reverse path filter, RFC 3704).',
  },
  'firewall-input': {
    severity: 'note',
    why: 'Datagrams from the peer seem to be accepted only as replies to ours, so the peer cannot send first.',
  },
  'firewall-drops': {
    severity: 'problem',
    why: 'No datagram of the peer is accepted, not even replies to ours.',
  },
  'firewall-output': {
    severity: 'problem',
    why: 'Sending fails with EPERM: packets are dropped as send-error.',
  },
  // The measured path (--path)
  'path-not-measured': {
    severity: 'problem',
    why: 'The path is measured by the running tunnel, with echo requests to an address of the peer inside it.',
  },
  'path-unanswered': {
    severity: 'problem',
    why: 'Without answers nothing is known about the path. Firewalls and hosts that are off do not answer echo requests.',
  },
  'path-loss': {
    severity: 'warning',
    why: 'Each lost packet slows TCP connections in the tunnel down, and is missing in everything else.',
  },
  'path-mtu-unreported': {
    severity: 'warning',
    why: 'Larger packets are fragmented on the way, or lost, and no router reports it, because it sends no ICMP, or ICMP is blocked.',
  },
  'path-mtu-back': {
    severity: 'warning',
    why: 'Fragmentation is slower, one lost fragment loses the packet, and some firewalls drop fragments.',
  },
  'longer-lost': {
    severity: 'problem',
    why: 'Longer packets are lost: their fragments are dropped on the path, or, over IPv6, no router reports that they are too long.',
  },
  'mtu-differs': {
    severity: 'note',
    why: 'Packets that fit the device with the larger MTU do not fit the other one; TCP adapts, other protocols may not.',
  },
  'ecn-unused': {
    severity: 'note',
    why: 'With ecn = true, routers can mark packets of flows that use ECN instead of dropping them.',
  },
  'ecn-cleared': {
    severity: 'warning',
    why: 'Flows in the tunnel do not learn of congestion: the path clears the marks, or the other end ignores them (RFC 6040).',
  },
  'ecn-marked': {
    severity: 'warning',
    why: 'Flows that use ECN slow down as if the path were always congested; a router on it sets the wrong bits.',
  },
  'ecn-dropped': {
    severity: 'problem',
    why: 'A firewall on the path drops datagrams with ECN, so flows that use ECN lose all their packets.',
  },
  // What goes through the tunnel
  'source-not-routed': {
    severity: 'warning',
    why: 'Replies would not go back through the tunnel, and a reverse path filter drops the packets themselves.',
  },
  'forwarding-off': {
    severity: 'note',
    why: 'Only this host can use the tunnel: packets of other hosts are not forwarded into it or out of it.',
  },
} as const satisfies Readonly<Record<string, Entry>>;

export type FindingCode = keyof typeof CATALOGUE;
