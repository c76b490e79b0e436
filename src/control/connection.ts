import type { Socket } from 'node:net';

/** Cuts what comes in into lines, and holds no more than one of them. */
export class LineTooLong extends Error {}

/**
 * @param longest in bytes; a longer line ends it with `LineTooLong`, so that nobody can make it hold more
 * @returns the lines without their ends; the last one may lack its end. Empty ones are left out
 */
export async function* linesOf(chunks: AsyncIterable<Buffer>, longest: number): AsyncGenerator<string, void> {
  let held: Buffer[] = [];
  let size = 0;
  const take = (last: Buffer): string => {
    if (size + last.length > longest) throw new LineTooLong();
    const line = Buffer.concat([...held, last])
      .toString()
      .trim();
    [held, size] = [[], 0];
    return line;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let to = chunk.indexOf(NEWLINE); to !== -1; to = chunk.indexOf(NEWLINE, from)) {
      const line = take(chunk.subarray(from, to));
      from = to + 1;
      if (line !== '') yield line;
    }
    if (from === chunk.length) continue;
    held.push(chunk.subarray(from));
    size += chunk.length - from;
    if (size > longest) throw new LineTooLong();
  }
  const line = take(Buffer.alloc(0));
  if (line !== '') yield line;
}

export const NEWLINE = 0x0a;

// What comes in over a connection: lines, and behind one of them something that is none.

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

/** Resolves when the system has taken it, which it does as fast as the client reads; rejects when the client has gone. */
export function send(socket: Socket, data: string | Buffer): Promise<void> {
  if (data.length === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    socket.write(data, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
