/** How many system calls a tunnel makes for a packet that comes alone, counted by strace(1). */
import { start } from '../../testbed/exec.ts';
import { LARGE_PAYLOAD } from './iperf.ts';
import type { Iperf } from './iperf.ts';

/** So slow that each packet is alone, although strace takes some 0.1 ms for each call. */
const PACKETS_PER_SECOND = 500;
const BITS = 8;

/** Length of the run. */
export const COUNTING_SECONDS = 2;

/** These wait for packets. How often depends on how fast they come, so they do not count. */
const WAITING = /^(epoll_p?wait2?|p?poll|p?select6?|restart_syscall)$/;

/**
 * Calls for each packet at one end, mean of the two, besides those that wait. The exchange of iperf3 before and after the run
 * makes it some hundredths too large.
 */
export async function systemCallsPerPacket(iperf: Iperf, pids: readonly number[]): Promise<number> {
  await using tracer = start(['strace', '-f', '-c', ...pids.flatMap((pid) => ['-p', `${pid}`])], {
    env: { LC_ALL: 'C' },
  });
  for (const pid of pids) await tracer.waitForLine(`Process ${pid} attached`);
  const { delivered } = await iperf.udp({
    seconds: COUNTING_SECONDS,
    payload: LARGE_PAYLOAD,
    bitsPerSecond: PACKETS_PER_SECOND * LARGE_PAYLOAD * BITS,
  });
  await tracer.stop('SIGINT');
  return countCalls(tracer.stderr) / pids.length / delivered;
}

/** Sums up the table of `strace -c`: share of the time, seconds, microseconds a call, calls, errors (which may be blank), name. */
export function countCalls(summary: string): number {
  const rows = summary.matchAll(/^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$/gm);
  const calls = [...rows].map(([, count, name = '']) => ({ count: Number(count), name }));
  if (calls.length === 0) throw new Error(`strace printed no table: ${summary}`);
  return calls
    .filter(({ name }) => name !== 'total' && !WAITING.test(name))
    .reduce((sum, { count }) => sum + count, 0);
}
