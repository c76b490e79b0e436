/** "Did you mean …?" for what people type: commands, options, keys of a configuration. */

/** The candidate that was most likely meant by `word`; `null` when none is like it. */
export function suggest(word: string, candidates: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const distance = likeness(word, candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Of what length on the beginning of a word tells which one is meant. */
const TELLING_PREFIX = 3;

/** The number of mistakes that separate the two; infinite when there are too many for a slip. */
function likeness(word: string, candidate: string): number {
  const [typed, meant] = [word.toLowerCase(), candidate.toLowerCase()];
  if (typed.length >= TELLING_PREFIX && meant.startsWith(typed)) return 1;
  const distance = mistakes(typed, meant);
  // A third of a word may be wrong.
  return distance <= Math.max(1, Math.floor(Math.max(typed.length, meant.length) / 3)) ? distance : Infinity;
}

/**
 * How many letters were left out, added, mistaken or swapped with their neighbour: the optimal string alignment distance
 * (Damerau 1964), computed row by row.
 */
function mistakes(typed: string, meant: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: meant.length + 1 }, (_, index) => index);
  for (let i = 1; i <= typed.length; i++) {
    const row = [i];
    for (let j = 1; j <= meant.length; j++) {
      const mistaken = at(last, j - 1) + (typed[i - 1] === meant[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && typed[i - 1] === meant[j - 2] && typed[i - 2] === meant[j - 1];
      const swapped = isSwap ? at(beforeLast, j - 2) + 1 : Infinity;
      row.push(Math.min(at(last, j) + 1, at(row, j - 1) + 1, mistaken, swapped));
    }
    [beforeLast, last] = [last, row];
  }
  return at(last, meant.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}

/** Text as one word of a shell, as it is where that will do: `it`, `'it'\''s'`. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./^-]+$/.test(text) ? text : quote(text);
}

/** Text as one word of a shell, in quotes: `'it'\''s'`. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
