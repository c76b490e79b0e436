/** One contender's turn in one round: all figures, in namespaces of their own. */
import { createSites } from '../testbed/sites.ts';
import { ping } from '../testbed/traffic/ping.ts';
import type { Contender } from './contenders/contender.ts';
import { bringUp } from './ends.ts';
import { Iperf } from './figures/iperf.ts';
import { processorSeconds, residentBytes } from './figures/processor-time.ts';
import type { Link, Options } from './options.ts';
import { median, quantile } from './statistics.ts';

const SMALL_PAYLOAD = 64;
const LARGE_PAYLOAD = 1400;
const OFFERED_BITS_PER_SECOND = 1e9;
const STREAMS = 4;
const PING = { count: 300, intervalMs: 10 };
/** `ping` prints milliseconds. */
const MICROSECONDS = 1000;
const GIGABYTE = 1e9;

/** `null`: not applicable to this contender, as there is no process to measure in the kernel. */
export interface Figures {
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
  /** Share of 1,400-byte datagrams lost at 1 Gbit/s, 0 to 1. */
  readonly udpLoss: number;
  /** Microseconds. */
  readonly roundTrip: number;
  /** 99th percentile, microseconds. */
  readonly roundTripTail: number;
  /** Resident memory of one tunnel process after all that, bytes. */
  readonly memory: number | null;
  /** From the start of one end's process until the first packet made a round trip, milliseconds. */
  readonly firstPacketMs: number | null;
  /** TCP retransmissions in the one-stream runs. */
  readonly retransmits: number;
}

export async function measure(
  contender: Contender,
  link: Link,
  { seconds, congestion }: Options,
): Promise<Figures> {
  await using sites = await createSites({ link, tunMtu: contender.tunMtu });
  await contender.prepare?.(sites);
  const ends = await bringUp(contender, sites);
  const pids = ends === null ? [] : [ends.a.pid, ends.b.pid];
  const { a, b } = sites;
  const address = contender.addresses(b).ipv4;
  const iperf = await Iperf.start(a, b, address, congestion);
  const udpSeconds = Math.ceil((seconds * 2) / 3);
  const before = await processorSeconds(pids);
  const there = await iperf.tcp({ seconds });
  const back = await iperf.tcp({ seconds, reverse: true });
  const spent = (await processorSeconds(pids)) - before;
  const four = await iperf.tcp({ seconds, streams: STREAMS });
  const small = await iperf.udp({ seconds: udpSeconds, payload: SMALL_PAYLOAD, bitsPerSecond: 0 });
  const large = await iperf.udp({
    seconds: udpSeconds,
    payload: LARGE_PAYLOAD,
    bitsPerSecond: OFFERED_BITS_PER_SECOND,
  });
  const { roundTripsMs } = await ping(a, address, PING);
  return {
    tcpThere: there.bitsPerSecond,
    tcpBack: back.bitsPerSecond,
    tcp: (there.bitsPerSecond + back.bitsPerSecond) / 2,
    tcpFourStreams: four.bitsPerSecond,
    processorPerGigabyte: ends === null ? null : spent / ((there.bytes + back.bytes) / GIGABYTE),
    udpSmall: small.deliveredPerSecond,
    udpLoss: large.loss,
    roundTrip: median(roundTripsMs) * MICROSECONDS,
    roundTripTail: quantile(roundTripsMs, 0.99) * MICROSECONDS,
    memory: ends === null ? null : await residentBytes(ends.a.pid),
    firstPacketMs: ends?.firstPacketMs ?? null,
    retransmits: there.retransmits + back.retransmits,
  };
}
