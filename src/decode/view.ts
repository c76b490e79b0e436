/** The bytes of a packet, or of a part of it, of which only the beginning may be at hand. */
export class View {
  /** Bytes of this part on the wire. */
  readonly length: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, length: number) {
    this.length = length;
    this.#bytes = bytes.subarray(0, length);
  }

  /** Whether the first `count` bytes are at hand. */
  has(count: number): boolean {
    return this.#bytes.length >= count;
  }

  /** @throws CutShort when the byte is not at hand; so do the others */
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

  /** Spelt as RFC 5952 recommends: the longest run of two or more zero groups, the first of equals, becomes `::`. */
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

  /** The part from one offset to another, which may lie beyond what is at hand but not beyond the end. */
  slice(from: number, to: number = this.length): View {
    return new View(this.#bytes.subarray(from), Math.max(0, Math.min(to, this.length) - from));
  }
}

/** A byte was asked for that is not at hand: the packet is shorter than it claims, or was cut when it was copied. */
export class CutShort extends Error {}
