/** The order of the measurements, and their results one by one. */
import type { Contender } from './contenders/contender.ts';
import { measure } from './measure.ts';
import type { Figures } from './measure.ts';
import type { Link, Options } from './options.ts';

export interface Sample {
  readonly link: Link;
  /** From 1. */
  readonly round: number;
  readonly contender: string;
  /** `null` when it failed. */
  readonly figures: Figures | null;
  readonly error: string | null;
}

/**
 * In each round every contender has its turn, so that a temporary disturbance of the machine affects neighbours equally
 * and ratios within a round remain valid. Each round begins with another contender, so that none always follows the same one.
 */
export async function* measureAll(
  contenders: readonly Contender[],
  options: Options,
): AsyncGenerator<Sample> {
  for (const link of options.links) {
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const contender of rotate(contenders, round - 1)) {
        yield { link, round, contender: contender.name, ...(await attempt(contender, link, options)) };
      }
    }
  }
}

type Outcome = Pick<Sample, 'figures' | 'error'>;

/** One contender's failure does not affect the others. */
async function attempt(contender: Contender, link: Link, options: Options): Promise<Outcome> {
  try {
    return { figures: await measure(contender, link, options), error: null };
  } catch (error) {
    return { figures: null, error: error instanceof Error ? error.message : String(error) };
  }
}

function rotate<T>(items: readonly T[], by: number): T[] {
  const first = by % Math.max(items.length, 1);
  return [...items.slice(first), ...items.slice(0, first)];
}
