/** What the doctor has to say. */

/** `problem`: it does not work. `warning`: it works, but loses packets or speed. `note`: worth knowing. `ok`: looked at, and right. */
export type Severity = 'ok' | 'note' | 'warning' | 'problem';

export interface Finding {
  readonly severity: Severity;
  /** Which of the documented ones it is; `null` for what is right. */
  readonly code: FindingCode | null;
  /** What was found, in one line. */
  readonly what: string;
  /** Why it matters, in one line; `null` for what is right. */
  readonly why: string | null;
  /** What mends it: command lines to be typed as they are, in this order. */
  readonly commands: readonly string[];
  /** What to do besides, or where no command can be named. */
  readonly advice: string | null;
}

export interface Remedy {
  readonly commands?: readonly string[];
  readonly advice?: string | null;
}

/** Something that is not as it should be. */
export function finding(
  code: FindingCode,
  what: string,
  { commands = [], advice = null }: Remedy = {},
): Finding {
  const { severity, why } = CATALOGUE[code];
  return { severity, code, what, why, commands, advice };
}

/** Something that was looked at and is right. */
export function ok(what: string): Finding {
  return { severity: 'ok', code: null, what, why: null, commands: [], advice: null };
}

// All that the doctor can find, how bad each is, and why it matters. docs/doctor.md lists the same.

interface Entry {
  readonly severity: 'note' | 'warning' | 'problem';
  readonly why: string;
}

export const CATALOGUE = {
  // This machine
  'native-missing': {
    severity: 'problem',
    why: 'Without its native part ttun cannot open a tunnel, and the doctor cannot look at devices and routes.',
  },
  'tun-missing': {
    severity: 'problem',
    why: 'Programs attach to TUN devices through /dev/net/tun.',
  },
  'tun-forbidden': {
    severity: 'problem',
    why: 'Programs attach to TUN devices through /dev/net/tun. Opening it alone gives nobody any rights.',
  },
  'segment-missing': {
    severity: 'note',
    why: 'Without UDP_SEGMENT (Linux 4.18) each packet costs a system call, and throughput is a fraction.',
  },
  'gro-missing': {
    severity: 'note',
    why: 'Without UDP_GRO (Linux 5.0) each datagram costs a system call, and throughput is a fraction.',
  },
  'uso-missing': {
    severity: 'note',
    why: 'Before Linux 6.2 a TUN device does not join UDP packets: bulk UDP (QUIC, VoIP) inside the tunnel is slower. TCP is not.',
  },
  'segment-bug': {
    severity: 'note',
    why: 'From Linux 7.0 to 7.1.4, datagrams sent by UDP_SEGMENT leave some network cards with wrong headers or checksums and get lost.',
  },
  'receive-buffer-small': {
    severity: 'warning',
    why: 'A burst that finds no room in the receive buffer is lost (receiveOverflow in the stats). The tunnel asks for 4 MiB.',
  },
  'send-buffer-small': {
    severity: 'warning',
    why: 'With less than the 4 MiB it asks for, the tunnel waits for the network card more often, and packets queue up at the device.',
  },
  'conntrack-full': {
    severity: 'warning',
    why: 'When the table of connections is full, the kernel drops packets of new ones, those of the tunnel included.',
  },
  // The device
  'device-missing': {
    severity: 'problem',
    why: 'A tunnel attaches to a TUN device that exists, unless its configuration asks to make one.',
  },
  'device-is-tap': {
    severity: 'problem',
    why: 'A TAP device carries Ethernet frames; the tunnel carries IP packets.',
  },
  'device-not-tun': {
    severity: 'problem',
    why: 'Only TUN devices hand their packets to a program.',
  },
  'device-not-owner': {
    severity: 'problem',
    why: 'A TUN device that has an owner or a group lets only these and root attach.',
  },
  'device-busy': {
    severity: 'problem',
    why: 'One program at a time can be attached to a TUN device.',
  },
  'device-shared': {
    severity: 'warning',
    why: 'Of a device with several queues each program gets part of the packets, and the tunnel only its own part.',
  },
  'device-down': {
    severity: 'problem',
    why: 'A device that is down carries nothing: packets of the peer are dropped as device-down.',
  },
  'address-missing': {
    severity: 'warning',
    why: 'Without an address of its own in the tunnel this host can neither be reached through it nor send by it.',
  },
  'interface-forbidden': {
    severity: 'problem',
    why: 'Making and configuring interfaces, and marking datagrams, needs CAP_NET_ADMIN.',
  },
  // The way to the peer
  'local-not-here': {
    severity: 'problem',
    why: 'A socket can only be bound to an address of this host.',
  },
  'port-taken': {
    severity: 'problem',
    why: 'One socket at a time can have a UDP port of an address.',
  },
  'port-forbidden': {
    severity: 'problem',
    why: 'Ports below net.ipv4.ip_unprivileged_port_start are for root.',
  },
  'bind-device-missing': {
    severity: 'problem',
    why: 'The socket is to be bound to an interface that does not exist.',
  },
  'peer-unresolved': {
    severity: 'problem',
    why: 'The tunnel waits until the name of the peer stands for an address.',
  },
  'peer-unreachable': {
    severity: 'problem',
    why: 'The kernel knows no way to the peer.',
  },
  'peer-through-tunnel': {
    severity: 'problem',
    why: 'Datagrams to the peer would go into the tunnel itself, which drops them as routing-loop.',
  },
  'peer-is-here': {
    severity: 'note',
    why: 'Both ends on one host: its packets reach addresses of its own without passing the tunnel.',
  },
  'mtu-too-large': {
    severity: 'warning',
    why: 'Packets that do not fit the way to the peer travel in fragments, which costs speed, and which some firewalls drop.',
  },
  'rp-filter': {
    severity: 'problem',
    why: 'The kernel drops what comes in by another interface than it would answer by (strict reverse path filter, RFC 3704).',
  },
  'firewall-input': {
    severity: 'note',
    why: 'As far as can be seen, datagrams of the peer get in only as answers to our own, so the peer cannot begin.',
  },
  // What goes through the tunnel
  'source-not-routed': {
    severity: 'warning',
    why: 'Answers would not go back through the tunnel, and a reverse path filter drops the packets themselves.',
  },
  'forwarding-off': {
    severity: 'note',
    why: 'Only this host itself uses the tunnel: packets of other hosts are not passed on into it and out of it.',
  },
} as const satisfies Readonly<Record<string, Entry>>;

export type FindingCode = keyof typeof CATALOGUE;
