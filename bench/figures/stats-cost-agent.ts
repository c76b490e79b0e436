/** Runs in a site: a tunnel whose statistics are read, to measure the cost (see stats-cost.ts). */
import { createTunnel, diffStats } from '../../src/index.ts';
import type { Tunnel, TunnelOptions } from '../../src/index.ts';
import { serve } from '../../testbed/messages.ts';
import { median } from '../statistics.ts';

const BATCHES = 300;
/** So short that most batches finish before another process is scheduled. */
const BATCH = 500;

let opened: Tunnel | null = null;
let polls = 0;
let timer: NodeJS.Timeout | undefined;

/** The time of one call, in nanoseconds. */
export interface ReadingCosts {
  readonly stats: number;
  readonly exact: number;
  readonly state: number;
  readonly diff: number;
}

const handlers = {
  async open(options: TunnelOptions): Promise<void> {
    opened = await createTunnel(options);
  },
  costs(): ReadingCosts {
    const reading = tunnel();
    const before = reading.stats();
    return {
      stats: nanoseconds(() => reading.stats()),
      exact: nanoseconds(() => reading.stats({ bigint: true })),
      state: nanoseconds(() => reading.state),
      diff: nanoseconds(() => diffStats(before, before)),
    };
  },
  /** Reads the statistics every millisecond, as far as Node's timers allow. */
  startPolling(): void {
    polls = 0;
    timer = setInterval(() => {
      tunnel().stats();
      polls += 1;
    }, 1);
  },
  /** Resolves to how often they were read. */
  stopPolling(): number {
    clearInterval(timer);
    return polls;
  },
};

export type StatsCostAgent = typeof handlers;

function tunnel(): Tunnel {
  if (opened === null) throw new Error('no tunnel was opened');
  return opened;
}

/** Of the median of several batches, as the first ones run code that is not compiled yet. */
function nanoseconds(action: () => unknown): number {
  const batches = Array.from({ length: BATCHES }, () => {
    const begin = process.hrtime.bigint();
    for (let call = 0; call < BATCH; call += 1) action();
    return Number(process.hrtime.bigint() - begin) / BATCH;
  });
  return median(batches);
}

serve(handlers);
