/**
 * The pcapng format (draft-ietf-opsawg-pcapng), in which captures are sent over the control socket: unlike pcap it has the direction
 * of each packet, and the number of lost ones.
 */
import type { BindingPacket } from '../../binding.cjs';

const BLOCK = { section: 0x0a0d_0d0a, interface: 1, statistics: 5, packet: 6 } as const;

/** Bytes of a packet block before its data: type, length, interface, timestamp, captured and original length. */
const PACKET_HEADER = 28;

/** The first two bits of `epb_flags`. */
const DIRECTION = { inbound: 1, outbound: 2 } as const;

/** Packets begin with their IPv4 or IPv6 header. */
export const LINKTYPE_RAW = 101;

const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;
const OPTION = { application: 4, name: 2, flags: 2, received: 4, dropped: 5 } as const;
const END_OF_OPTIONS = Buffer.alloc(4);

/** The blocks before the first packet. */
export function beginPcapng(application: string, device: string, snapLength: number): Buffer {
  const section = Buffer.alloc(16);
  section.writeUInt32LE(BYTE_ORDER_MAGIC, 0);
  section.writeUInt16LE(1, 4);
  // The length of the section is unknown.
  section.fill(0xff, 8);
  const link = Buffer.alloc(8);
  link.writeUInt16LE(LINKTYPE_RAW, 0);
  link.writeUInt32LE(snapLength, 4);
  return Buffer.concat([
    toBlock(BLOCK.section, section, option(OPTION.application, Buffer.from(application)), END_OF_OPTIONS),
    toBlock(BLOCK.interface, link, option(OPTION.name, Buffer.from(device)), END_OF_OPTIONS),
  ]);
}

/** Written into a single buffer, because there may be many packets. */
export function packetBlocks(packets: readonly BindingPacket[]): Buffer {
  const size = packets.reduce((sum, { data }) => sum + packetBlockLength(data.length), 0);
  const blocks = Buffer.allocUnsafe(size);
  let offset = 0;
  for (const packet of packets) offset = writePacketBlock(blocks, offset, packet);
  return blocks;
}

/** The numbers of captured and lost packets so far. */
export function statisticsBlock(captured: number, lost: number): Buffer {
  const body = Buffer.alloc(12);
  writeTime(body, 4, Date.now());
  return toBlock(
    BLOCK.statistics,
    body,
    option(OPTION.received, uint64(captured + lost)),
    option(OPTION.dropped, uint64(lost)),
    END_OF_OPTIONS,
  );
}

/** Bytes of the flags option and of the end of options. */
const PACKET_OPTIONS = 12;

function packetBlockLength(captured: number): number {
  return PACKET_HEADER + padded(captured) + PACKET_OPTIONS + 4;
}

function writePacketBlock(
  target: Buffer,
  offset: number,
  { at, length, data, outbound }: BindingPacket,
): number {
  const total = packetBlockLength(data.length);
  target.writeUInt32LE(BLOCK.packet, offset);
  target.writeUInt32LE(total, offset + 4);
  target.writeUInt32LE(0, offset + 8);
  writeTime(target, offset + 12, at);
  target.writeUInt32LE(data.length, offset + 20);
  target.writeUInt32LE(length, offset + 24);
  target.set(data, offset + PACKET_HEADER);
  const options = offset + PACKET_HEADER + padded(data.length);
  target.fill(0, offset + PACKET_HEADER + data.length, options);
  target.writeUInt16LE(OPTION.flags, options);
  target.writeUInt16LE(4, options + 2);
  target.writeUInt32LE(outbound ? DIRECTION.outbound : DIRECTION.inbound, options + 4);
  target.writeUInt32LE(0, options + 8);
  target.writeUInt32LE(total, offset + total - 4);
  return offset + total;
}

function toBlock(type: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const total = body.length + 12;
  const [head, tail] = [Buffer.alloc(8), Buffer.alloc(4)];
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(total, 4);
  tail.writeUInt32LE(total, 0);
  return Buffer.concat([head, body, tail]);
}

function option(code: number, value: Buffer): Buffer {
  const whole = Buffer.alloc(4 + padded(value.length));
  whole.writeUInt16LE(code, 0);
  whole.writeUInt16LE(value.length, 2);
  value.copy(whole, 4);
  return whole;
}

/** Everything is aligned to four bytes. */
function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}

/** Writes microseconds since the epoch, upper 32 bits first. */
function writeTime(target: Buffer, offset: number, ms: number): void {
  const microseconds = Math.floor(ms * 1000);
  target.writeUInt32LE(Math.floor(microseconds / 2 ** 32), offset);
  target.writeUInt32LE(microseconds % 2 ** 32, offset + 4);
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export type Packet = Omit<BindingPacket, 'data'> & { readonly data: Buffer };

/** The stream is not a capture as written here. */
export class MalformedCapture extends Error {}

/** Reads a capture as written here, chunk by chunk. */
export class PcapngReader {
  /** Packets read so far. */
  captured = 0;
  /** Packets lost so far, by the last statistics block. */
  lost = 0;
  /** Whether the last block held statistics, as at the end of a complete capture. */
  isComplete = false;
  #rest: Buffer = Buffer.alloc(0);

  /**
   * Returns the blocks that this chunk completes, and the packets in them.
   *
   * @throws MalformedCapture
   */
  read(chunk: Buffer): { readonly packets: Packet[]; readonly blocks: Buffer } {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const packets: Packet[] = [];
    let offset = 0;
    while (bytes.length - offset >= BLOCK_HEADER) {
      const total = bytes.readUInt32LE(offset + 4);
      if (total < SHORTEST_BLOCK || total > LONGEST_BLOCK || total % 4 !== 0) throw new MalformedCapture();
      if (bytes.length - offset < total) break;
      const packet = this.#readBlock(bytes.subarray(offset, offset + total));
      if (packet !== null) packets.push(packet);
      offset += total;
    }
    this.#rest = bytes.subarray(offset);
    this.captured += packets.length;
    return { packets, blocks: bytes.subarray(0, offset) };
  }

  #readBlock(block: Buffer): Packet | null {
    const type = block.readUInt32LE(0);
    this.isComplete = type === BLOCK.statistics;
    if (type === BLOCK.packet) return readPacket(block);
    if (type === BLOCK.statistics) this.lost = readLost(block);
    return null;
  }
}

/** Type and length. */
const BLOCK_HEADER = 8;
const SHORTEST_BLOCK = 12;
/** The largest IP packet and the block around it. */
const LONGEST_BLOCK = 70_000;

function readPacket(block: Buffer): Packet {
  if (block.length < PACKET_HEADER + OPTIONS) throw new MalformedCapture();
  const microseconds = block.readUInt32LE(12) * 2 ** 32 + block.readUInt32LE(16);
  const captured = block.readUInt32LE(20);
  const flags = PACKET_HEADER + padded(captured) + 4;
  if (flags + 4 > block.length) throw new MalformedCapture();
  return {
    at: microseconds / 1000,
    length: block.readUInt32LE(24),
    data: block.subarray(PACKET_HEADER, PACKET_HEADER + captured),
    outbound: (block.readUInt32LE(flags) & 3) === DIRECTION.outbound,
  };
}

/** Bytes of the flags option, the end of options, and the trailing length. */
const OPTIONS = 16;

/** Offset of the lost packets: after the header, interface and timestamp, the option before it, and its own header. */
const LOST = 8 + 12 + 12 + 4;

function readLost(block: Buffer): number {
  if (block.length < LOST + 8) throw new MalformedCapture();
  return Number(block.readBigUInt64LE(LOST));
}
