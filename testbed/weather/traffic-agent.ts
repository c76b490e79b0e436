/** Runs in a namespace: sends numbered packets through every tunnel, and hears those of the other site (see traffic.ts). */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { serve } from '../messages.ts';
import type { Family } from '../site.ts';
import { HEADERS, INNER_LENGTH } from './plan.ts';

export interface Stream {
  readonly family: Family;
  readonly address: string;
}

/** Of one stream, in the order of the streams. */
export interface Sent {
  /** Packets that the kernel accepted. */
  readonly accepted: number;
  /** Packets that it refused, because it had no route for example. */
  readonly refused: number;
}

export interface Heard {
  readonly packets: number;
  /** Of these, those that came after one with a higher number, or again. */
  readonly late: number;
  /** When the latest was sent; this and the next in ms of the monotonic clock. */
  readonly lastAt: number;
  /** When the first one after the latest missing one was sent. */
  readonly unbrokenSince: number;
}

/** A packet begins with the stream, the number, and the time when it was sent. */
const [STREAM, NUMBER, TIME] = [0, 2, 6] as const;
const PORT = 7000;
/** Holds everything that arrives while a process is stopped for some seconds. */
const RECEIVE_BUFFER = 2_000_000;

let sockets: Readonly<Record<Family, Socket>> | null = null;
let streams: readonly Stream[] = [];
const sent: { accepted: number; refused: number; pending: number }[] = [];
const heard: { packets: number; late: number; next: number; lastAt: number; unbrokenSince: number }[] = [];
let timer: NodeJS.Timeout | null = null;

const handlers = {
  async open(to: readonly Stream[]): Promise<void> {
    streams = to;
    for (const _ of to) {
      sent.push({ accepted: 0, refused: 0, pending: 0 });
      heard.push({ packets: 0, late: 0, next: 0, lastAt: 0, unbrokenSince: 0 });
    }
    sockets = { ipv4: await listen('udp4'), ipv6: await listen('udp6') };
  },
  /** Sends a packet of each stream in each interval, spread over it. */
  send({ everyMs }: { readonly everyMs: number }): void {
    const groups = 5;
    let turn = 0;
    timer ??= setInterval(() => {
      for (let index = turn % groups; index < streams.length; index += groups) sendOne(index);
      turn += 1;
    }, everyMs / groups);
  },
  pause(): void {
    if (timer !== null) clearInterval(timer);
    timer = null;
  },
  sent(): { readonly streams: readonly Sent[]; readonly pending: number } {
    return {
      streams: sent.map(({ accepted, refused }) => ({ accepted, refused })),
      pending: sent.reduce((sum, { pending }) => sum + pending, 0),
    };
  },
  heard(): readonly Heard[] {
    return heard.map(({ packets, late, lastAt, unbrokenSince }) => ({
      packets,
      late,
      lastAt,
      unbrokenSince,
    }));
  },
};

export type TrafficAgent = typeof handlers;

async function listen(type: 'udp4' | 'udp6'): Promise<Socket> {
  const socket = createSocket({ type, ipv6Only: type === 'udp6' }).on('message', receive);
  socket.bind(PORT);
  await once(socket, 'listening');
  socket.setRecvBufferSize(RECEIVE_BUFFER);
  return socket;
}

function sendOne(index: number): void {
  const [stream, state] = [streams[index], sent[index]];
  if (stream === undefined || state === undefined || sockets === null) return;
  const packet = Buffer.alloc(INNER_LENGTH - HEADERS[stream.family]);
  packet.writeUInt16LE(index, STREAM);
  packet.writeUInt32LE(state.accepted + state.refused + state.pending, NUMBER);
  packet.writeDoubleLE(now(), TIME);
  state.pending += 1;
  sockets[stream.family].send(packet, PORT, stream.address, (error) => {
    state.pending -= 1;
    if (error === null) state.accepted += 1;
    else state.refused += 1;
  });
}

function receive(packet: Buffer): void {
  const state = heard[packet.readUInt16LE(STREAM)];
  if (state === undefined) throw new Error('a packet of no stream');
  const number = packet.readUInt32LE(NUMBER);
  state.packets += 1;
  if (number < state.next) {
    state.late += 1;
    return;
  }
  state.lastAt = packet.readDoubleLE(TIME);
  if (number > state.next) state.unbrokenSince = state.lastAt;
  state.next = number + 1;
}

/** The same clock in every process of the host, in ms. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

serve(handlers);
