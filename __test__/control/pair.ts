/** Both ends of a tunnel started by `ttun <tun> …`, each in its site and both in a room. */
import { existsSync } from 'node:fs';
import type { BackgroundProcess } from '../../testbed/exec.ts';
import type { Sites } from '../../testbed/sites.ts';
import { waitFor } from '../../testbed/wait.ts';
import type { Room } from './room.ts';

export interface Pair {
  readonly a: BackgroundProcess;
  readonly b: BackgroundProcess;
}

export async function startPair(room: Room, sites: Sites, ...options: readonly string[]): Promise<Pair> {
  const start = (near: 'a' | 'b', far: 'a' | 'b'): BackgroundProcess =>
    room.startTtun([...options, 'tun0', sites[near].outer.ipv4, '9000', sites[far].outer.ipv4, '9000'], {
      site: sites[near],
    });
  const pair = { a: start('a', 'b'), b: start('b', 'a') };
  await Promise.all([pair.a, pair.b].map((end) => hasSocket(room, end)));
  return pair;
}

/** The socket appears a moment after the tunnel is attached. */
async function hasSocket(room: Room, end: BackgroundProcess): Promise<void> {
  await end.waitForLine('attached');
  await waitFor(`the socket of process ${end.pid}`, () => existsSync(room.socketOf(end)));
}
