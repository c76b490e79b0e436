/** Text in lines that fit a terminal. */

/** Breaks text between words; a word longer than `width` keeps a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  if (line !== '') lines.push(line);
  return lines;
}

/** As a table of two columns, the right one wrapped; a name too long for its column has a line of its own. */
export function wrapRows(rows: readonly (readonly [name: string, text: string])[], width: number): string[] {
  const fitting = rows.map(([name]) => name.length).filter((length) => length <= width / 3);
  const column = Math.max(0, ...fitting);
  const margin = ' '.repeat(column + GAP);
  return rows.flatMap(([name, text]) => {
    const [first = '', ...rest] = wrap(text, width - margin.length);
    const below = rest.map((line) => margin + line);
    if (name.length > column) return [name, margin + first, ...below];
    return [name.padEnd(column + GAP) + first, ...below];
  });
}

/** Between the columns. */
const GAP = 2;
