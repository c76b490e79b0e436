/** Runs in a site: echoes datagrams, or sends them until one comes back (see first-packet.ts). */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { serve } from '../../testbed/messages.ts';

const EVERY_MS = 1;

let socket: Socket | null = null;
let answered: Promise<bigint> | null = null;

const handlers = {
  /** Resolves to the port. */
  async echo(address: string): Promise<number> {
    const echoing = createSocket('udp4');
    socket = echoing.on('message', (message, { port, address: from }) => echoing.send(message, port, from));
    echoing.bind(0, address);
    await once(echoing, 'listening');
    return echoing.address().port;
  },
  /** Begins to send, one datagram a millisecond. */
  async probe({ address, port }: { address: string; port: number }): Promise<void> {
    const probing = createSocket('udp4');
    socket = probing;
    probing.bind(0);
    await once(probing, 'listening');
    // Until the tunnel is up, sends may fail in various ways.
    const timer = setInterval(() => probing.send('?', port, address, () => {}), EVERY_MS);
    answered = once(probing, 'message').then(() => {
      clearInterval(timer);
      return process.hrtime.bigint();
    });
  },
  /** When the first echo came: nanoseconds of the system's monotonic clock, which all its processes share. */
  async firstEcho(): Promise<bigint> {
    if (answered === null || socket === null) throw new Error('not probing');
    return answered;
  },
};

export type FirstPacketAgent = typeof handlers;

serve(handlers);
