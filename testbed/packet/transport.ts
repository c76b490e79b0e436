/** UDP datagrams and TCP segments, with correct checksums unless requested otherwise. */
import { internetChecksum, onesComplementSum, udpChecksum } from './checksum.ts';
import { addressBytes, ipPacket, PROTOCOL, pseudoHeader } from './ip.ts';
import type { IpFields } from './ip.ts';

/** One flow: its packets must arrive in the order in which they were sent. */
export interface Flow {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** The fields of the IP header that a transport does not determine. */
export type IpOptions = Omit<IpFields, 'source' | 'destination' | 'protocol'>;

export interface TcpFields {
  readonly sequence: number;
  /** Default 1. */
  readonly acknowledgement?: number;
  /** Sum of `TCP` values. Default ACK. */
  readonly flags?: number;
  /** Default 1000. */
  readonly window?: number;
  /** Default 0. */
  readonly urgent?: number;
  /** A multiple of 4 bytes. Default none. */
  readonly options?: Uint8Array;
}

/** Flags of the TCP header. */
export const TCP = {
  fin: 0x01,
  syn: 0x02,
  rst: 0x04,
  psh: 0x08,
  ack: 0x10,
  urg: 0x20,
  ece: 0x40,
  cwr: 0x80,
} as const;

/** Where the checksum is, bytes from the start of the transport header. */
export const CHECKSUM_AT = { [PROTOCOL.tcp]: 16, [PROTOCOL.udp]: 6 } as const;

export function udpDatagram(flow: Flow, payload: Uint8Array): Buffer {
  const datagram = Buffer.concat([Buffer.alloc(8), payload]);
  datagram.writeUInt16BE(flow.sourcePort, 0);
  datagram.writeUInt16BE(flow.destinationPort, 2);
  datagram.writeUInt16BE(datagram.length, 4);
  const covered = Buffer.concat([pseudoHeaderOf(flow, PROTOCOL.udp, datagram.length), datagram]);
  datagram.writeUInt16BE(udpChecksum(covered), CHECKSUM_AT[PROTOCOL.udp]);
  return datagram;
}

export function tcpSegment(flow: Flow, fields: TcpFields, payload: Uint8Array): Buffer {
  const { sequence, acknowledgement = 1, flags = TCP.ack, window = 1000, urgent = 0 } = fields;
  const options = fields.options ?? new Uint8Array();
  const segment = Buffer.concat([Buffer.alloc(20), options, payload]);
  segment.writeUInt16BE(flow.sourcePort, 0);
  segment.writeUInt16BE(flow.destinationPort, 2);
  segment.writeUInt32BE(sequence % 2 ** 32, 4);
  segment.writeUInt32BE(acknowledgement, 8);
  segment[12] = (20 + options.length) * 4;
  segment[13] = flags;
  segment.writeUInt16BE(window, 14);
  segment.writeUInt16BE(urgent, 18);
  const covered = Buffer.concat([pseudoHeaderOf(flow, PROTOCOL.tcp, segment.length), segment]);
  segment.writeUInt16BE(internetChecksum(covered), CHECKSUM_AT[PROTOCOL.tcp]);
  return segment;
}

export function udpPacket(flow: Flow, payload: Uint8Array, ip: IpOptions = {}): Buffer {
  return ipPacket({ ...ip, ...addresses(flow), protocol: PROTOCOL.udp }, udpDatagram(flow, payload));
}

export function tcpPacket(flow: Flow, fields: TcpFields, payload: Uint8Array, ip: IpOptions = {}): Buffer {
  const segment = tcpSegment(flow, fields, payload);
  return ipPacket({ ...ip, ...addresses(flow), protocol: PROTOCOL.tcp }, segment);
}

/** A payload of `size` (even) bytes for which the checksum of the flow's datagram computes to zero. */
export function payloadThatSumsToZero(flow: Flow, size: number): Buffer {
  const payload = Buffer.alloc(size, 7);
  payload.writeUInt16BE(0, size - 2);
  const datagram = udpDatagram(flow, payload);
  datagram.writeUInt16BE(0, CHECKSUM_AT[PROTOCOL.udp]);
  const covered = Buffer.concat([pseudoHeaderOf(flow, PROTOCOL.udp, datagram.length), datagram]);
  payload.writeUInt16BE(0xffff - onesComplementSum(covered), size - 2);
  return payload;
}

function pseudoHeaderOf(flow: Flow, protocol: number, length: number): Buffer {
  return pseudoHeader(addressBytes(flow.source), addressBytes(flow.destination), protocol, length);
}

function addresses({ source, destination }: Flow): Pick<Flow, 'source' | 'destination'> {
  return { source, destination };
}
