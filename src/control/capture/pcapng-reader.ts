/** Reads what `pcapng.ts` writes, as it comes in. */
import type { BindingPacket } from '../../../binding.cjs';
import { BLOCK, DIRECTION, PACKET_HEADER, padded } from './pcapng.ts';

export type Packet = Omit<BindingPacket, 'data'> & { readonly data: Buffer };

/** The stream is not what a capture sends. */
export class MalformedCapture extends Error {}

export class PcapngReader {
  /** How many packets were read until now. */
  captured = 0;
  /** How many packets were lost until now, as the sender tells from time to time and at the end. */
  lost = 0;
  /** Whether the last block was that with the figures, which a complete capture ends with. */
  isComplete = false;
  #rest: Buffer = Buffer.alloc(0);

  /**
   * The blocks that are complete now, and the packets in them.
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
/** The largest IP packet, with room for the block around it. */
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

/** The flags, the end of the options, and the length once more. */
const OPTIONS = 16;

/** Behind the interface, the time, the option before it, and its own header. */
const LOST = 8 + 12 + 12 + 4;

function readLost(block: Buffer): number {
  if (block.length < LOST + 8) throw new MalformedCapture();
  return Number(block.readBigUInt64LE(LOST));
}
