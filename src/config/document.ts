/** The value in the text of a configuration, and where each key is. */

/** A text that was parsed. */
export interface Document {
  readonly value: unknown;
  readonly places: Places;
}

/** The keys that lead to a value, from the top of a file; a number is a list index. */
export type KeyPath = readonly (string | number)[];

/** Both count from 1; columns count UTF-16 units, as editors do. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** The places of keys; of a key that is given more than once, the first one. */
export class Places {
  readonly #places = new Map<string, Place>();

  add(path: KeyPath, place: Place): void {
    const key = JSON.stringify(path);
    if (!this.#places.has(key)) this.#places.set(key, place);
  }

  get(path: KeyPath): Place | undefined {
    return this.#places.get(JSON.stringify(path));
  }

  /** The place of a key, or of the closest one above it that the file has. */
  closest(path: KeyPath): Place | undefined {
    for (let length = path.length; length > 0; length--) {
      const place = this.get(path.slice(0, length));
      if (place !== undefined) return place;
    }
    return undefined;
  }
}

/** `tunnels.office.allowedSources[0]`, with quotes around a key that needs them in TOML. */
export function formatPath(path: KeyPath): string {
  return path.map(formatStep).join('').replace(/^\./, '');
}

function formatStep(step: string | number): string {
  if (typeof step === 'number') return `[${step}]`;
  return /^[\w$-]+$/.test(step) ? `.${step}` : `.${JSON.stringify(step)}`;
}

/** The text is not valid in its language. */
export class ConfigSyntaxError extends Error {
  readonly place: Place;
  readonly hint: string | null;

  constructor(problem: string, place: Place, hint: string | null = null) {
    super(problem);
    this.place = place;
    this.hint = hint;
  }
}

/** Nesting of lists and tables: more than any configuration needs. */
export const MAXIMUM_DEPTH = 32;
