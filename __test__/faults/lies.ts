/** Datagrams that are no packets, or packets of an unusual kind. */
import { extensionHeader, ipPacket, PROTOCOL } from '../../testbed/packet/ip.ts';

const IPV4 = { source: '10.0.2.2', destination: '10.0.2.77', protocol: PROTOCOL.experiment };
const IPV6 = { source: 'fd00:2::2', destination: 'fd00:2::77', protocol: PROTOCOL.experiment };

/** The largest payload of a UDP datagram over IPv4. */
const LARGEST = 65_507;

const PADDING_OPTION = Buffer.from([1, 4, 0, 0, 0, 0]);
/** A jumbo payload of 65,536 bytes (RFC 2675). */
const JUMBO_OPTION = Buffer.from([0xc2, 4, 0, 1, 0, 0]);

/**
 * The length of the packet that a datagram holds, bytes, or `null` when it holds none: the plain reading of RFC 791 and
 * RFC 8200 that the tunnel is held against.
 */
export function packetLength(datagram: Buffer): number | null {
  const version = datagram.length === 0 ? 0 : datagram.readUInt8(0) >> 4;
  if (version === 4 && datagram.length >= 20) {
    const headerLength = (datagram.readUInt8(0) & 0x0f) * 4;
    const length = datagram.readUInt16BE(2);
    return headerLength >= 20 && length >= headerLength && length <= datagram.length ? length : null;
  }
  if (version === 6 && datagram.length >= 40) {
    const payloadLength = datagram.readUInt16BE(4);
    const isJumbo = payloadLength === 0 && datagram.readUInt8(6) === PROTOCOL.hopByHop;
    return !isJumbo && 40 + payloadLength <= datagram.length ? 40 + payloadLength : null;
  }
  return null;
}

/** False headers of every kind, and valid ones that look false. */
export function lies(): Readonly<Record<string, Buffer>> {
  const ipv4 = (): Buffer => ipPacket(IPV4, Buffer.alloc(40, 0x11));
  const ipv6 = (): Buffer => ipPacket(IPV6, Buffer.alloc(40, 0x11));
  return {
    'one byte': Buffer.from([0x45]),
    'an IPv4 header cut short': ipv4().subarray(0, 19),
    'an IPv6 header cut short': ipv6().subarray(0, 39),
    'an IPv4 packet cut short': ipv4().subarray(0, 59),
    'an IPv6 packet cut short': ipv6().subarray(0, 79),
    'a total length of zero': changed(ipv4(), (packet) => packet.writeUInt16BE(0, 2)),
    'a total length shorter than the header': changed(ipv4(), (packet) => packet.writeUInt16BE(19, 2)),
    'a total length of the header alone': changed(ipv4(), (packet) => packet.writeUInt16BE(20, 2)),
    'a total length one short': changed(ipv4(), (packet) => packet.writeUInt16BE(59, 2)),
    'a total length one too long': changed(ipv4(), (packet) => packet.writeUInt16BE(61, 2)),
    'the longest total length': changed(ipv4(), (packet) => packet.writeUInt16BE(0xffff, 2)),
    'a header length of zero': changed(ipv4(), (packet) => packet.writeUInt8(0x40, 0)),
    'a header length under five': changed(ipv4(), (packet) => packet.writeUInt8(0x44, 0)),
    'a header length of the whole packet': changed(ipv4(), (packet) => packet.writeUInt8(0x4f, 0)),
    'a header length past the end': changed(ipv4().subarray(0, 56), (packet) => {
      packet.writeUInt8(0x4f, 0);
      packet.writeUInt16BE(56, 2);
    }),
    'a payload length of zero': changed(ipv6(), (packet) => packet.writeUInt16BE(0, 4)),
    'a payload length one short': changed(ipv6(), (packet) => packet.writeUInt16BE(39, 4)),
    'a payload length one too long': changed(ipv6(), (packet) => packet.writeUInt16BE(41, 4)),
    'the longest payload length': changed(ipv6(), (packet) => packet.writeUInt16BE(0xffff, 4)),
    'a jumbo payload': changed(ipPacket({ ...IPV6, protocol: PROTOCOL.hopByHop }, jumboPayload()), (packet) =>
      packet.writeUInt16BE(0, 4),
    ),
    'a long chain of extension headers': ipPacket({ ...IPV6, protocol: PROTOCOL.hopByHop }, chain(100)),
    'a chain of extension headers that goes on past the end': ipPacket(
      { ...IPV6, protocol: PROTOCOL.hopByHop },
      chain(100).subarray(0, -8),
    ),
    'an extension header longer than the packet': ipPacket(
      { ...IPV6, protocol: PROTOCOL.destinationOptions },
      Buffer.from([PROTOCOL.udp, 255, 0, 0, 0, 0, 0, 0]),
    ),
    'the largest datagram, a packet': ipPacket(IPV4, Buffer.alloc(LARGEST - 20, 0x11)),
    'the largest datagram, no packet': Buffer.alloc(LARGEST, 0x11),
    'the largest datagram, a small packet in front': Buffer.concat([
      ipv4(),
      Buffer.alloc(LARGEST - 60, 0x11),
    ]),
  };
}

/** Datagrams of each first byte and each length up to 101 whose other bytes are random, the same ones in each run. */
export function randomDatagrams(): Buffer[] {
  const random = randomBytes(1);
  return Array.from({ length: 101 * 256 }, (_, index) => {
    const datagram = Buffer.from(Array.from({ length: 1 + Math.floor(index / 256) }, random));
    datagram[0] = index % 256;
    return datagram;
  });
}

/** A linear congruential generator (Numerical Recipes); its upper bits are good enough to fill packets. */
function randomBytes(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  };
}

/** Each header announces another of its kind, the last one a UDP header that is not there. */
function chain(length: number): Buffer {
  const headers = Array.from({ length: length - 1 }, () =>
    extensionHeader(PROTOCOL.destinationOptions, PADDING_OPTION),
  );
  return Buffer.concat([...headers, extensionHeader(PROTOCOL.udp, PADDING_OPTION)]);
}

function jumboPayload(): Buffer {
  return Buffer.concat([extensionHeader(PROTOCOL.noNextHeader, JUMBO_OPTION), Buffer.alloc(32)]);
}

function changed(packet: Buffer, change: (packet: Buffer) => void): Buffer {
  change(packet);
  return packet;
}
