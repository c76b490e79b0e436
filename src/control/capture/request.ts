/** What is to be captured. */
import { ControlError } from '../error.ts';

export interface CaptureRequest {
  readonly tunnel: string;
  /** Bytes of each packet. */
  readonly snapLength: number;
  /** Packets after which it ends; `null` for no end. */
  readonly count: number | null;
  /** Only packets from the peer (`in`) or from the device (`out`); `null` for both. */
  readonly direction: 'in' | 'out' | null;
}

/** The largest IP packet that there can be. */
export const WHOLE_PACKET = 65_535;

/** @throws ControlError that names what is wrong */
export function parseCaptureRequest(parameters: Readonly<Record<string, unknown>>): CaptureRequest {
  const { tunnel, snapLength = WHOLE_PACKET, count = null, direction = null, ...others } = parameters;
  const [other] = Object.keys(others);
  if (other !== undefined) throw wrong(`capture does not take ${JSON.stringify(other)}`);
  if (typeof tunnel !== 'string') throw wrong('"tunnel" is not the name of a tunnel');
  if (!isCount(snapLength) || snapLength > WHOLE_PACKET) {
    throw wrong(`"snapLength" is not a number of bytes from 1 to ${WHOLE_PACKET}`);
  }
  if (count !== null && !isCount(count)) throw wrong('"count" is not a number of packets from 1');
  if (direction !== null && direction !== 'in' && direction !== 'out') {
    throw wrong('"direction" is neither "in" nor "out"');
  }
  return { tunnel, snapLength, count, direction };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1;
}

function wrong(message: string): ControlError {
  return new ControlError('invalid-request', message);
}
