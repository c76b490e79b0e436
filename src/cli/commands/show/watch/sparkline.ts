/** A small chart of one line, scaled to its highest value. `null` is a gap. */
export function sparkline(values: readonly (number | null)[]): string {
  const highest = Math.max(0, ...values.map((value) => value ?? 0));
  return values.map((value) => (value === null ? ' ' : barFor(value, highest))).join('');
}

/** A value above 0 is seen as such, however small it is beside the highest. */
function barFor(value: number, highest: number): string {
  if (value === 0) return '▁';
  const step = Math.ceil((value / highest) * (BARS.length - 1));
  return BARS[Math.max(1, step)] ?? '█';
}

const BARS = '▁▂▃▄▅▆▇█';
