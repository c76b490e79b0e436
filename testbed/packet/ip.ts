/** IPv4 and IPv6 packets, byte by byte. */
import { isIPv6 } from 'node:net';
import { internetChecksum } from './checksum.ts';

/** Protocol numbers (IANA), which are the next-header values of IPv6 too. */
export const PROTOCOL = {
  hopByHop: 0,
  icmp: 1,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  gre: 47,
  icmpv6: 58,
  noNextHeader: 59,
  destinationOptions: 60,
  sctp: 132,
  /** Set aside for experiments (RFC 3692). */
  experiment: 253,
} as const;

export interface IpFields {
  readonly source: string;
  readonly destination: string;
  /** Protocol of the payload, or of its first extension header. */
  readonly protocol: number;
  /** TOS or traffic class, ECN included. Default 0. */
  readonly tos?: number;
  /** TTL or hop limit. Default 64. */
  readonly ttl?: number;
  /** IPv6 only. Default 0. */
  readonly flowLabel?: number;
  /** IPv4 only. Default 0. */
  readonly id?: number;
  /** IPv4 only. Default false. */
  readonly dontFragment?: boolean;
  /** IPv4 only. Default false. */
  readonly moreFragments?: boolean;
  /** IPv4 only: bytes before this fragment, a multiple of 8. Default 0. */
  readonly fragmentOffset?: number;
  /** IPv4 only; a multiple of 4 bytes. Default none. */
  readonly options?: Uint8Array;
}

/** A packet of the family of its addresses. */
export function ipPacket(fields: IpFields, payload: Uint8Array): Buffer {
  return isIPv6(fields.source) ? ipv6Packet(fields, payload) : ipv4Packet(fields, payload);
}

function ipv4Packet(fields: IpFields, payload: Uint8Array): Buffer {
  const { source, destination, protocol, tos = 0, ttl = 64, id = 0, options = new Uint8Array() } = fields;
  const flags = (fields.dontFragment === true ? 0x4000 : 0) | (fields.moreFragments === true ? 0x2000 : 0);
  const header = Buffer.concat([Buffer.alloc(20), options]);
  header[0] = 0x40 | (header.length / 4);
  header[1] = tos;
  header.writeUInt16BE(header.length + payload.length, 2);
  header.writeUInt16BE(id, 4);
  header.writeUInt16BE(flags | ((fields.fragmentOffset ?? 0) / 8), 6);
  header[8] = ttl;
  header[9] = protocol;
  header.set(addressBytes(source), 12);
  header.set(addressBytes(destination), 16);
  header.writeUInt16BE(internetChecksum(header), 10);
  return Buffer.concat([header, payload]);
}

function ipv6Packet(fields: IpFields, payload: Uint8Array): Buffer {
  const { source, destination, protocol, tos = 0, ttl = 64, flowLabel = 0 } = fields;
  const header = Buffer.alloc(40);
  header.writeUInt32BE((6 * 2 ** 28 + tos * 2 ** 20 + flowLabel) >>> 0, 0);
  header.writeUInt16BE(payload.length, 4);
  header[6] = protocol;
  header[7] = ttl;
  header.set(addressBytes(source), 8);
  header.set(addressBytes(destination), 24);
  return Buffer.concat([header, payload]);
}

/** The bytes of an address in numbers: 4 or 16. */
export function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  const [before = [], after = []] = address
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const bytes = Buffer.alloc(16);
  for (const [index, group] of [...before, ...zeros, ...after].entries()) {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  }
  return bytes;
}

/** The range of a transport checksum in addition to the transport itself (RFC 9293 section 3.1, RFC 8200 section 8.1). */
export function pseudoHeader(
  source: Uint8Array,
  destination: Uint8Array,
  protocol: number,
  length: number,
): Buffer {
  const end = Buffer.alloc(8);
  end.writeUInt32BE(length, 0);
  end[7] = protocol;
  return Buffer.concat([source, destination, end]);
}

/** An IPv6 extension header: `content` fills it up to a multiple of 8 bytes, minus the two for the next header and the length. */
export function extensionHeader(next: number, content: Uint8Array): Buffer {
  const length = content.length + 2;
  if (length % 8 !== 0) throw new RangeError(`an extension header of ${length} bytes`);
  return Buffer.concat([Buffer.from([next, length / 8 - 1]), content]);
}

/** The fragment header of IPv6 (RFC 8200 section 4.5). */
export function fragmentHeader(next: number, offset: number, more: boolean, id: number): Buffer {
  const header = Buffer.alloc(8);
  header[0] = next;
  header.writeUInt16BE(offset | (more ? 1 : 0), 2);
  header.writeUInt32BE(id, 4);
  return header;
}
