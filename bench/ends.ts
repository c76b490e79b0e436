/** Brings up both ends of a contender, one after the other, and times the second. */
import type { BackgroundProcess } from '../testbed/exec.ts';
import type { Site } from '../testbed/site.ts';
import type { Sites } from '../testbed/sites.ts';
import { ping } from '../testbed/traffic/ping.ts';
import { waitFor } from '../testbed/wait.ts';
import { PORT } from './contenders/contender.ts';
import type { Contender } from './contenders/contender.ts';
import { timeFirstPacket } from './figures/first-packet.ts';

export interface Ends {
  readonly a: BackgroundProcess;
  readonly b: BackgroundProcess;
  /** From the start of A's process until a packet made a round trip, milliseconds. */
  readonly firstPacketMs: number;
}

/** `null` where the kernel does everything. Resolves when packets go both ways. */
export async function bringUp(contender: Contender, { a, b }: Sites): Promise<Ends | null> {
  const { start } = contender;
  const address = contender.addresses(b).ipv4;
  if (start === undefined) {
    await waitFor(`${contender.name} to carry a ping`, async () => (await ping(a, address)).received > 0);
    return null;
  }
  const startEnd = async (near: Site, far: Site): Promise<BackgroundProcess> => {
    const end = start(near, far);
    await contender.configure?.(near, far);
    return end;
  };
  const far = await startEnd(b, a);
  await waitFor(`${contender.name} to have its socket`, () => hasSocket(b));
  const { started, ms } = await timeFirstPacket(a, b, address, () => startEnd(a, b));
  return { a: started, b: far, firstPacketMs: ms };
}

/** Whether the tunnel's port is bound. socat, for one, exits when its first packet is refused. */
async function hasSocket(site: Site): Promise<boolean> {
  const { stdout } = await site.run(['cat', '/proc/net/udp', '/proc/net/udp6']);
  const port = PORT.toString(16).toUpperCase().padStart(4, '0');
  return new RegExp(`^ *\\d+: [0-9A-F]+:${port} `, 'm').test(stdout);
}
