/** Runs in a namespace: receives or sends TCP streams and digests what passed (see tcp.ts). */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { serve } from '../messages.ts';

export interface Streams {
  readonly address: string;
  readonly port: number;
  readonly streams: number;
  /** Of each stream. */
  readonly bytes: number;
}

const CHUNK = 65_536;
/** Odd, so that the pattern repeats only after as many chunks as the pool has bytes. */
const STEP = 4099;

const digests: Promise<string>[] = [];
let bytesReceived = 0;

const handlers = {
  /** Resolves to the port. */
  async listen(address: string): Promise<number> {
    const server = createServer((socket) => digests.push(receive(socket)));
    server.listen(0, address);
    await once(server, 'listening');
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a string only for Unix sockets.
    return (server.address() as AddressInfo).port;
  },
  /** Of all streams together, up to now. */
  received(): number {
    return bytesReceived;
  },
  /** One for each stream so far, sorted; resolves when all of them have ended. */
  async digests(): Promise<string[]> {
    return (await Promise.all(digests)).toSorted();
  },
  /** Resolves to the digests of what was sent, sorted, when the other end has taken everything. */
  async send({ address, port, streams, bytes }: Streams): Promise<string[]> {
    const pool = randomBytes(2 ** 20 + CHUNK);
    const sent = Array.from({ length: streams }, (_, index) => {
      return sendStream(connect({ host: address, port }), pool, index * CHUNK, bytes);
    });
    return (await Promise.all(sent)).toSorted();
  },
};

export type TcpAgent = typeof handlers;

async function receive(socket: Socket): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytesReceived += chunk.length;
  }
  return hash.digest('hex');
}

async function sendStream(socket: Socket, pool: Buffer, first: number, bytes: number): Promise<string> {
  await once(socket, 'connect');
  const hash = createHash('sha256');
  let position = first;
  for (let left = bytes; left > 0; left -= CHUNK) {
    const start = position % (pool.length - CHUNK);
    const chunk = pool.subarray(start, start + Math.min(CHUNK, left));
    hash.update(chunk);
    if (!socket.write(chunk)) await once(socket, 'drain');
    position += STEP;
  }
  socket.end();
  // The receiver ends its half when it has read ours to the end.
  socket.resume();
  await once(socket, 'close');
  return hash.digest('hex');
}

serve(handlers);
