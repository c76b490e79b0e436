import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { CaretakerMessage } from './caretaker.ts';
import { findMarked, namespaceIdentity } from './namespaces.ts';

const [, , labMark = ''] = process.argv;
const owned = new Map<string, number | null>();

// Only the end of the lab ends its caretaker.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);

for await (const line of createInterface({ input: process.stdin })) {
  const message: CaretakerMessage = JSON.parse(line);
  if ('owned' in message) owned.set(message.owned, message.identity);
  else owned.delete(message.removed);
}
if (owned.size > 0) await removeWhatIsLeft();
process.exit();

async function removeWhatIsLeft(): Promise<void> {
  await letIpFinish();
  for (const pid of findMarked(labMark)) kill(pid);
  for (const [name, identity] of owned) {
    // A null identity: the lab was killed while it made this one, having seen just before that the name was free.
    if (identity === null || identity === namespaceIdentity(name)) {
      spawnSync('ip', ['netns', 'delete', name]);
    }
  }
}

/** An `ip netns add` killed half-way would leave a name without a namespace behind. */
async function letIpFinish(): Promise<void> {
  const patience = AbortSignal.timeout(2000);
  while (!patience.aborted && findMarked(labMark).some(isIp)) await delay(10);
}

function isIp(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'ip';
  } catch {
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
