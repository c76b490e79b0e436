/**
 * Describes a packet in one line, as `tcpdump -n -S` does: with numeric addresses, and with absolute sequence numbers, because no
 * state is kept between packets.
 */
import { describeIcmp, describeIcmpv6, describeIgmp } from './icmp.ts';
import { describeTcp, describeUdp } from './transport.ts';
import { CutShort, plain, readExtensions, View } from './view.ts';
import type { Payload } from './view.ts';

/**
 * Describes an IPv4 or IPv6 packet. Never throws, whatever the bytes are.
 *
 * @param bytes its first bytes
 * @param length its full length in bytes
 */
export function describePacket(bytes: Uint8Array, length: number): string {
  return describeIp(new View(bytes, length), 0);
}

/** Where a payload is. */
interface Place {
  /** How many packets enclose the one that contains it. */
  readonly nesting: number;
  /** Its rest is in other packets. */
  readonly isFragment: boolean;
}

/** How many levels of packets inside packets are decoded. */
const DEEPEST_NESTING = 4;

function describeIp(view: View, nesting: number): string {
  if (!view.has(1)) return '[|ip]';
  const version = view.u8(0) >> 4;
  if (version === 4) return `IP ${orCutShort('ip', () => describeIpv4(view, nesting))}`;
  if (version === 6) return `IP6 ${orCutShort('ip6', () => describeIpv6(view, nesting))}`;
  return `unknown ip ${version}`;
}

function describeIpv4(view: View, nesting: number): string {
  const headerLength = (view.u8(0) & 0x0f) * 4;
  const totalLength = view.u16(2);
  const flagsAndOffset = view.u16(6);
  const protocol = view.u8(9);
  const source = view.ipv4(12);
  const destination = view.ipv4(16);
  if (headerLength < 20) return `bad-hlen ${headerLength}`;
  if (totalLength < headerLength) return `bad-len ${totalLength}`;

  const missing = totalLength - view.length;
  const complaint = missing > 0 ? `truncated-ip - ${missing} bytes missing! ` : '';
  // Only the first fragment has the next header.
  if ((flagsAndOffset & 0x1fff) > 0) return `${complaint}${source} > ${destination}: ip-proto-${protocol}`;
  const isFragment = (flagsAndOffset & 0x2000) !== 0;
  const payload = describePayload(protocol, view.slice(headerLength, totalLength), { nesting, isFragment });
  return complaint + betweenAddresses(source, destination, '', payload);
}

function describeIpv6(view: View, nesting: number): string {
  const payloadLength = view.u16(4);
  const source = view.ipv6(8);
  const destination = view.ipv6(24);
  const missing = 40 + payloadLength - view.length;
  const complaint = missing > 0 ? `truncated-ip6 - ${missing} bytes missing! ` : '';
  const { text, protocol, rest, isFragment } = readExtensions(view.u8(6), view.slice(40, 40 + payloadLength));
  const payload = protocol === null ? plain('') : describePayload(protocol, rest, { nesting, isFragment });
  return complaint + betweenAddresses(source, destination, text, payload);
}

/** Ports follow the addresses, or the extension headers where there are any. */
function betweenAddresses(
  source: string,
  destination: string,
  extensions: string,
  { ports, text }: Payload,
): string {
  const addresses = `${source} > ${destination}: ${extensions}`;
  if (ports === null) return (addresses + text).trimEnd();
  if (extensions !== '') return `${addresses}${ports[0]} > ${ports[1]}: ${text}`;
  return `${source}.${ports[0]} > ${destination}.${ports[1]}: ${text}`;
}

function describePayload(protocol: number, view: View, { nesting, isFragment }: Place): Payload {
  switch (protocol) {
    case 1:
      return plain(orCutShort('icmp', () => describeIcmp(view)));
    case 2:
      return plain(orCutShort('igmp', () => describeIgmp(view)));
    case 4:
    case 41:
      return plain(nesting < DEEPEST_NESTING ? describeIp(view, nesting + 1) : `IP, length ${view.length}`);
    case 6:
      return describeTcp(view);
    case 17:
      return describeUdp(view, isFragment);
    case 50:
      return plain(orCutShort('esp', () => describeEsp(view)));
    case 58:
      return plain(orCutShort('icmp6', () => describeIcmpv6(view)));
    case 59:
      return plain('no next header');
    default: {
      const name = PROTOCOL_NAMES.get(protocol);
      return plain(
        name === undefined ? `ip-proto-${protocol} ${view.length}` : `${name}, length ${view.length}`,
      );
    }
  }
}

function describeEsp(view: View): string {
  return `ESP(spi=0x${view.hex(0, 4)},seq=0x${view.u32(4).toString(16)}), length ${view.length}`;
}

/** Protocols that are named but not decoded (IANA, Assigned Internet Protocol Numbers). */
const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [33, 'DCCP'],
  [47, 'GRE'],
  [51, 'AH'],
  [89, 'OSPF'],
  [103, 'PIM'],
  [112, 'VRRP'],
  [132, 'SCTP'],
]);

/** tcpdump prints `[|name]` for a header that is incomplete. */
function orCutShort(name: string, describe: () => string): string {
  try {
    return describe();
  } catch (error) {
    if (error instanceof CutShort) return `[|${name}]`;
    throw error;
  }
}
