/** Text as a terminal counts it: by characters, all of which stand in one cell here. */

export function lengthOf(text: string): number {
  return Array.from(text).length;
}

/** The first `count` characters. */
export function firstOf(text: string, count: number): string {
  return Array.from(text).slice(0, count).join('');
}

/** For a terminal that shows nothing else: the characters of the view have one of ASCII each, others become a question mark. */
export function toAscii(text: string): string {
  return text.replaceAll(/[^ -~]/gu, (character) => ASCII.get(character) ?? '?');
}

const ASCII: ReadonlyMap<string, string> = new Map([
  ...Array.from('▁▂▃▄▅▆▇█', (bar, index): [string, string] => [bar, '_.:-=+*#'.charAt(index)]),
  ['…', '~'],
  ['–', '-'],
  ['↑', '^'],
  ['↓', 'v'],
]);

/** In one line, and what is too long is cut off so that it is seen. */
export function shorten(text: string, width: number): string {
  const line = text.replaceAll(/\s+/g, ' ');
  if (lengthOf(line) <= width) return line;
  return width === 0 ? '' : `${firstOf(line, width - 1)}…`;
}
