/** The figures of links without a bottleneck: throughput, its cost, and an idle tunnel's round trip. */
import type { Site } from '../../testbed/site.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { median, quantile } from '../statistics.ts';
import { LARGE_PAYLOAD, largeBuffer } from './iperf.ts';
import type { Iperf } from './iperf.ts';
import { highestRateWithoutLoss } from './no-loss.ts';
import { processorSeconds, residentBytes } from './processor-time.ts';
import { REQUEST_SECONDS, requestAndRespond } from './request-response.ts';
import { COUNTING_SECONDS, systemCallsPerPacket } from './system-calls.ts';

const SMALL_PAYLOAD = 64;
const OFFERED_BITS_PER_SECOND = 1e9;
const BITS = 8;
const STREAMS = 4;
const PING = { count: 300, intervalMs: 10 };
/** `ping` prints milliseconds. */
const MICROSECONDS = 1000;
const GIGABYTE = 1e9;
const TRIAL_SECONDS = 1;

/** `null`: not applicable to this contender, as there is no process to measure in the kernel. */
export interface FastFigures {
  /** One stream from site A to site B, bits a second. */
  readonly tcpThere: number;
  /** One stream from site B to site A, bits a second. */
  readonly tcpBack: number;
  /** Mean of the two. */
  readonly tcp: number;
  /** Four streams from A to B together, bits a second. */
  readonly tcpFourStreams: number;
  /** Processor seconds of both tunnel processes for each 10⁹ bytes of the one-stream runs. */
  readonly processorPerGigabyte: number | null;
  /** Datagrams of 64 bytes that arrived, a second, the sender going as fast as it can. */
  readonly udpSmall: number;
  /** The same at the highest rate with under 0.5 % loss, with a large receive buffer; `null` if every rate that was tried lost more. */
  readonly udpSmallWithoutLoss: number | null;
  /** Share of packets of 1,400 bytes lost at 1 Gbit/s, 0 to 1. */
  readonly udpLoss: number;
  /** Microseconds. */
  readonly roundTrip: number;
  /** 99th percentile, microseconds. */
  readonly roundTripTail: number;
  /** Requests over UDP that were answered, one at a time, a second. */
  readonly requests: number;
  /** Processor time of both tunnel processes for each of them, microseconds. */
  readonly processorPerRequest: number | null;
  /** Resident memory of one tunnel process after all that, bytes. */
  readonly memory: number | null;
  /** From the start of one end's process until the first packet made a round trip, milliseconds. */
  readonly firstPacketMs: number | null;
  /** System calls of one tunnel process for a packet that comes alone, besides those that wait. */
  readonly systemCalls: number | null;
  /** TCP retransmissions in the one-stream runs. */
  readonly retransmits: number;
}

export interface FastScene {
  readonly sender: Site;
  readonly receiver: Site;
  /** Of the receiver, through the contender. */
  readonly address: string;
  readonly iperf: Iperf;
  /** Length of a TCP run. */
  readonly seconds: number;
  /** Number of trials in the search for the rate without loss. */
  readonly trials: number;
  /** The processes of the tunnel, A's first; none where the kernel does everything. */
  readonly pids: readonly number[];
  readonly firstPacketMs: number | null;
}

export async function measureFast(scene: FastScene): Promise<FastFigures> {
  const { sender, receiver, address, iperf, seconds, trials, pids, firstPacketMs } = scene;
  const udpSeconds = lengthOfUdp(seconds);
  const before = await processorSeconds(pids);
  const there = await iperf.tcp({ seconds });
  const back = await iperf.tcp({ seconds, reverse: true });
  const spent = (await processorSeconds(pids)) - before;
  const four = await iperf.tcp({ seconds, streams: STREAMS });
  const small = await iperf.udp({ seconds: udpSeconds, payload: SMALL_PAYLOAD, bitsPerSecond: 0 });
  // The system's default holds 270 of these: iperf3 itself would lose more than the tunnel.
  const buffer = largeBuffer();
  const withoutLoss = await highestRateWithoutLoss(small, trials, (datagramsPerSecond) =>
    iperf.udp({
      seconds: TRIAL_SECONDS,
      payload: SMALL_PAYLOAD,
      bitsPerSecond: Math.round(datagramsPerSecond * SMALL_PAYLOAD * BITS),
      buffer,
    }),
  );
  const large = await iperf.udp({
    seconds: udpSeconds,
    payload: LARGE_PAYLOAD,
    bitsPerSecond: OFFERED_BITS_PER_SECOND,
  });
  const { roundTripsMs } = await ping(sender, address, PING);
  const requests = await requestAndRespond(sender, receiver, address, pids);
  const [own] = pids;
  const memory = own === undefined ? null : await residentBytes(own);
  // Last, so that being traced cannot affect the other figures.
  const systemCalls = own === undefined ? null : await systemCallsPerPacket(iperf, pids);
  return {
    tcpThere: there.bitsPerSecond,
    tcpBack: back.bitsPerSecond,
    tcp: (there.bitsPerSecond + back.bitsPerSecond) / 2,
    tcpFourStreams: four.bitsPerSecond,
    processorPerGigabyte: own === undefined ? null : spent / ((there.bytes + back.bytes) / GIGABYTE),
    udpSmall: small.deliveredPerSecond,
    udpSmallWithoutLoss: withoutLoss,
    udpLoss: large.loss,
    roundTrip: median(roundTripsMs) * MICROSECONDS,
    roundTripTail: quantile(roundTripsMs, 0.99) * MICROSECONDS,
    requests: requests.perSecond,
    processorPerRequest: own === undefined ? null : requests.processorSeconds * 1e6,
    memory,
    firstPacketMs,
    systemCalls,
    retransmits: there.retransmits + back.retransmits,
  };
}

/** The length of all runs together, in seconds, with `seconds` and `trials` as in `FastScene`. */
export function fastSeconds(seconds: number, trials: number): number {
  const pings = (PING.count * PING.intervalMs) / 1000;
  const fixed = trials * TRIAL_SECONDS + pings + REQUEST_SECONDS + COUNTING_SECONDS;
  return 3 * seconds + 2 * lengthOfUdp(seconds) + fixed;
}

function lengthOfUdp(seconds: number): number {
  return Math.ceil((seconds * 2) / 3);
}
