/** What the doctor has to say. */
import { CATALOGUE } from './catalogue.ts';
import type { FindingCode } from './catalogue.ts';

/** `problem`: it does not work. `warning`: it works, but loses packets or speed. `note`: worth knowing. `ok`: looked at, and right. */
export type Severity = 'ok' | 'note' | 'warning' | 'problem';

export interface Finding {
  readonly severity: Severity;
  /** Which of the documented ones it is; `null` for what is right. */
  readonly code: FindingCode | null;
  /** What was found, in one line. */
  readonly what: string;
  /** Why it matters, in one line; `null` for what is right. */
  readonly why: string | null;
  /** What mends it: command lines to be typed as they are, in this order. */
  readonly commands: readonly string[];
  /** What to do besides, or where no command can be named. */
  readonly advice: string | null;
}

export interface Remedy {
  readonly commands?: readonly string[];
  readonly advice?: string | null;
}

/** Something that is not as it should be. */
export function finding(
  code: FindingCode,
  what: string,
  { commands = [], advice = null }: Remedy = {},
): Finding {
  const { severity, why } = CATALOGUE[code];
  return { severity, code, what, why, commands, advice };
}

/** Something that was looked at and is right. */
export function ok(what: string): Finding {
  return { severity: 'ok', code: null, what, why: null, commands: [], advice: null };
}
