/** The order of the measurements, and their results one by one. */
import type { Contender } from './contenders/contender.ts';
import type { Link } from './links.ts';
import type { Options } from './options.ts';
import { measure } from './turn.ts';
import type { Figure } from './turn.ts';

export interface Turn {
  readonly link: Link;
  /** From 1. */
  readonly round: number;
  readonly contender: Contender;
}

export interface Sample {
  readonly link: Link;
  /** From 1. */
  readonly round: number;
  readonly contender: string;
  /** Those that are measured on this kind of link; `null` when it failed. */
  readonly figures: Readonly<Partial<Record<Figure, number | null>>> | null;
  readonly error: string | null;
}

/**
 * In each round every contender has its turn, so that a temporary disturbance of the machine affects neighbours equally
 * and ratios within a round remain valid. Each round begins with another contender, so that none always follows the same one.
 */
export function planTurns(
  contenders: readonly Contender[],
  { links, rounds }: Pick<Options, 'links' | 'rounds'>,
): Turn[] {
  const numbers = Array.from({ length: rounds }, (_, index) => index + 1);
  return links.flatMap((link) => {
    const there = contenders.filter((contender) => contender.links?.includes(link) ?? true);
    return numbers.flatMap((round) =>
      rotate(there, round - 1).map((contender) => ({ link, round, contender })),
    );
  });
}

/** One contender's failure does not affect the others. */
export async function take({ link, round, contender }: Turn, options: Options): Promise<Sample> {
  const turn = { link, round, contender: contender.name };
  try {
    return { ...turn, figures: { ...(await measure(contender, link, options)) }, error: null };
  } catch (error) {
    return { ...turn, figures: null, error: error instanceof Error ? error.message : String(error) };
  }
}

function rotate<T>(items: readonly T[], by: number): T[] {
  const first = by % Math.max(items.length, 1);
  return [...items.slice(first), ...items.slice(0, first)];
}
