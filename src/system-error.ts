/** What the system said to a call that failed, without the call: of `EROFS: read-only file system, mkdir '/run/ttun'` the middle. */
export function describeSystemError(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /^[A-Z0-9]+: (?<what>[^,]+), /.exec(message)?.groups?.['what'] ?? message;
}
