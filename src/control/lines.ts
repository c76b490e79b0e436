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
