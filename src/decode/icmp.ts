/** ICMP, ICMPv6 and IGMP. */
import type { View } from './view.ts';

/** RFC 792. @throws CutShort */
export function describeIcmp(view: View): string {
  return `ICMP ${describeMessage(view)}, length ${view.length}`;
}

function describeMessage(view: View): string {
  const type = view.u8(0);
  const code = view.u8(1);
  switch (type) {
    case 0:
      return `echo reply, id ${view.u16(4)}, seq ${view.u16(6)}`;
    case 3:
      return describeUnreachable(code, view.u16(6), readEmbeddedIpv4(view.slice(8)));
    case 4:
      return 'source quench';
    case 5:
      return describeRedirect(code, view.ipv4(4), readEmbeddedIpv4(view.slice(8)));
    case 8:
      return `echo request, id ${view.u16(4)}, seq ${view.u16(6)}`;
    case 9:
      return 'router advertisement';
    case 10:
      return 'router solicitation';
    case 11:
      if (code === 0) return 'time exceeded in-transit';
      return code === 1 ? 'ip reassembly time exceeded' : `time exceeded-#${code}`;
    case 12:
      return code === 0 ? `parameter problem - octet ${view.u8(4)}` : `parameter problem - code ${code}`;
    default:
      return `type-#${type}`;
  }
}

/** RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1; the MTU is RFC 1191's. */
function describeUnreachable(code: number, mtu: number, packet: Embedded): string {
  const { destination, protocol, transport } = packet;
  switch (code) {
    case 0:
      return `net ${destination} unreachable`;
    case 1:
      return `host ${destination} unreachable`;
    case 2:
      return `${destination} protocol ${protocol} unreachable`;
    case 3:
      return `${destination} ${transport ?? `protocol ${protocol}`} port ${packet.destinationPort()} unreachable`;
    case 4:
      return `${destination} unreachable - need to frag${mtu === 0 ? '' : ` (mtu ${mtu})`}`;
    default: {
      const [what, why] = UNREACHABLE.get(code) ?? ['', `#${code}`];
      return `${what}${destination} unreachable - ${why}`;
    }
  }
}

const UNREACHABLE: ReadonlyMap<number, readonly [what: string, why: string]> = new Map([
  [5, ['', 'source route failed']],
  [6, ['net ', 'unknown']],
  [7, ['host ', 'unknown']],
  [8, ['', 'source host isolated']],
  [9, ['net ', 'admin prohibited']],
  [10, ['host ', 'admin prohibited']],
  [11, ['net ', 'tos prohibited']],
  [12, ['host ', 'tos prohibited']],
  [13, ['host ', 'admin prohibited filter']],
  [14, ['host ', 'host precedence violation']],
  [15, ['host ', 'precedence cutoff']],
]);

function describeRedirect(code: number, gateway: string, { destination }: Embedded): string {
  switch (code) {
    case 0:
      return `redirect ${destination} to net ${gateway}`;
    case 1:
      return `redirect ${destination} to host ${gateway}`;
    case 2:
      return `redirect-tos ${destination} to net ${gateway}`;
    case 3:
      return `redirect-tos ${destination} to host ${gateway}`;
    default:
      return `redirect-#${code} ${destination} to ${gateway}`;
  }
}

/** RFC 4443. @throws CutShort */
export function describeIcmpv6(view: View): string {
  return `ICMP6, ${describeMessageIcmpv6(view)}, length ${view.length}`;
}

function describeMessageIcmpv6(view: View): string {
  const type = view.u8(0);
  const code = view.u8(1);
  switch (type) {
    case 1:
      return `destination unreachable, ${describeUnreachableIcmpv6(code, readEmbeddedIpv6(view.slice(8)))}`;
    case 2:
      return `packet too big, mtu ${view.u32(4)}`;
    case 3:
      return describeTimeExceeded(code, view);
    case 4: {
      const what = ['erroneous', 'next header', 'option'][code];
      return `parameter problem, ${what ?? `code-#${code}`} - octet ${view.u32(4)}`;
    }
    case 128:
      return `echo request, id ${view.u16(4)}, seq ${view.u16(6)}`;
    case 129:
      return `echo reply, id ${view.u16(4)}, seq ${view.u16(6)}`;
    // Multicast listener discovery: RFC 2710 and, with reports of type 143, RFC 3810.
    case 130:
      return `multicast listener query${view.length >= 28 ? ' v2' : ''} [gaddr ${view.ipv6(8)}]`;
    case 131:
      return `multicast listener report, addr: ${view.ipv6(8)}`;
    case 132:
      return `multicast listener done, addr: ${view.ipv6(8)}`;
    case 143:
      return `multicast listener report v2, ${view.u16(6)} group record(s)`;
    // Neighbour discovery: RFC 4861.
    case 133:
      return 'router solicitation';
    case 134:
      return 'router advertisement';
    case 135:
      return `neighbor solicitation, who has ${view.ipv6(8)}`;
    case 136:
      return `neighbor advertisement, tgt is ${view.ipv6(8)}`;
    case 137:
      return `redirect, ${view.ipv6(24)} to ${view.ipv6(8)}`;
    default:
      return `unknown icmp6 type (${type})`;
  }
}

function describeUnreachableIcmpv6(code: number, packet: Embedded): string {
  const { source, destination, protocol, transport } = packet;
  switch (code) {
    case 0:
      return `unreachable route ${destination}`;
    case 1:
      return `unreachable prohibited ${destination}`;
    case 2:
      return `beyond scope ${destination}, source address ${source}`;
    case 3:
      return `unreachable address ${destination}`;
    case 4:
      return `unreachable port, ${destination} ${transport ?? `protocol ${protocol}`} port ${packet.destinationPort()}`;
    default:
      return `unknown unreach code (${code})`;
  }
}

function describeTimeExceeded(code: number, view: View): string {
  if (code === 0) return `time exceeded in-transit for ${readEmbeddedIpv6(view.slice(8)).destination}`;
  return code === 1
    ? 'time exceeded in-transit (reassembly)'
    : `time exceeded in-transit, unknown code (${code})`;
}

/** RFC 1112, RFC 2236, RFC 3376. @throws CutShort */
export function describeIgmp(view: View): string {
  const type = view.u8(0);
  switch (type) {
    case 0x11:
      return describeQuery(view);
    case 0x12:
      return `igmp v1 report ${view.ipv4(4)}`;
    case 0x16:
      return `igmp v2 report ${view.ipv4(4)}`;
    case 0x17:
      return `igmp leave ${view.ipv4(4)}`;
    case 0x22:
      return `igmp v3 report, ${view.u16(6)} group record(s)`;
    default:
      return `igmp-${type}`;
  }
}

/** Versions of queries differ in length; version 1 has no response time. */
function describeQuery(view: View): string {
  if (view.length >= 12) return 'igmp query v3';
  return view.u8(1) === 0 ? 'igmp query v1' : 'igmp query v2';
}

/** The packet that an ICMP error quotes. */
interface Embedded {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** `udp` or `tcp`, which have ports; `null` for other protocols. */
  readonly transport: 'tcp' | 'udp' | null;
  /** @throws CutShort */
  destinationPort(): number;
}

/** @throws CutShort */
function readEmbeddedIpv4(view: View): Embedded {
  const headerLength = (view.u8(0) & 0x0f) * 4;
  return {
    source: view.ipv4(12),
    destination: view.ipv4(16),
    protocol: view.u8(9),
    transport: transportOf(view.u8(9)),
    destinationPort: () => view.u16(headerLength + 2),
  };
}

/** @throws CutShort */
function readEmbeddedIpv6(view: View): Embedded {
  return {
    source: view.ipv6(8),
    destination: view.ipv6(24),
    protocol: view.u8(6),
    transport: transportOf(view.u8(6)),
    destinationPort: () => view.u16(40 + 2),
  };
}

function transportOf(protocol: number): 'tcp' | 'udp' | null {
  if (protocol === 6) return 'tcp';
  return protocol === 17 ? 'udp' : null;
}
