/** Numbered UDP datagrams from one site to another. */
import { Caller } from '../messages.ts';
import type { Site } from '../site.ts';
import { waitFor } from '../wait.ts';
import { sizeOf } from './datagram.ts';
import type { UdpAgent, UdpReport } from './udp-agent.ts';

export interface UdpOptions {
  readonly from: Site;
  readonly to: Site;
  /** Address of `to` at which it listens: an inner one, to go through the tunnel. */
  readonly address: string;
  readonly count: number;
  /** Payload sizes in bytes, taken in turn. */
  readonly sizes: readonly number[];
}

/** What a receiver with a default buffer certainly holds until it is scheduled. */
const BURST = { datagrams: 64, bytes: 65_536 };
/** A burst that has not arrived completely after this time counts as partly lost. */
const ARRIVAL_LIMIT_MS = 2000;

/**
 * Sends the datagrams in bursts, each after the previous one has arrived, so that no buffer on the way has to overflow.
 * What did not arrive in two seconds counts as lost.
 */
export async function transferUdp(options: UdpOptions): Promise<UdpReport> {
  const { from, to, address, count, sizes } = options;
  const [sender, receiver] = [startAgent(from), startAgent(to)];
  try {
    const port = await receiver.call('listen', { address, sizes });
    await sender.call('connect', { address, port, sizes });
    let expected = 0;
    for (let sent = 0; sent < count;) {
      const burst = burstFrom(sent, count, sizes);
      await sender.call('send', burst);
      sent += burst;
      expected += burst;
      ({ arrived: expected } = await arrival(receiver, expected));
    }
    return await receiver.call('report', undefined);
  } finally {
    await Promise.all([sender, receiver].map((agent) => agent.process[Symbol.asyncDispose]()));
  }
}

function burstFrom(first: number, end: number, sizes: readonly number[]): number {
  let bytes = sizeOf(first, sizes);
  let burst = 1;
  while (burst < BURST.datagrams && first + burst < end) {
    bytes += sizeOf(first + burst, sizes);
    if (bytes > BURST.bytes) break;
    burst += 1;
  }
  return burst;
}

/** Waits until that many have arrived, in any state, or the time limit is reached. */
async function arrival(receiver: Caller<UdpAgent>, expected: number): Promise<{ arrived: number }> {
  const deadline = performance.now() + ARRIVAL_LIMIT_MS;
  return waitFor(
    `${expected} datagrams`,
    async () => {
      const { received, duplicates, corrupted } = await receiver.call('report', undefined);
      const arrived = received + duplicates + corrupted;
      return arrived >= expected || performance.now() > deadline ? { arrived } : null;
    },
    { timeoutMs: 2 * ARRIVAL_LIMIT_MS, everyMs: 1 },
  );
}

function startAgent(site: Site): Caller<UdpAgent> {
  return new Caller(site.startScript(new URL('udp-agent.ts', import.meta.url)));
}
