import type { Payload } from './payload.ts';
import { plain } from './payload.ts';
import type { View } from './view.ts';

const HEADER_LENGTH = 8;

/**
 * RFC 768.
 *
 * @param isFragment whether the rest of the datagram travels in other packets
 */
export function describeUdp(view: View, isFragment: boolean): Payload {
  if (!view.has(4)) return plain('[|udp]');
  return { ports: [view.u16(0), view.u16(2)], text: describeLength(view, isFragment) };
}

function describeLength(view: View, isFragment: boolean): string {
  if (view.length < HEADER_LENGTH) return `truncated-udp ${view.length}`;
  if (!view.has(HEADER_LENGTH)) return '[|udp]';
  const claimed = view.u16(4);
  if (claimed < HEADER_LENGTH) return `truncated-udplength ${claimed}`;
  const there = view.length - HEADER_LENGTH;
  const length = claimed - HEADER_LENGTH;
  return length > there && !isFragment ? `UDP, bad length ${length} > ${there}` : `UDP, length ${length}`;
}
