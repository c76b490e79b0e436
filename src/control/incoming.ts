/** What comes in over a connection: lines, and behind one of them something that is none. */
import { LineTooLong, NEWLINE } from './lines.ts';

export class Incoming {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #longest: number;
  #held: Buffer = Buffer.alloc(0);

  /** @param longest line that is taken, in bytes */
  constructor(chunks: AsyncIterable<Buffer>, longest: number) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#longest = longest;
  }

  /** The next line; `null` when there is none any more. */
  async line(): Promise<string | null> {
    const parts: Buffer[] = [];
    for (let size = 0; size <= this.#longest; size += parts.at(-1)?.length ?? 0) {
      const chunk = this.#held.length > 0 ? this.#held : await this.#next();
      if (chunk === null) return null;
      const end = chunk.indexOf(NEWLINE);
      this.#held = end === -1 ? Buffer.alloc(0) : chunk.subarray(end + 1);
      parts.push(end === -1 ? chunk : chunk.subarray(0, end));
      if (end !== -1) return Buffer.concat(parts).toString();
    }
    throw new LineTooLong();
  }

  /** Everything that is left. */
  async *rest(): AsyncGenerator<Buffer, void> {
    if (this.#held.length > 0) yield this.#held;
    for (let chunk = await this.#next(); chunk !== null; chunk = await this.#next()) yield chunk;
  }

  /** A connection that breaks off has ended, too. */
  async #next(): Promise<Buffer | null> {
    try {
      const { done, value } = await this.#chunks.next();
      return done === true ? null : value;
    } catch {
      return null;
    }
  }
}
