/**
 * Measures the path to the peer with echo requests, which every host answers: round-trip time, loss, the largest packet that passes in
 * each direction, fragments, and ECN.
 *
 * The peer's host replies with a packet of the same length and TOS. Requests are sent without fragmentation (DF) to find what passes to
 * the peer; replies travel as the peer sends them, and the kernel of this host reports whether a datagram was reassembled.
 */

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

/** The largest packet that passes. */
export interface LargestPacket {
  /** Its length in bytes, without the headers that the tunnel adds. */
  readonly bytes: number;
  /** Whether a packet of one byte more does not pass; otherwise no larger one was tried. */
  readonly isLimit: boolean;
}

/** Packets that are too long to reach the peer unfragmented. */
export interface LongerPackets {
  /** Length of each packet, in bytes. */
  readonly bytes: number;
  /** How many were sent. */
  readonly requests: number;
  /** How many were answered. */
  readonly answers: number;
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

/** An echo request to send through the tunnel. */
export interface EchoRequest {
  /** Length of the inner packet, in bytes. */
  readonly bytes: number;
  /** Its TOS or traffic class. */
  readonly tos: number;
  /** That of the datagram. */
  readonly outerTos: number;
  /** Whether the datagram must not be fragmented. */
  readonly isWhole: boolean;
}

/** The answer to an echo request; only the first fragment of one that the peer fragmented inside the tunnel. */
export interface EchoAnswer {
  readonly rttMs: number;
  /** Length of the inner packet, in bytes. */
  readonly bytes: number;
  readonly tos: number;
  readonly outerTos: number;
  /** Whether its datagram arrived in fragments. */
  readonly isReassembled: boolean;
}

/** The result of each request, in their order; `null` for one without an answer, or that this host could not send. */
export type EchoResults = readonly (EchoAnswer | null)[];

export interface EchoTimes {
  /** Between two requests, in whole ms. */
  readonly distanceMs: number;
  /** How long each answer may take, in whole ms. */
  readonly timeoutMs: number;
}

export type SendEchoes = (requests: readonly EchoRequest[], times: EchoTimes) => Promise<EchoResults>;

/** The path to measure. */
export interface MeasuredPath {
  /** An address of the peer inside the tunnel. */
  readonly address: string;
  /** Bytes that the tunnel adds to each packet. */
  readonly overhead: number;
  /** The largest packet that this host can send to the peer, or may want to, in bytes. */
  readonly most: number;
}

/** ECN field of the IP header (RFC 3168, section 5). */
const NOT_ECT = 0;
const ECT_1 = 1;
const ECT_0 = 2;
const CE = 3;
const ECN_MASK = 3;

const SMALL: EchoRequest = { bytes: 84, tos: 0, outerTos: 0, isWhole: false };

const SMALL_REQUESTS = 20;
const SMALL_DISTANCE_MS = 25;
/** Satellite links with full queues answer within this time. */
const FIRST_TIMEOUT_MS = 3000;
const SECOND_TIMEOUT_MS = 1000;
/** Requests of each length, as some may be lost by chance. */
const COPIES = 3;
const LONGER_REQUESTS = 10;
const ECN_REQUESTS = 8;
/** Between requests, ms: 1.2 Mbit/s with packets of 1,500 bytes. */
const DISTANCE_MS = 10;

/** Takes a few seconds. Rejects as `send` does. */
export async function measurePath(path: MeasuredPath, send: SendEchoes): Promise<PathMeasurement> {
  const small = await send(repeated(SMALL, SMALL_REQUESTS), {
    distanceMs: SMALL_DISTANCE_MS,
    timeoutMs: FIRST_TIMEOUT_MS,
  });
  const rtt = summarise(small.flatMap((answer) => answer?.rttMs ?? []));
  const basic = { address: path.address, requests: small.length, answers: answersIn(small).length, rtt };
  if (rtt === null) return { ...basic, ...UNKNOWN, ecnSent: await explainSilence(send) };
  const times = {
    distanceMs: DISTANCE_MS,
    timeoutMs: Math.min(FIRST_TIMEOUT_MS, Math.ceil(4 * rtt.max) + 300),
  };
  const ask: Ask = (requests) => send(requests, times);
  return { ...basic, ...(await findLargest(path, ask)), ...(await observeEcn(ask)) };
}

type Ask = (requests: readonly EchoRequest[]) => Promise<EchoResults>;

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

function repeated(request: EchoRequest, times: number): EchoRequest[] {
  return Array.from({ length: times }, () => request);
}

function answersIn(results: EchoResults): EchoAnswer[] {
  return results.filter((answer) => answer !== null);
}

// The largest packets, and longer ones.

async function findLargest(
  { overhead, most }: MeasuredPath,
  ask: Ask,
): Promise<Pick<PathMeasurement, 'largestSent' | 'largestReceived' | 'peerMtu' | 'longer'>> {
  const seen: EchoAnswer[] = [];
  let peerMtu: number | null = null;
  const askAndSee: Ask = async (requests) => {
    const results = await ask(requests);
    for (const [index, answer] of results.entries()) {
      if (answer === null) continue;
      seen.push(answer);
      if (answer.bytes < (requests[index]?.bytes ?? 0)) peerMtu = Math.max(peerMtu ?? 0, answer.bytes);
    }
    return results;
  };
  const common = COMMON_MTUS.map((mtu) => mtu - overhead).filter(
    (bytes) => bytes > SMALL.bytes && bytes < most,
  );
  const sent = await search({ low: SMALL.bytes, failed: [] }, [...common, most], {
    ask: askAndSee,
    request: (bytes) => ({ ...SMALL, bytes, isWhole: true }),
    passes: (_bytes, answers) => answers.length > 0,
  });
  // Replies to longer packets, which reach the peer in fragments, may still arrive whole.
  const longer =
    highOf(sent) === null ? null : await sendLonger(Math.min(most, sent.low + SECOND_FRAGMENT), askAndSee);
  const received = await search(
    {
      low: Math.max(SMALL.bytes, ...seen.filter((answer) => !answer.isReassembled).map(({ bytes }) => bytes)),
      failed: seen.filter(({ isReassembled }) => isReassembled).map(({ bytes }) => bytes),
    },
    null,
    {
      ask: askAndSee,
      request: (bytes) => ({ ...SMALL, bytes }),
      passes: (bytes, answers) => {
        // The request may be what was lost.
        if (answers.length === 0) return bytes <= sent.low ? false : null;
        const whole = answers.filter((answer) => answer.bytes === bytes);
        return whole.length === 0 ? null : whole.some(({ isReassembled }) => !isReassembled);
      },
    },
  );
  return { largestSent: toLargest(sent), largestReceived: toLargest(received), peerMtu, longer };
}

/** MTUs of common networks and tunnels, in bytes: with them, most searches take two rounds. */
const COMMON_MTUS = [
  576, 1280, 1360, 1400, 1420, 1440, 1452, 1460, 1480, 1492, 1500, 2304, 4352, 9000, 16_384,
];
/** Lengths that are tried at once in later rounds. */
const AT_ONCE = 12;

/** A search for the largest length that passes. All smaller ones pass too, unless they are lost by chance. */
interface Search {
  /** The largest one that passed. */
  readonly low: number;
  /** Those that did not. */
  readonly failed: readonly number[];
}

interface SearchSettings {
  readonly ask: Ask;
  readonly request: (bytes: number) => EchoRequest;
  /** `null`: unknown. */
  readonly passes: (bytes: number, answers: readonly EchoAnswer[]) => boolean | null;
}

/** @param first the lengths to begin with; `null` for some between what is known */
async function search(
  known: Search,
  first: readonly number[] | null,
  { ask, request, passes }: SearchSettings,
): Promise<Search> {
  let found = known;
  let lengths = first ?? lengthsBetween(known);
  while (lengths.length > 0) {
    // The copies of one apart from each other: losses come in bursts.
    const requests = lengths.map(request);
    const results = await ask(Array.from({ length: COPIES }, () => requests).flat());
    const fates = lengths.map((bytes, index) => {
      const answers = answersIn(results.filter((_, number) => number % requests.length === index));
      return { bytes, passes: passes(bytes, answers) };
    });
    const passed = fates.filter((fate) => fate.passes === true).map(({ bytes }) => bytes);
    const failed = fates.filter((fate) => fate.passes === false).map(({ bytes }) => bytes);
    if (passed.length + failed.length === 0) break;
    found = { low: Math.max(found.low, ...passed), failed: [...found.failed, ...failed] };
    lengths = lengthsBetween(found);
  }
  return found;
}

/** The smallest length that does not pass; `null` if none is known. */
function highOf({ low, failed }: Search): number | null {
  const high = Math.min(...failed.filter((bytes) => bytes > low));
  return Number.isFinite(high) ? high : null;
}

/** Evenly spaced; and the one that ends the search if the largest that passed is the limit. */
function lengthsBetween(known: Search): number[] {
  const { low } = known;
  const high = highOf(known);
  if (high === null) return [];
  const step = Math.max(1, (high - low) / AT_ONCE);
  const spaced = Array.from({ length: AT_ONCE - 1 }, (_, index) => Math.round(low + (index + 1) * step));
  return [...new Set([low + 1, ...spaced])].filter((bytes) => bytes < high);
}

function toLargest(known: Search): LargestPacket {
  return { bytes: known.low, isLimit: highOf(known) !== null };
}

/** Bytes by which longer packets are longer, at most: more fragments would only load a slow path. */
const SECOND_FRAGMENT = 1280;

async function sendLonger(bytes: number, ask: Ask): Promise<LongerPackets> {
  const results = await ask(repeated({ ...SMALL, bytes }, LONGER_REQUESTS));
  return { bytes, requests: results.length, answers: answersIn(results).length };
}

// ECN.

/** If all datagrams are marked on the way, the peer drops those whose packets do not support ECN (RFC 6040, section 4.2). */
async function explainSilence(send: SendEchoes): Promise<EcnTreatment> {
  const capable = { ...SMALL, tos: ECT_0, outerTos: NOT_ECT };
  const times = { distanceMs: DISTANCE_MS, timeoutMs: SECOND_TIMEOUT_MS };
  const answers = answersIn(await send(repeated(capable, COPIES), times));
  return answers.some(({ tos }) => (tos & ECN_MASK) === CE) ? 'marked' : 'unknown';
}

/**
 * The other end combines the field of the datagram with that of the packet (RFC 6040, section 4.2), which its host copies into the reply:
 * ECT(0) inside becomes CE under CE.
 */
async function observeEcn(ask: Ask): Promise<Pick<PathMeasurement, 'ecnSent' | 'ecnReceived'>> {
  const requests = Array.from({ length: ECN_REQUESTS }, () => [NOT_ECT, ECT_0, ECT_1, CE]).flat();
  const results = await ask(requests.map((outerTos) => ({ ...SMALL, tos: ECT_0, outerTos })));
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
