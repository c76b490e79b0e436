/** What a file says, and where it says it. */

export interface Document {
  readonly value: unknown;
  /** The place of a key, or of the closest one above it that stands in the file; `null` where none does. */
  locate(path: KeyPath): Place | null;
}

/** The keys that lead to a value, from the top of a file; a number is the place in a list. */
export type KeyPath = readonly (string | number)[];

export interface Place {
  /** From 1. */
  readonly line: number;
  /** From 1; `null` where only the line is known. */
  readonly column: number | null;
}

/** The places of keys; of a key that comes more than once, the first one. */
export class Places {
  readonly #places = new Map<string, Place>();

  add(path: KeyPath, place: Place): void {
    const key = JSON.stringify(path);
    if (!this.#places.has(key)) this.#places.set(key, place);
  }

  get(path: KeyPath): Place | undefined {
    return this.#places.get(JSON.stringify(path));
  }

  closest(path: KeyPath): Place | null {
    for (let length = path.length; length > 0; length--) {
      const place = this.get(path.slice(0, length));
      if (place !== undefined) return place;
    }
    return null;
  }
}

/** `tunnels.office.allowedSources[0]`, with quotes round a key that TOML would want them round. */
export function formatPath(path: KeyPath): string {
  return path.map(formatStep).join('').replace(/^\./, '');
}

function formatStep(step: string | number): string {
  if (typeof step === 'number') return `[${step}]`;
  return /^[\w$-]+$/.test(step) ? `.${step}` : `.${JSON.stringify(step)}`;
}

/** The text is not of its format, so that nothing in it can be looked at. */
export class ConfigSyntaxError extends Error {
  /** Both count from 1; the column counts UTF-16 units, as editors do. */
  readonly line: number;
  readonly column: number;
  readonly hint: string | null;

  constructor(problem: string, place: { line: number; column: number }, hint: string | null = null) {
    super(problem);
    this.line = place.line;
    this.column = place.column;
    this.hint = hint;
  }
}
