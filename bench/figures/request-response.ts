/** Requests of 64 bytes over UDP, each sent when the one before it has been answered. */
import { Caller } from '../../testbed/messages.ts';
import type { Site } from '../../testbed/site.ts';
import type { RequestResponseAgent } from './request-response-agent.ts';
import { processorSeconds } from './processor-time.ts';

export const REQUEST_SECONDS = 2;

export interface RequestResponse {
  readonly perSecond: number;
  /** Processor seconds of the processes `pids` for each round trip. */
  readonly processorSeconds: number;
}

/** `address` is that of the far site, through the contender. */
export async function requestAndRespond(
  near: Site,
  far: Site,
  address: string,
  pids: readonly number[],
): Promise<RequestResponse> {
  const [asking, answering] = [startAgent(near), startAgent(far)];
  try {
    const port = await answering.call('answer', address);
    const before = await processorSeconds(pids);
    const answers = await asking.call('ask', { address, port, ms: REQUEST_SECONDS * 1000 });
    const spent = (await processorSeconds(pids)) - before;
    return { perSecond: answers / REQUEST_SECONDS, processorSeconds: spent / answers };
  } finally {
    await Promise.all([asking, answering].map((agent) => agent.process[Symbol.asyncDispose]()));
  }
}

function startAgent(site: Site): Caller<RequestResponseAgent> {
  return new Caller(site.startScript(new URL('request-response-agent.ts', import.meta.url)));
}
