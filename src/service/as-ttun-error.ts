import { TtunError } from '../errors.ts';

/** Whatever was thrown, as what can be told and gone on after. */
export function asTtunError(error: unknown): TtunError {
  if (error instanceof TtunError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new TtunError('ERR_TTUN_INTERNAL', message, { cause: error });
}
