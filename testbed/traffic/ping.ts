/** ping(8), counted. */
import type { Site } from '../site.ts';

export interface PingOptions {
  /** Default 1. */
  readonly count?: number;
  /** Bytes after the ICMP header. Default 56. */
  readonly size?: number;
  /** Milliseconds between two requests. Default 10. */
  readonly intervalMs?: number;
  /** Send as fast as the answers come back; then the single round-trip times are not known. Default false. */
  readonly flood?: boolean;
  /**
   * `answered`: requests are sent until `count` answers have arrived. `sent`: exactly `count` requests are sent, and the last
   * answers are waited for twice as long as the slowest took. Default `answered`.
   */
  readonly end?: 'answered' | 'sent';
  /** Stop after this time, even if answers are missing, in ms. With `end: 'sent'`, taking longer is an error. Default 10,000. */
  readonly timeoutMs?: number;
}

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Milliseconds, in order of arrival; empty for a flood. */
  readonly roundTripsMs: readonly number[];
}

/** Sends ICMP echo requests from a site. Losses are a result, not an error. */
export async function ping(site: Site, address: string, options: PingOptions = {}): Promise<PingResult> {
  const {
    count = 1,
    size = 56,
    intervalMs = 10,
    flood = false,
    end = 'answered',
    timeoutMs = 10_000,
  } = options;
  const pace = flood ? ['-f', '-q'] : ['-i', `${intervalMs / 1000}`];
  const deadline = end === 'sent' ? [] : ['-w', `${Math.ceil(timeoutMs / 1000)}`];
  const bounds = ['-c', `${count}`, '-s', `${size}`, ...deadline];
  const { stdout, stderr } = await site.runToEnd(['ping', '-n', ...pace, ...bounds, address], {
    timeoutMs: timeoutMs + 5000,
    env: { LC_ALL: 'C' },
  });
  const summary = /(\d+) packets transmitted, (\d+) received/.exec(stdout);
  if (summary === null) throw new Error(`ping ${address} printed no summary: ${stderr}${stdout}`);
  const times = stdout.matchAll(/ time=([\d.]+) ms/g);
  return {
    sent: Number(summary[1]),
    received: Number(summary[2]),
    roundTripsMs: [...times].map(([, time]) => Number(time)),
  };
}
