/**
 * Measures the path to the peer with echo requests, which every host answers: round-trip time, loss, the largest packet that passes in
 * each direction, fragments, and ECN.
 *
 * The peer's host replies with a packet of the same length and TOS. Requests are sent without fragmentation (DF) to find what passes to
 * the peer; replies travel as the peer sends them, and the kernel of this host reports whether a datagram was reassembled.
 */

import { answersIn, Pace, repeated, SMALL } from './echo.ts';
import type { EchoAnswer, SendEchoes } from './echo.ts';
import { findLargest } from './path-lengths.ts';
import type { LargestPacket, LongerPackets, MeasuredPath } from './path-lengths.ts';

/** The results of `tunnel.measurePath()`. */
export interface PathMeasurement {
  /** The address inside the tunnel that was asked. */
  readonly address: string;
  /** Small packets sent, each of which is to be answered. */
  readonly requests: number;
  /** Those that were answered. */
  readonly answers: number;
  /** Round-trip times of the small packets, in ms; `null` without answers. The other values are unknown then. */
  readonly rtt: PathRtt | null;
  /** The largest packet that reaches the peer in a datagram that is not fragmented. */
  readonly largestSent: LargestPacket | null;
  /** The largest packet that arrives from the peer in a datagram that is not fragmented. */
  readonly largestReceived: LargestPacket | null;
  /** The MTU of the peer's device, at most 7 bytes too small, if its replies show it: longer ones arrived as several packets. */
  readonly peerMtu: number | null;
  /** Packets longer than `largestSent`, sent like any other packet; `null` if that is not a limit. */
  readonly longer: LongerPackets | null;
  /** What happens to congestion marks on the way to the peer. */
  readonly ecnSent: EcnTreatment;
  /** The same on the way from the peer. */
  readonly ecnReceived: EcnTreatment;
}

/** Round-trip times in ms. */
export interface PathRtt {
  /** The shortest. */
  readonly min: number;
  /** The median. */
  readonly median: number;
  /** The longest. */
  readonly max: number;
}

/**
 * What a path does to the ECN field of datagrams.
 *
 * - `kept`: marks arrive
 * - `cleared`: marks do not arrive: the path clears them, or the other end does not read them
 * - `marked`: all datagrams that may be marked arrive with the mark for congestion (CE)
 * - `dropped`: datagrams with the field set are lost
 * - `unknown`: it cannot be seen from this end
 */
export type EcnTreatment = 'kept' | 'cleared' | 'marked' | 'dropped' | 'unknown';

/** ECN field of the IP header (RFC 3168, section 5). */
const NOT_ECT = 0;
const ECT_1 = 1;
const ECT_0 = 2;
const CE = 3;
const ECN_MASK = 3;

const SMALL_REQUESTS = 20;
const SMALL_DISTANCE_MS = 25;
/** Satellite links with full queues answer within this time. */
const SMALL_TIMEOUT_MS = 3000;
const SECOND_TIMEOUT_MS = 1000;
const CAPABLE_REQUESTS = 3;
const ECN_REQUESTS = 8;
/** Takes a few seconds. Rejects as `send` does. */
export async function measurePath(path: MeasuredPath, send: SendEchoes): Promise<PathMeasurement> {
  const small = await send(repeated(SMALL, SMALL_REQUESTS), {
    distanceMs: SMALL_DISTANCE_MS,
    timeoutMs: SMALL_TIMEOUT_MS,
  });
  const rtt = summarise(small.flatMap((answer) => answer?.rttMs ?? []));
  const basic = { address: path.address, requests: small.length, answers: answersIn(small).length, rtt };
  if (rtt === null) return { ...basic, ...UNKNOWN, ecnSent: await explainSilence(send) };
  const pace = new Pace(send, rtt.max);
  return { ...basic, ...(await findLargest(path, pace)), ...(await observeEcn(pace)) };
}

const UNKNOWN = {
  largestSent: null,
  largestReceived: null,
  peerMtu: null,
  longer: null,
  ecnSent: 'unknown',
  ecnReceived: 'unknown',
} as const;

function summarise(times: readonly number[]): PathRtt | null {
  const sorted = times.toSorted((one, other) => one - other);
  const [min] = sorted;
  const median = sorted[Math.floor(sorted.length / 2)];
  const max = sorted.at(-1);
  return min === undefined || median === undefined || max === undefined ? null : { min, median, max };
}

// ECN.

/** If all datagrams are marked on the way, the peer drops those whose packets do not support ECN (RFC 6040, section 4.2). */
async function explainSilence(send: SendEchoes): Promise<EcnTreatment> {
  const capable = { ...SMALL, tos: ECT_0, outerTos: NOT_ECT };
  const times = { distanceMs: SMALL_DISTANCE_MS, timeoutMs: SECOND_TIMEOUT_MS };
  const answers = answersIn(await send(repeated(capable, CAPABLE_REQUESTS), times));
  return answers.some(({ tos }) => (tos & ECN_MASK) === CE) ? 'marked' : 'unknown';
}

/**
 * The other end combines the field of the datagram with that of the packet (RFC 6040, section 4.2), which its host copies into the reply:
 * ECT(0) inside becomes CE under CE.
 */
async function observeEcn(pace: Pace): Promise<Pick<PathMeasurement, 'ecnSent' | 'ecnReceived'>> {
  const requests = Array.from({ length: ECN_REQUESTS }, () => [NOT_ECT, ECT_0, ECT_1, CE]).flat();
  const results = await pace.ask(requests.map((outerTos) => ({ ...SMALL, tos: ECT_0, outerTos })));
  const answersTo = (outer: number): EchoAnswer[] =>
    results.flatMap((answer, index) => (answer !== null && requests[index] === outer ? [answer] : []));
  return { ecnSent: judgeSent(answersTo), ecnReceived: judgeReceived(answersIn(results)) };
}

function judgeSent(answersTo: (outer: number) => readonly EchoAnswer[]): EcnTreatment {
  const inner = (outer: number): number | null =>
    mostCommon(answersTo(outer).map(({ tos }) => tos & ECN_MASK));
  // Without marks outside, the reply shows whether the peer's host copies the field.
  if (inner(NOT_ECT) === null) return 'unknown';
  if (inner(ECT_0) === null && inner(CE) === null) return 'dropped';
  if (inner(NOT_ECT) !== ECT_0) return 'unknown';
  if (inner(ECT_0) === CE) return 'marked';
  return inner(CE) === CE ? 'kept' : 'cleared';
}

/** A peer with `ecn = true` copies the field of a packet to its datagram. */
function judgeReceived(answers: readonly EchoAnswer[]): EcnTreatment {
  const capable = answers.filter(({ tos }) => (tos & ECN_MASK) === ECT_0);
  const outer = mostCommon(capable.map(({ outerTos }) => outerTos & ECN_MASK));
  if (outer === CE) return 'marked';
  return outer === ECT_0 ? 'kept' : 'unknown';
}

/** `null` without values. */
function mostCommon(values: readonly number[]): number | null {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const [first] = [...counts].toSorted(([, one], [, other]) => other - one);
  return first?.[0] ?? null;
}
