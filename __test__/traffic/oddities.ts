/** Packets that must pass alone and exactly as they are. */
import { internetChecksum } from '../../testbed/packet/checksum.ts';
import { extensionHeader, fragmentHeader, ipPacket, PROTOCOL } from '../../testbed/packet/ip.ts';
import { TCP, udpDatagram } from '../../testbed/packet/transport.ts';
import type { Family } from '../../testbed/site.ts';
import type { Conversation } from './conversation.ts';

/** Makes one odd packet at this point of the conversation. */
export type Oddity = (conversation: Conversation) => Buffer;

/** ECN code points (RFC 3168). */
const ECN = { ect0: 2, ce: 3 } as const;

const MSS_OF_500 = Buffer.from([2, 4, 500 >> 8, 500 & 0xff]);
const TIMESTAMPS = Buffer.from([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
const ROUTER_ALERT = Buffer.from([148, 4, 0, 0]);
const RECORD_ROUTE = Buffer.from([7, 7, 4, 0, 0, 0, 0, 0]);
/** PadN: an option that means nothing (RFC 8200 section 4.2). */
const PADDING_OPTION = Buffer.from([1, 4, 0, 0, 0, 0]);
/** Type 2 (RFC 6275) with no stop left, so that hosts on the way let it pass. */
const ROUTE_WITHOUT_STOPS = Buffer.from([2, 0, 0, 0, 0, 0]);

const TWO_EXTENSION_HEADERS = Buffer.concat([
  extensionHeader(PROTOCOL.destinationOptions, PADDING_OPTION),
  extensionHeader(PROTOCOL.udp, PADDING_OPTION),
]);
/** As this tunnel itself, FOU and GUE variant 1 carry packets. */
const IPV4_IN_UDP = ipPacket(
  { source: '192.0.2.1', destination: '192.0.2.2', protocol: PROTOCOL.experiment },
  Buffer.alloc(100),
);
const VXLAN_HEADER = Buffer.from([0x08, 0, 0, 0, 0, 0, 7, 0]);
const NOTHING = Buffer.alloc(0);

/** Mergeable with nothing, not even with another of their kind. */
const NEVER: Readonly<Record<string, Oddity>> = {
  SYN: (c) => c.tcp({ flags: TCP.syn }),
  'SYN with an MSS': (c) => c.tcp({ flags: TCP.syn, options: MSS_OF_500 }),
  'SYN and ACK': (c) => c.tcp({ flags: TCP.syn | TCP.ack }),
  'FIN and ACK': (c) => c.tcp({ flags: TCP.fin | TCP.ack }),
  RST: (c) => c.tcp({ flags: TCP.rst }),
  'a pure ACK': (c) => c.tcp({}, {}, Buffer.alloc(0)),
  'urgent data': (c) => c.tcp({ flags: TCP.ack | TCP.urg, urgent: 3 }),
  'data without ACK': (c) => c.tcp({ flags: 0 }),
  CWR: (c) => c.tcp({ flags: TCP.ack | TCP.cwr }),
  ECE: (c) => c.tcp({ flags: TCP.ack | TCP.ece }),
  'a wrong TCP checksum': (c) => c.changedTcp((packet, at) => flip(packet, at + 16)),
  'TCP payload changed in transit': (c) => c.changedTcp((packet) => flip(packet, packet.length - 1)),
  'a TCP header longer than the packet': (c) =>
    c.changedTcp((packet, at) => packet.writeUInt8(0xf0, at + 12)),
  'a wrong UDP checksum': (c) => c.changedUdp((packet, at) => flip(packet, at + 6)),
  'UDP payload changed in transit': (c) => c.changedUdp((packet) => flip(packet, packet.length - 1)),
  'UDP without checksum': (c) => c.changedUdp((packet, at) => packet.writeUInt16BE(0, at + 6)),
  'UDP without payload': (c) => c.udp({}, Buffer.alloc(0)),
  'a UDP length shorter than the packet': (c) =>
    c.changedUdp((packet, at) => packet.writeUInt16BE(100, at + 4)),
  'a UDP length longer than the packet': (c) =>
    c.changedUdp((packet, at) => packet.writeUInt16BE(999, at + 4)),
  'a packet in UDP, without header': (c) => c.udp({}, IPV4_IN_UDP),
  VXLAN: (c) => c.other(PROTOCOL.udp, udpDatagram({ ...c.udpFlow, destinationPort: 4789 }, VXLAN_HEADER)),
  SCTP: (c) => c.other(PROTOCOL.sctp),
  GRE: (c) => c.other(PROTOCOL.gre, Buffer.from([0, 0, 0x08, 0])),
  'an unknown protocol': (c) => c.other(PROTOCOL.experiment),
};

const NEVER_IPV4: Readonly<Record<string, Oddity>> = {
  ICMP: (c) => c.other(PROTOCOL.icmp, Buffer.from([8, 0, 0, 0])),
  'router alert on TCP': (c) => c.tcp({}, { options: ROUTER_ALERT }),
  'router alert on UDP': (c) => c.udp({ options: ROUTER_ALERT }),
  'record route on UDP': (c) => c.udp({ options: RECORD_ROUTE }),
  'the first fragment of a datagram': (c) => c.udp({ moreFragments: true }),
  'the first fragment of a segment': (c) => c.tcp({}, { moreFragments: true }),
  'a middle fragment': (c) => c.other(PROTOCOL.udp, NOTHING, { moreFragments: true, fragmentOffset: 800 }),
  'the last fragment': (c) => c.other(PROTOCOL.tcp, NOTHING, { fragmentOffset: 1600 }),
  'the reserved bit': (c) => c.changedUdp(setReservedBit),
  'a wrong header checksum': (c) => c.changedTcp((packet) => flip(packet, 10)),
};

const NEVER_IPV6: Readonly<Record<string, Oddity>> = {
  ICMPv6: (c) => c.other(PROTOCOL.icmpv6, Buffer.from([128, 0, 0, 0])),
  'hop-by-hop options': (c) => c.other(PROTOCOL.hopByHop, extensionHeader(PROTOCOL.udp, PADDING_OPTION)),
  'destination options': (c) =>
    c.other(PROTOCOL.destinationOptions, extensionHeader(PROTOCOL.tcp, PADDING_OPTION)),
  'a routing header': (c) => c.other(PROTOCOL.routing, extensionHeader(PROTOCOL.udp, ROUTE_WITHOUT_STOPS)),
  'two extension headers': (c) => c.other(PROTOCOL.hopByHop, TWO_EXTENSION_HEADERS),
  'the first fragment': (c) => c.other(PROTOCOL.fragment, fragmentHeader(PROTOCOL.udp, 0, true, 9)),
  'a middle fragment': (c) => c.other(PROTOCOL.fragment, fragmentHeader(PROTOCOL.udp, 800, true, 9)),
  'the last fragment': (c) => c.other(PROTOCOL.fragment, fragmentHeader(PROTOCOL.tcp, 1600, false, 9)),
  'a fragment that is complete': (c) => c.other(PROTOCOL.fragment, fragmentHeader(PROTOCOL.udp, 0, false, 9)),
  'no next header': (c) => c.other(PROTOCOL.noNextHeader),
};

/** Plain packets that differ from those before and after them in a way that merging would lose. */
const AMONG_OTHERS: Readonly<Record<string, Oddity>> = {
  'another ACK number': (c) => c.tcp({ acknowledgement: 99 }),
  'another window': (c) => c.tcp({ window: 999 }),
  'TCP options': (c) => c.tcp({ options: TIMESTAMPS }),
  'a segment from later in the stream': (c) => c.tcp({ sequence: 0x8000_0000 }),
  'a segment marked CE': (c) => c.tcp({}, { tos: ECN.ce }),
  'a segment marked ECT(0)': (c) => c.tcp({}, { tos: ECN.ect0 }),
  'a datagram marked CE': (c) => c.udp({ tos: ECN.ce }),
  'a segment of another class': (c) => c.tcp({}, { tos: 0xb8 }),
  'a datagram of another class': (c) => c.udp({ tos: 0xb8 }),
  'a segment with another TTL': (c) => c.tcp({}, { ttl: 63 }),
  'a datagram with another TTL': (c) => c.udp({ ttl: 63 }),
};

const AMONG_OTHERS_IPV4: Readonly<Record<string, Oddity>> = {
  'a segment with DF': (c) => c.tcp({}, { dontFragment: true }),
  'a datagram with DF': (c) => c.udp({ dontFragment: true }),
  'a segment with an ID out of sequence': (c) => c.tcp({}, { id: 60_000 }),
  'a datagram with an ID out of sequence': (c) => c.udp({ id: 60_000 }),
};

const AMONG_OTHERS_IPV6: Readonly<Record<string, Oddity>> = {
  'a segment with another flow label': (c) => c.tcp({}, { flowLabel: 0xabcde }),
  'a datagram with another flow label': (c) => c.udp({ flowLabel: 0xabcde }),
};

export const NEVER_MERGED: Readonly<Record<Family, Readonly<Record<string, Oddity>>>> = {
  ipv4: { ...NEVER, ...NEVER_IPV4 },
  ipv6: { ...NEVER, ...NEVER_IPV6 },
};

export const NOT_MERGED_AMONG_OTHERS: Readonly<Record<Family, Readonly<Record<string, Oddity>>>> = {
  ipv4: { ...AMONG_OTHERS, ...AMONG_OTHERS_IPV4 },
  ipv6: { ...AMONG_OTHERS, ...AMONG_OTHERS_IPV6 },
};

function flip(packet: Buffer, at: number): void {
  packet.writeUInt8(packet.readUInt8(at) ^ 0xff, at);
}

function setReservedBit(packet: Buffer): void {
  packet.writeUInt8(packet.readUInt8(6) | 0x80, 6);
  packet.writeUInt16BE(0, 10);
  packet.writeUInt16BE(internetChecksum(packet.subarray(0, 20)), 10);
}
