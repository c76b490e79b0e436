/** The largest packets that pass a path, found with echo requests of many lengths. */
import { answersIn, repeated, SLOW_MS, SMALL } from './echo.ts';
import type { EchoAnswer, EchoRequest, EchoResults, Pace } from './echo.ts';

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

/** The path to measure. */
export interface MeasuredPath {
  /** An address of the peer inside the tunnel. */
  readonly address: string;
  /** Bytes that the tunnel adds to each packet. */
  readonly overhead: number;
  /** The largest packet that this host can send to the peer, or may want to, in bytes. */
  readonly most: number;
}

export interface Lengths {
  readonly largestSent: LargestPacket;
  readonly largestReceived: LargestPacket;
  readonly peerMtu: number | null;
  readonly longer: LongerPackets | null;
}

/** Requests of each length, as some may be lost by chance. */
const COPIES = 3;
const LONGER_REQUESTS = 10;
type Ask = (requests: readonly EchoRequest[]) => Promise<EchoResults>;

export async function findLargest({ overhead, most }: MeasuredPath, pace: Pace): Promise<Lengths> {
  const seen: EchoAnswer[] = [];
  let peerMtu: number | null = null;
  const askAt =
    (distanceMs?: number): Ask =>
    async (requests) => {
      const results = await pace.ask(requests, distanceMs);
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
  const whole = {
    request: (bytes: number): EchoRequest => ({ ...SMALL, bytes, isWhole: true }),
    passes: (_bytes: number, answers: readonly EchoAnswer[]) => answers.length > 0,
  };
  const nothing = { low: SMALL.bytes, failed: [] };
  let sent = await search(nothing, [...common, most], { ask: askAt(), ...whole });
  if (highOf(sent) !== null) {
    // What seems not to pass may have come too fast for the path.
    sent = await search({ ...sent, failed: [] }, [...new Set([sent.low + 1, most])], {
      ask: askAt(SLOW_MS),
      ...whole,
    });
  }
  // Replies to longer packets, which reach the peer in fragments, may still arrive whole.
  const longer =
    highOf(sent) === null
      ? null
      : await sendLonger(Math.min(most, sent.low + SECOND_FRAGMENT), askAt(SLOW_MS));
  const received = await search(
    {
      low: Math.max(SMALL.bytes, ...seen.filter((answer) => !answer.isReassembled).map(({ bytes }) => bytes)),
      failed: seen.filter(({ isReassembled }) => isReassembled).map(({ bytes }) => bytes),
    },
    null,
    {
      ask: askAt(),
      request: (bytes) => ({ ...SMALL, bytes }),
      passes: (bytes, answers) => {
        // The request may be what was lost.
        if (answers.length === 0) return bytes <= sent.low ? false : null;
        const complete = answers.filter((answer) => answer.bytes === bytes);
        return complete.length === 0 ? null : complete.some(({ isReassembled }) => !isReassembled);
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
