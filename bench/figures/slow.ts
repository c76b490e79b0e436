/** The figures of links with a bottleneck: latency under load. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Site } from '../../testbed/site.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { median } from '../statistics.ts';
import type { Iperf } from './iperf.ts';

const MILLISECONDS = 1000;
const PING_INTERVAL_MS = 50;
/** The load goes on this much longer than the pings are sent, so that the last ones are answered under load. */
const MARGIN_SECONDS = 2;

/** Pings from A to B beside TCP streams from A to B; everything after the streams' first seconds. */
interface UnderLoad {
  /** Median, milliseconds; `null` if no ping was answered. */
  readonly ping: number | null;
  /** The longest, milliseconds. */
  readonly worst: number | null;
  /** Share of the pings that were not answered, 0 to 1. */
  readonly lost: number;
  /** Payload of all streams at the receiver, bits a second. */
  readonly goodput: number;
  /** Segments that TCP sent again. */
  readonly retransmits: number;
}

export interface SlowFigures {
  readonly pingBeside1: number | null;
  readonly pingBeside1Worst: number | null;
  readonly pingBeside1Lost: number;
  readonly goodput1: number;
  readonly retransmits1: number;
  readonly pingBeside8: number | null;
  readonly pingBeside8Worst: number | null;
  readonly pingBeside8Lost: number;
  readonly goodput8: number;
  readonly retransmits8: number;
}

export interface SlowScene {
  readonly sender: Site;
  /** Of the receiver, through the contender. */
  readonly address: string;
  readonly iperf: Iperf;
  /** Pings are sent for twice as long, after the same time in which the streams fill the queues. */
  readonly seconds: number;
}

export async function measureSlow(scene: SlowScene): Promise<SlowFigures> {
  const one = await pingUnderLoad(scene, 1);
  const eight = await pingUnderLoad(scene, 8);
  return {
    pingBeside1: one.ping,
    pingBeside1Worst: one.worst,
    pingBeside1Lost: one.lost,
    goodput1: one.goodput,
    retransmits1: one.retransmits,
    pingBeside8: eight.ping,
    pingBeside8Worst: eight.worst,
    pingBeside8Lost: eight.lost,
    goodput8: eight.goodput,
    retransmits8: eight.retransmits,
  };
}

/** The length of all runs together, in seconds, with `seconds` as in `SlowScene`. */
export function slowSeconds(seconds: number): number {
  return 2 * (3 * seconds + MARGIN_SECONDS);
}

async function pingUnderLoad(scene: SlowScene, streams: number): Promise<UnderLoad> {
  const { sender, address, iperf, seconds } = scene;
  const pingSeconds = 2 * seconds;
  const pingOnceFull = async () => {
    await sleep(seconds * MILLISECONDS);
    return ping(sender, address, {
      count: (pingSeconds * MILLISECONDS) / PING_INTERVAL_MS,
      intervalMs: PING_INTERVAL_MS,
      end: 'sent',
      timeoutMs: 2 * pingSeconds * MILLISECONDS + 20_000,
    });
  };
  const [load, { roundTripsMs, sent, received }] = await Promise.all([
    iperf.tcp({ seconds: pingSeconds + MARGIN_SECONDS, omitSeconds: seconds, streams }),
    pingOnceFull(),
  ]);
  const answered = roundTripsMs.length > 0;
  return {
    ping: answered ? median(roundTripsMs) : null,
    worst: answered ? Math.max(...roundTripsMs) : null,
    lost: 1 - received / sent,
    goodput: load.bitsPerSecond,
    retransmits: load.retransmits,
  };
}
