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
