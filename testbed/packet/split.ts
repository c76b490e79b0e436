/**
 * The packets that a captured one represents: a capture shows a super-packet where the tunnel merged several, and checksums
 * that are still to be completed. Implemented as simply as possible, since tests compare the tunnel with it.
 */
import { internetChecksum, udpChecksum } from './checksum.ts';
import { PROTOCOL, pseudoHeader } from './ip.ts';
import { CHECKSUM_AT, TCP } from './transport.ts';

/** A packet and its remaining offloaded work, as in a virtio-net header. */
export interface Unfinished {
  readonly bytes: Buffer;
  /** `VIRTIO_NET_HDR_GSO_…` of linux/virtio_net.h; 0 for a single packet. */
  readonly gsoType: number;
  /** Payload bytes of each packet but the last. */
  readonly gsoSize: number;
  /** Where summing begins and, from there, the result goes; `null` when nothing is left to sum. */
  readonly checksum: { readonly start: number; readonly offset: number } | null;
}

const GSO_NONE = 0;
const GSO_UDP_L4 = 5;

/** Differences between the families. */
const FAMILY = {
  4: { headerLength: 20, addressesAt: 12, addressLength: 4 },
  6: { headerLength: 40, addressesAt: 8, addressLength: 16 },
} as const;

export function split(captured: Unfinished): readonly Buffer[] {
  return captured.gsoType === GSO_NONE ? [complete(captured)] : cut(captured);
}

function complete({ bytes, checksum }: Unfinished): Buffer {
  if (checksum === null) return bytes;
  const packet = Buffer.from(bytes);
  const covered = packet.subarray(checksum.start);
  const isUdp = checksum.offset === CHECKSUM_AT[PROTOCOL.udp];
  covered.writeUInt16BE((isUdp ? udpChecksum : internetChecksum)(covered), checksum.offset);
  return packet;
}

/** Of headers without IPv4 options or IPv6 extension headers: the tunnel merges no others. */
function cut({ bytes, gsoType, gsoSize }: Unfinished): readonly Buffer[] {
  const version = bytes.readUInt8(0) >> 4 === 6 ? 6 : 4;
  const { headerLength } = FAMILY[version];
  const protocol = gsoType === GSO_UDP_L4 ? PROTOCOL.udp : PROTOCOL.tcp;
  const isTcp = protocol === PROTOCOL.tcp;
  const transportLength = isTcp ? (bytes.readUInt8(headerLength + 12) >> 4) * 4 : 8;
  const header = bytes.subarray(0, headerLength + transportLength);
  const payload = bytes.subarray(header.length);
  return Array.from({ length: Math.ceil(payload.length / gsoSize) }, (_, index) => {
    const offset = index * gsoSize;
    const packet = Buffer.concat([header, payload.subarray(offset, offset + gsoSize)]);
    const isLast = offset + gsoSize >= payload.length;
    const transport = packet.subarray(headerLength);
    if (isTcp) continueTcp(transport, offset, isLast);
    else transport.writeUInt16BE(transport.length, 4);
    if (version === 4) finishIpv4(packet, index);
    else packet.writeUInt16BE(transport.length, 4);
    finishTransport(packet, version, protocol);
    return packet;
  });
}

function continueTcp(segment: Buffer, offset: number, isLast: boolean): void {
  segment.writeUInt32BE((segment.readUInt32BE(4) + offset) % 2 ** 32, 4);
  const onlyInLast = isLast ? 0 : TCP.fin | TCP.psh;
  const onlyInFirst = offset === 0 ? 0 : TCP.cwr;
  segment.writeUInt8(segment.readUInt8(13) & ~(onlyInLast | onlyInFirst), 13);
}

function finishIpv4(packet: Buffer, index: number): void {
  packet.writeUInt16BE(packet.length, 2);
  packet.writeUInt16BE((packet.readUInt16BE(4) + index) % 2 ** 16, 4);
  packet.writeUInt16BE(0, 10);
  packet.writeUInt16BE(internetChecksum(packet.subarray(0, FAMILY[4].headerLength)), 10);
}

function finishTransport(packet: Buffer, version: 4 | 6, protocol: 6 | 17): void {
  const { headerLength, addressesAt, addressLength } = FAMILY[version];
  const source = packet.subarray(addressesAt, addressesAt + addressLength);
  const destination = packet.subarray(addressesAt + addressLength, addressesAt + 2 * addressLength);
  const transport = packet.subarray(headerLength);
  transport.writeUInt16BE(0, CHECKSUM_AT[protocol]);
  const covered = Buffer.concat([pseudoHeader(source, destination, protocol, transport.length), transport]);
  const sum = protocol === PROTOCOL.udp ? udpChecksum(covered) : internetChecksum(covered);
  transport.writeUInt16BE(sum, CHECKSUM_AT[protocol]);
}
