/** Ways to write packets down. */
import { open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { LINKTYPE_RAW } from '../../control/pcapng.ts';
import type { Packet } from '../../control/pcapng.ts';
import { describePacket } from '../../decode/packet.ts';
import { describeSystemError } from '../../errors.ts';
import { formatPacketLine } from '../packet-lines.ts';
import { styleFor } from '../terminal.ts';
import type { Target } from './capture.ts';

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

// The pcap file format (draft-ietf-opsawg-pcap) with microseconds, as every program for packets reads it.

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

// Where captured packets go: a file, or standard output.

/** The output cannot be written. */
export class OutputError extends Error {}

/** Nobody reads the output any more, which is a way to say that one has seen enough. */
export class ReaderGone extends Error {}

export class Output {
  /** ` to x.pcap`; empty for standard output. */
  readonly place: string;
  readonly #stream: Writable;
  readonly #format: Format;

  private constructor(stream: Writable, format: Format, path: string | null) {
    this.place = path === null ? '' : ` to ${path}`;
    this.#stream = stream;
    this.#format = format;
    // Failures show where it is written.
    stream.on('error', () => {});
  }

  /** @throws OutputError when the file cannot be made */
  static async open(target: Target): Promise<Output> {
    if (target.kind === 'lines') return new Output(process.stdout, linesFor(process.stdout), null);
    if (target.kind === 'json') return new Output(process.stdout, JSON_LINES, null);
    const format = target.kind === 'pcap' ? PCAP : PCAPNG;
    return target.path === null
      ? new Output(process.stdout, format, null)
      : new Output(await createFile(target.path), format, target.path);
  }

  /** All of these resolve as fast as the output takes it; they throw OutputError or ReaderGone. */
  async begin(snapLength: number): Promise<void> {
    await this.#write(this.#format.begin(snapLength));
  }

  async packets(packets: readonly Packet[], blocks: Buffer): Promise<void> {
    await this.#write(this.#format.packets(packets, blocks));
  }

  async close(): Promise<void> {
    if (this.#stream === process.stdout) return;
    await settled((done) => this.#stream.end(done)).catch((error: unknown) => {
      throw this.#failure(error);
    });
  }

  async #write(data: Buffer | string): Promise<void> {
    if (data.length === 0) return;
    await settled((done) => this.#stream.write(data, done)).catch((error: unknown) => {
      throw this.#failure(error);
    });
  }

  #failure(error: unknown): Error {
    if (isCode(error, 'EPIPE')) return new ReaderGone();
    return new OutputError(`writing${this.place} failed: ${describeSystemError(error)}`);
  }
}

/** What was captured may be confidential: the file is for its owner alone, unless it was there before. */
async function createFile(path: string): Promise<Writable> {
  try {
    return (await open(path, 'w', 0o600)).createWriteStream();
  } catch (error) {
    throw new OutputError(`${path} cannot be written: ${describeSystemError(error)}`);
  }
}

function settled(start: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
