/** Runs in a site: answers requests, or sends one as soon as the one before it is answered (see request-response.ts). */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { serve } from '../../testbed/messages.ts';

const REQUEST = Buffer.alloc(64);

/** What is not answered by then was lost. */
const LOST_MS = 200;

const handlers = {
  /** Resolves to the port. */
  async answer(address: string): Promise<number> {
    const socket = createSocket('udp4');
    socket.on('message', (message, { port, address: from }) => socket.send(message, port, from));
    socket.bind(0, address);
    await once(socket, 'listening');
    return socket.address().port;
  },
  /** Resolves to the number of round trips. */
  async ask({ address, port, ms }: { address: string; port: number; ms: number }): Promise<number> {
    const socket = createSocket('udp4');
    socket.connect(port, address);
    await once(socket, 'connect');
    let answers = 0;
    const ask = (): void => socket.send(REQUEST, () => {});
    const again = setInterval(ask, LOST_MS);
    socket.on('message', () => {
      answers += 1;
      again.refresh();
      ask();
    });
    ask();
    await new Promise((resolve) => {
      setTimeout(resolve, ms);
    });
    clearInterval(again);
    socket.close();
    return answers;
  },
};

export type RequestResponseAgent = typeof handlers;

serve(handlers);
