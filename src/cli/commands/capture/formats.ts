/** Ways to write packets down. */
import type { Packet } from '../../../control/capture/pcapng-reader.ts';
import { describePacket } from '../../../decode/packet.ts';
import { formatPacketLine } from '../../packet-line.ts';
import { styleFor } from '../../style.ts';
import { beginPcap, pcapRecords } from './pcap.ts';

export interface Format {
  /** What comes before the packets. */
  readonly begin: (snapLength: number) => Buffer | string;
  /** @param blocks the same packets as they came: as blocks of a pcapng file, with those that are no packets */
  readonly packets: (packets: readonly Packet[], blocks: Buffer) => Buffer | string;
}

export const PCAP: Format = { begin: beginPcap, packets: pcapRecords };

/** They come in this format already. */
export const PCAPNG: Format = { begin: () => '', packets: (_packets, blocks) => blocks };

export const JSON_LINES: Format = {
  begin: () => '',
  packets: (packets) => packets.map((packet) => `${JSON.stringify(toObject(packet))}\n`).join(''),
};

export function linesFor(stream: NodeJS.WriteStream): Format {
  const style = styleFor(stream);
  return {
    begin: () => '',
    packets: (packets) => packets.map((packet) => formatPacketLine(packet, style)).join(''),
  };
}

function toObject({ at, outbound, length, data }: Packet): object {
  return {
    timestamp: at,
    direction: outbound ? 'out' : 'in',
    length,
    description: describePacket(data, length),
    data: data.toString('base64'),
  };
}
