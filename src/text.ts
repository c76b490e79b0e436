/** "Did you mean …?" for commands, options and configuration keys; quoting for shells; sizes, rates, times and shares. */

/** `; did you mean show?`; empty when no candidate is similar. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const meant = suggest(word, candidates);
  return meant === null ? '' : `; did you mean ${meant}?`;
}

/** The candidate most similar to `word`; `null` when none is similar. */
export function suggest(word: string, candidates: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const distance = similarity(word, candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** From this length, the beginning of a word identifies it. */
const PREFIX_LENGTH = 3;

/** The edit distance of the two words; infinite when it is too large for a typing error. */
function similarity(word: string, candidate: string): number {
  const [typed, meant] = [word.toLowerCase(), candidate.toLowerCase()];
  if (typed.length >= PREFIX_LENGTH && meant.startsWith(typed)) return 1;
  const distance = editDistance(typed, meant);
  // Up to a third of a word may be wrong.
  return distance <= Math.max(1, Math.floor(Math.max(typed.length, meant.length) / 3)) ? distance : Infinity;
}

/**
 * How many letters are missing, added, replaced or swapped with their neighbour: the optimal string alignment distance (Damerau 1964),
 * computed row by row.
 */
function editDistance(typed: string, meant: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: meant.length + 1 }, (_, index) => index);
  for (let i = 1; i <= typed.length; i++) {
    const row = [i];
    for (let j = 1; j <= meant.length; j++) {
      const replaced = at(last, j - 1) + (typed[i - 1] === meant[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && typed[i - 1] === meant[j - 2] && typed[i - 2] === meant[j - 1];
      const swapped = isSwap ? at(beforeLast, j - 2) + 1 : Infinity;
      row.push(Math.min(at(last, j) + 1, at(row, j - 1) + 1, replaced, swapped));
    }
    [beforeLast, last] = [last, row];
  }
  return at(last, meant.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}

/** Text as one quoted word of a shell: `'it'\''s'`. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** `now`, `12 s`, `3 min`, `2 h`, `9 d`: for a column. */
export function formatAgoShort(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return 'now';
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** Three significant digits: `0.25 ms`, `12.3 ms`, `1.20 s`. */
export function formatMilliseconds(ms: number): string {
  if (ms >= 999.5) return `${(ms / 1000).toFixed(2)} s`;
  if (ms >= 99.95) return `${ms.toFixed(0)} ms`;
  return `${ms.toFixed(ms >= 9.995 ? 1 : 2)} ms`;
}

/** `0 %`, `1.7 %`, `25 %` */
export function formatShare(share: number): string {
  if (share === 0) return '0 %';
  return `${share < 0.0995 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`;
}

/** `84 B`, `1.30 GB`: three digits at most. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, ['B', 'kB', 'MB', 'GB', 'TB', 'PB']);
}

/** `0 bit/s`, `840 kbit/s`, `1.21 Gbit/s`: three digits at most. */
export function formatBitRate(bitsPerSecond: number): string {
  return scaled(bitsPerSecond, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']);
}

function scaled(amount: number, units: readonly string[]): string {
  let [value, unit] = [amount, 0];
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${threeDigits(value, unit)} ${units[unit]}`;
}

function threeDigits(value: number, unit: number): string {
  if (unit === 0 || value >= 99.95) return value.toFixed(0);
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}
