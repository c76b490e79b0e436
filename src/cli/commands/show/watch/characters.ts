/** Text as a terminal counts it: by characters, all of which stand in one cell here. */

export function lengthOf(text: string): number {
  return Array.from(text).length;
}

/** The first `count` characters. */
export function firstOf(text: string, count: number): string {
  return Array.from(text).slice(0, count).join('');
}

/** In one line, and what is too long is cut off so that it is seen. */
export function shorten(text: string, width: number): string {
  const line = text.replaceAll(/\s+/g, ' ');
  if (lengthOf(line) <= width) return line;
  return width === 0 ? '' : `${firstOf(line, width - 1)}…`;
}
