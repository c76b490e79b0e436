/** Processor time and memory of processes, from /proc. */
import { readFile } from 'node:fs/promises';

/** The kernel reports times in this unit to all programs (USER_HZ), whatever it ticks at. */
const TICKS_PER_SECOND = 100;

/** User and system time of all threads so far, in seconds. */
export async function processorSeconds(pids: readonly number[]): Promise<number> {
  const times = await Promise.all(pids.map(secondsOf));
  return times.reduce((sum, seconds) => sum + seconds, 0);
}

async function secondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in parentheses and may contain anything; utime and stime are fields 14 and 15 (proc(5)).
  const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(afterName[14 - 3]) + Number(afterName[15 - 3])) / TICKS_PER_SECOND;
}

/** Memory that is resident now, in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error(`process ${pid} has no VmRSS`);
  return Number(kibibytes) * 1024;
}
