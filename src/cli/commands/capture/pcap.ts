/** The pcap file format (draft-ietf-opsawg-pcap) with microseconds, as every program for packets reads it. */
import { LINKTYPE_RAW } from '../../../control/capture/pcapng.ts';
import type { Packet } from '../../../control/capture/pcapng-reader.ts';

const MAGIC = 0xa1b2_c3d4;
const FILE_HEADER = 24;
const RECORD_HEADER = 16;

export function beginPcap(snapLength: number): Buffer {
  const header = Buffer.alloc(FILE_HEADER);
  header.writeUInt32LE(MAGIC, 0);
  // Version 2.4.
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(snapLength, 16);
  header.writeUInt32LE(LINKTYPE_RAW, 20);
  return header;
}

export function pcapRecords(packets: readonly Packet[]): Buffer {
  const size = packets.reduce((sum, { data }) => sum + RECORD_HEADER + data.length, 0);
  const records = Buffer.allocUnsafe(size);
  let offset = 0;
  for (const { at, length, data } of packets) {
    const microseconds = Math.round(at * 1000);
    records.writeUInt32LE(Math.floor(microseconds / 1e6), offset);
    records.writeUInt32LE(microseconds % 1e6, offset + 4);
    records.writeUInt32LE(data.length, offset + 8);
    records.writeUInt32LE(length, offset + 12);
    records.set(data, offset + RECORD_HEADER);
    offset += RECORD_HEADER + data.length;
  }
  return records;
}
