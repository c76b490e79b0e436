/** The output of `ttun capture`: formats, and the file or stream they are written to. */
import { open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { LINKTYPE_RAW } from '../control/pcapng.ts';
import type { Packet } from '../control/pcapng.ts';
import { describePacket } from '../decode/packet.ts';
import { describeSystemError } from '../errors.ts';
import { styleFor } from '../terminal.ts';
import { formatPacketLine } from './packet-lines.ts';

export type Target =
  | { readonly kind: 'lines' }
  | { readonly kind: 'json' }
  /** `path` is `null` for standard output. */
  | { readonly kind: 'pcap' | 'pcapng'; readonly path: string | null };

interface Format {
  /** The beginning of the file, before the packets. */
  readonly begin: (snapLength: number) => Buffer | string;
  /** @param blocks the packets as received: blocks of a pcapng file, including other blocks */
  readonly packets: (packets: readonly Packet[], blocks: Buffer) => Buffer | string;
}

const PCAP: Format = { begin: beginPcap, packets: pcapRecords };

/** Packets are received in this format. */
const PCAPNG: Format = { begin: () => '', packets: (_packets, blocks) => blocks };

const JSON_LINES: Format = {
  begin: () => '',
  packets: (packets) => packets.map((packet) => `${JSON.stringify(toObject(packet))}\n`).join(''),
};

function linesFor(stream: NodeJS.WriteStream): Format {
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

// The pcap file format (draft-ietf-opsawg-pcap) with microseconds, which every packet analyser reads.

const MAGIC = 0xa1b2_c3d4;
const FILE_HEADER = 24;
const RECORD_HEADER = 16;

function beginPcap(snapLength: number): Buffer {
  const header = Buffer.alloc(FILE_HEADER);
  header.writeUInt32LE(MAGIC, 0);
  // Version 2.4.
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(snapLength, 16);
  header.writeUInt32LE(LINKTYPE_RAW, 20);
  return header;
}

function pcapRecords(packets: readonly Packet[]): Buffer {
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

/** The output cannot be written. The message is one line for the user. */
export class OutputError extends Error {}

/** The reader of the output has closed it, which ends the capture and is not a failure. */
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
    // Errors are handled by the writes.
    stream.on('error', () => {});
  }

  /** @throws OutputError when the file cannot be created */
  static async open(target: Target): Promise<Output> {
    if (target.kind === 'lines') return new Output(process.stdout, linesFor(process.stdout), null);
    if (target.kind === 'json') return new Output(process.stdout, JSON_LINES, null);
    const format = target.kind === 'pcap' ? PCAP : PCAPNG;
    return target.path === null
      ? new Output(process.stdout, format, null)
      : new Output(await createFile(target.path), format, target.path);
  }

  /** This and the following resolve when the output has taken the data. They throw OutputError or ReaderGone. */
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
    return new OutputError(`cannot write${this.place}: ${describeSystemError(error)}`);
  }
}

/** Packets may be confidential: only the owner can read a new file. An existing file keeps its mode. */
async function createFile(path: string): Promise<Writable> {
  try {
    return (await open(path, 'w', 0o600)).createWriteStream();
  } catch (error) {
    throw new OutputError(`cannot write to ${path}: ${describeSystemError(error)}`);
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
