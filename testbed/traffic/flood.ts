/** UDP that does not slow down, and links that are slower. */
import type { BackgroundProcess } from '../exec.ts';
import type { Site } from '../site.ts';

export interface FloodOptions {
  readonly mbits: number;
  /** The datagrams go round this many ports, each a flow of its own. Default 1. */
  readonly ports?: number;
  /** Bytes of the payload of each datagram. Default 1400. */
  readonly size?: number;
}

const FIRST_PORT = 20_000;

/** Sends datagrams at this rate until it is ended, whether anyone receives them or not. */
export function startFlood(
  site: Site,
  address: string,
  { mbits, ports = 1, size = 1400 }: FloodOptions,
): BackgroundProcess {
  const program = `
    const { createSocket } = require('node:dgram');
    const socket = createSocket('${address.includes(':') ? 'udp6' : 'udp4'}').on('error', () => {});
    const [start, data, perMs] = [performance.now(), Buffer.alloc(${size}), ${(mbits * 1e6) / 8 / size / 1000}];
    let sent = 0;
    setInterval(() => {
      // After a pause it goes on at its rate.
      const due = Math.min((performance.now() - start) * perMs, sent + 100);
      for (; sent < due; sent += 1) socket.send(data, ${FIRST_PORT} + (sent % ${ports}), '${address}', () => {});
    }, 1);
  `;
  return site.start([process.execPath, '-e', program]);
}

/** Has the device of the site that leads to the other one send at most so many Mbit/s (tbf), from a queue that is long. */
export async function shape(site: Site, mbits: number): Promise<void> {
  const shaper = ['tbf', 'rate', `${mbits}mbit`, 'burst', '32kb', 'limit', '3mb'];
  await site.run(['tc', 'qdisc', 'replace', 'dev', site.veth, 'root', ...shaper]);
}
