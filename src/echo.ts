/** Echo requests through a tunnel, with which its path is measured, and the pace at which they are sent. */

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

/** Sends them and waits for the answers. */
export type SendEchoes = (requests: readonly EchoRequest[], times: EchoTimes) => Promise<EchoResults>;

export const SMALL: EchoRequest = { bytes: 84, tos: 0, outerTos: 0, isWhole: false };

export function repeated(request: EchoRequest, times: number): EchoRequest[] {
  return Array.from({ length: times }, () => request);
}

export function answersIn(results: EchoResults): EchoAnswer[] {
  return results.filter((answer) => answer !== null);
}

/** Sends requests, and waits for answers as long as the path may take. */
export class Pace {
  readonly #send: SendEchoes;
  /** The longest round trip so far, ms. */
  #longest: number;

  /** @param longest the longest round trip of small requests, in ms */
  constructor(send: SendEchoes, longest: number) {
    this.#send = send;
    this.#longest = longest;
  }

  async ask(requests: readonly EchoRequest[], distanceMs: number = FAST_MS): Promise<EchoResults> {
    const results = await this.#send(requests, {
      distanceMs,
      timeoutMs: Math.min(LONGEST_TIMEOUT_MS, Math.ceil(4 * this.#longest) + 300),
    });
    this.#longest = Math.max(this.#longest, ...answersIn(results).map(({ rttMs }) => rttMs));
    return results;
  }
}

/** Between requests, ms: 1.2 Mbit/s with packets of 1,500 bytes. */
const FAST_MS = 10;
/** The same with 120 kbit/s. */
export const SLOW_MS = 100;
const LONGEST_TIMEOUT_MS = 3000;
