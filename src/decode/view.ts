/** Safe access to the bytes of a packet or of a part of it, of which only the first may have been captured. */

export class View {
  /** Length of this part on the wire, bytes. */
  readonly length: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, length: number) {
    this.length = length;
    this.#bytes = bytes.subarray(0, length);
  }

  /** Whether the first `count` bytes were captured. */
  has(count: number): boolean {
    return this.#bytes.length >= count;
  }

  /** @throws CutShort when the byte was not captured; the other accessors do the same */
  u8(offset: number): number {
    const byte = this.#bytes[offset];
    if (byte === undefined) throw new CutShort();
    return byte;
  }

  u16(offset: number): number {
    return this.u8(offset) * 0x1_00 + this.u8(offset + 1);
  }

  u32(offset: number): number {
    return this.u16(offset) * 0x1_00_00 + this.u16(offset + 2);
  }

  ipv4(offset: number): string {
    return [0, 1, 2, 3].map((index) => this.u8(offset + index)).join('.');
  }

  /** In the form of RFC 5952: the longest run of two or more zero groups, or the first of equal runs, becomes `::`. */
  ipv6(offset: number): string {
    const groups = Array.from({ length: 8 }, (_, index) => this.u16(offset + 2 * index).toString(16));
    const text = groups.join(':');
    const runs = [...text.matchAll(/\b0(?::0)+\b/g)];
    const [longest] = runs.sort((left, right) => right[0].length - left[0].length);
    if (longest === undefined) return text;
    const before = text.slice(0, longest.index).replace(/:$/, '');
    const after = text.slice(longest.index + longest[0].length).replace(/^:/, '');
    return `${before}::${after}`;
  }

  hex(from: number, to: number): string {
    let text = '';
    for (let offset = from; offset < to; offset += 1) text += this.u8(offset).toString(16).padStart(2, '0');
    return text;
  }

  /** The part between two offsets, which may lie beyond what was captured but not beyond the end. */
  slice(from: number, to: number = this.length): View {
    return new View(this.#bytes.subarray(from), Math.max(0, Math.min(to, this.length) - from));
  }
}

/** A byte is missing: the packet is shorter than its headers say, or was truncated when it was captured. */
export class CutShort extends Error {}

/** The description of a payload, without addresses. */
export interface Payload {
  /** Source and destination port, if the protocol has them and they were captured. */
  readonly ports: readonly [source: number, destination: number] | null;
  readonly text: string;
}

/** A payload without ports. */
export function plain(text: string): Payload {
  return { ports: null, text };
}

/** The extension headers of an IPv6 packet (RFC 8200, section 4). */
export interface Extensions {
  /** Their description, each followed by a space. */
  readonly text: string;
  /** The protocol that follows them; `null` in a later fragment, or after a truncated header. */
  readonly protocol: number | null;
  readonly rest: View;
  /** The rest of the payload is in other packets. */
  readonly isFragment: boolean;
}

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION = 60;

/** Reads the chain of headers that starts with `first`. */
export function readExtensions(first: number, view: View): Extensions {
  let text = '';
  let protocol = first;
  let rest = view;
  let isFragment = false;
  for (;;) {
    const name = NAMES.get(protocol);
    if (name === undefined) return { text, protocol, rest, isFragment };
    try {
      const header = protocol === FRAGMENT ? readFragment(rest) : readHeader(protocol, rest);
      text += `${header.text} `;
      if (header.isLaterFragment) return { text, protocol: null, rest, isFragment: true };
      isFragment ||= protocol === FRAGMENT;
      protocol = rest.u8(0);
      rest = rest.slice(header.length);
    } catch (error) {
      if (error instanceof CutShort) return { text: `${text}[|${name}] `, protocol: null, rest, isFragment };
      throw error;
    }
  }
}

/** tcpdump's names for truncated ones. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [HOP_BY_HOP, 'hbhopt'],
  [ROUTING, 'srcrt'],
  [FRAGMENT, 'frag'],
  [DESTINATION, 'dstopt'],
]);

interface Header {
  readonly text: string;
  /** Bytes. */
  readonly length: number;
  readonly isLaterFragment: boolean;
}

function readHeader(protocol: number, view: View): Header {
  const length = (view.u8(1) + 1) * 8;
  if (!view.has(length)) throw new CutShort();
  return { text: describeHeader(protocol, view), length, isLaterFragment: false };
}

function describeHeader(protocol: number, view: View): string {
  if (protocol === HOP_BY_HOP) return 'HBH';
  if (protocol === DESTINATION) return 'DSTOPT';
  return `RT6 (len=${view.u8(1)}, type=${view.u8(2)}, segleft=${view.u8(3)})`;
}

function readFragment(view: View): Header {
  const offsetAndFlags = view.u16(2);
  const offset = offsetAndFlags & 0xfff8;
  if (!view.has(8)) throw new CutShort();
  return { text: `frag (${offset}|${view.length - 8})`, length: 8, isLaterFragment: offset > 0 };
}
