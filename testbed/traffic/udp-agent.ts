/** Runs in a namespace: sends numbered UDP datagrams, or reports which of them arrived, and in what order (see udp.ts). */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { serve } from '../messages.ts';
import { makeDatagram, numberOf } from './datagram.ts';

export interface UdpReport {
  /** Datagrams that arrived as they were sent, each counted once. */
  readonly received: number;
  /** Of these, how many came after one that was sent later. */
  readonly reordered: number;
  readonly duplicates: number;
  /** Arrived, but were not sent. */
  readonly corrupted: number;
}

let socket: Socket | null = null;
let sizes: readonly number[] = [];
let next = 0;
const report = { received: 0, reordered: 0, duplicates: 0, corrupted: 0 };

const handlers = {
  /** Resolves to the port. */
  async listen(argument: { address: string; sizes: readonly number[] }): Promise<number> {
    sizes = argument.sizes;
    socket = makeSocket(argument.address).on('message', receive);
    socket.bind(0, argument.address);
    await once(socket, 'listening');
    return socket.address().port;
  },
  report(): UdpReport {
    return report;
  },
  async connect(argument: { address: string; port: number; sizes: readonly number[] }): Promise<void> {
    sizes = argument.sizes;
    socket = makeSocket(argument.address);
    socket.connect(argument.port, argument.address);
    await once(socket, 'connect');
  },
  /** Sends the next `count` datagrams at once. */
  async send(count: number): Promise<void> {
    const datagrams = Array.from({ length: count }, (_, index) => makeDatagram(next + index, sizes));
    next += count;
    await Promise.all(datagrams.map(send));
  },
};

export type UdpAgent = typeof handlers;

const seen = new Set<number>();

function receive(datagram: Buffer): void {
  const number = numberOf(datagram, next, sizes);
  if (number === null) {
    report.corrupted += 1;
  } else if (seen.has(number)) {
    report.duplicates += 1;
  } else {
    seen.add(number);
    report.received += 1;
    if (number < next) report.reordered += 1;
    next = Math.max(next, number + 1);
  }
}

function makeSocket(address: string): Socket {
  return createSocket(isIPv6(address) ? 'udp6' : 'udp4');
}

function send(datagram: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket?.send(datagram, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

serve(handlers);
