/** How a process ends when nothing may hold that up any more. */
import { loadBinding } from '../native.ts';

/** How long a slow reader of the output is waited for at the end, in ms. */
export const FLUSH_LIMIT_MS = 1000;

/** To be called when all is done: output that nobody takes must not hold up the end of the process. */
export function endSoon(): void {
  setTimeout(() => process.exit(), FLUSH_LIMIT_MS).unref();
}

/**
 * From here on the process ends without waiting for Node's own threads, which may be in a system call without an end: one looks up a
 * name and no server answers, another opens a pipe that nobody reads.
 */
export async function abandonThreadsAtExit(): Promise<void> {
  const binding = await loadBinding();
  process.on('exit', (code) => binding.exitNow(Number(process.exitCode ?? code)));
}
