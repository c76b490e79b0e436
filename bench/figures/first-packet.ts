/** The time from the start of a tunnel's process until it carries a packet and its answer. */
import { Caller } from '../../testbed/messages.ts';
import type { Site } from '../../testbed/site.ts';
import type { FirstPacketAgent } from './first-packet-agent.ts';

const LIMIT_MS = 20_000;
const NANOSECONDS_PER_MILLISECOND = 1e6;

export interface FirstPacket<T> {
  readonly started: T;
  readonly ms: number;
}

/**
 * The remote end must be up and the local one not. Datagrams go out from the near site every millisecond before `start` is
 * called, so the result is at most a millisecond too long.
 */
export async function timeFirstPacket<T>(
  near: Site,
  far: Site,
  farAddress: string,
  start: () => Promise<T>,
): Promise<FirstPacket<T>> {
  const [prober, echoer] = [startAgent(near), startAgent(far)];
  try {
    const port = await echoer.call('echo', farAddress);
    await prober.call('probe', { address: farAddress, port });
    const begin = process.hrtime.bigint();
    const started = await start();
    const end = await prober.call('firstEcho', undefined, LIMIT_MS);
    return { started, ms: Number(end - begin) / NANOSECONDS_PER_MILLISECOND };
  } finally {
    await Promise.all([prober, echoer].map((agent) => agent.process[Symbol.asyncDispose]()));
  }
}

function startAgent(site: Site): Caller<FirstPacketAgent> {
  return new Caller(site.startScript(new URL('first-packet-agent.ts', import.meta.url)));
}
