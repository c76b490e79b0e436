/** The extension headers of IPv6 (RFC 8200, section 4). */
import { CutShort } from './view.ts';
import type { View } from './view.ts';

export interface Extensions {
  /** The headers in words, each with a space after it. */
  readonly text: string;
  /** What follows them; `null` when it is not there: in a later fragment, or behind a header that is cut short. */
  readonly protocol: number | null;
  readonly rest: View;
  /** `rest` is the beginning of a payload that continues in other packets. */
  readonly isFragment: boolean;
}

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION = 60;

/** Reads the chain that begins with header `first`. */
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

/** As they are called when they are cut short. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [HOP_BY_HOP, 'hbhopt'],
  [ROUTING, 'srcrt'],
  [FRAGMENT, 'frag'],
  [DESTINATION, 'dstopt'],
]);

interface Header {
  readonly text: string;
  /** In bytes. */
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
