/** Stopping a process for a while, so that packets that arrive meanwhile queue up and are then read at once. */
import { readdir, readFile } from 'node:fs/promises';
import type { BackgroundProcess } from './exec.ts';
import { waitFor } from './wait.ts';

/** Runs `action` while all threads of the process are stopped. */
export async function whilePaused<T>(target: BackgroundProcess, action: () => Promise<T>): Promise<T> {
  await pause(target);
  try {
    return await action();
  } finally {
    target.kill('SIGCONT');
  }
}

/** Stops a process as SIGSTOP does; resolves when its last thread has stopped. */
export async function pause(target: BackgroundProcess): Promise<void> {
  target.kill('SIGSTOP');
  await waitFor(`process ${target.pid} to stop`, async () => {
    const threads = await readdir(`/proc/${target.pid}/task`);
    const states = await Promise.all(threads.map((thread) => stateOf(target.pid, thread)));
    return states.every((state) => state === 'T');
  });
}

/** The letter that ps(1) shows. */
async function stateOf(pid: number, thread: string): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8');
  // The name before it is in parentheses and may itself contain some.
  return stat.slice(stat.lastIndexOf(')') + 2)[0];
}
