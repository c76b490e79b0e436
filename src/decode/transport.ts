/** TCP and UDP. */
import { CutShort, plain } from './view.ts';
import type { Payload, View } from './view.ts';

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
const URG = 0x20;

/** In the order in which tcpdump prints them; ECE and CWR (RFC 3168) are `E` and `W`. */
const FLAG_LETTERS: readonly (readonly [number, string])[] = [
  [FIN, 'F'],
  [SYN, 'S'],
  [RST, 'R'],
  [0x08, 'P'],
  [ACK, '.'],
  [URG, 'U'],
  [0x40, 'E'],
  [0x80, 'W'],
];

const SHORTEST_HEADER = 20;

/** RFC 9293. */
export function describeTcp(view: View): Payload {
  if (!view.has(4)) return plain('[|tcp]');
  return { ports: [view.u16(0), view.u16(2)], text: describeSegment(view) };
}

function describeSegment(view: View): string {
  if (!view.has(SHORTEST_HEADER)) return '[|tcp]';
  const headerLength = (view.u8(12) >> 4) * 4;
  const length = view.length - headerLength;
  if (headerLength < SHORTEST_HEADER) {
    return `tcp ${length} [bad hdr length ${headerLength} - too short, < ${SHORTEST_HEADER}]`;
  }
  const flags = view.u8(13);
  const letters = FLAG_LETTERS.map(([bit, letter]) => ((flags & bit) === 0 ? '' : letter)).join('');
  const shown = `Flags [${letters === '' ? 'none' : letters}]`;
  if (length < 0) return `${shown} [bad hdr length ${headerLength} - too long, > ${view.length}]`;

  const parts = [shown];
  const sequence = view.u32(4);
  if (length > 0) parts.push(`seq ${sequence}:${(sequence + length) % 2 ** 32}`);
  else if ((flags & (SYN | FIN | RST)) !== 0) parts.push(`seq ${sequence}`);
  if ((flags & ACK) !== 0) parts.push(`ack ${view.u32(8)}`);
  parts.push(`win ${view.u16(14)}`);
  if ((flags & URG) !== 0) parts.push(`urg ${view.u16(18)}`);
  if (headerLength > SHORTEST_HEADER) {
    parts.push(`options [${describeOptions(view.slice(SHORTEST_HEADER, headerLength)).join(',')}]`);
  }
  parts.push(`length ${length}`);
  return parts.join(', ');
}

function describeOptions(view: View): string[] {
  const options: string[] = [];
  try {
    for (let offset = 0; offset < view.length;) {
      const kind = view.u8(offset);
      if (kind === 0) return [...options, 'eol'];
      const length = kind === 1 ? 1 : view.u8(offset + 1);
      if (kind !== 1 && length < 2) throw new CutShort();
      options.push(describeOption(kind, optionValue(view, offset, length)));
      offset += length;
    }
  } catch (error) {
    if (!(error instanceof CutShort)) throw error;
    options.push('[bad opt]');
  }
  return options;
}

function optionValue(view: View, offset: number, length: number): View {
  if (offset + length > view.length) throw new CutShort();
  return view.slice(offset + Math.min(2, length), offset + length);
}

/** RFC 9293 section 3.2, RFC 7323, RFC 2018, RFC 7413. @throws CutShort when the length of the option is wrong. */
function describeOption(kind: number, value: View): string {
  switch (kind) {
    case 1:
      return 'nop';
    case 2:
      return `mss ${ofLength(2, value).u16(0)}`;
    case 3:
      return `wscale ${ofLength(1, value).u8(0)}`;
    case 4:
      ofLength(0, value);
      return 'sackOK';
    case 5:
      return `sack ${value.length / 8} ${describeSackBlocks(value)}`;
    case 8:
      return `TS val ${ofLength(8, value).u32(0)} ecr ${value.u32(4)}`;
    case 34:
      return value.length === 0 ? 'tfo  cookiereq' : `tfo  cookie ${value.hex(0, value.length)}`;
    default:
      return `unknown-${kind}${value.length === 0 ? '' : ` 0x${value.hex(0, value.length)}`}`;
  }
}

function ofLength(length: number, value: View): View {
  if (value.length !== length) throw new CutShort();
  return value;
}

function describeSackBlocks(value: View): string {
  if (value.length === 0 || value.length % 8 !== 0) throw new CutShort();
  let blocks = '';
  for (let offset = 0; offset < value.length; offset += 8) {
    blocks += `{${value.u32(offset)}:${value.u32(offset + 4)}}`;
  }
  return blocks;
}

const HEADER_LENGTH = 8;

/**
 * RFC 768.
 *
 * @param isFragment whether the rest of the datagram is in other packets
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
