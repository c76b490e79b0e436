/** Sums up the samples of one contender, alone or against another. */
import type { Link } from '../links.ts';
import type { Sample } from '../rounds.ts';
import { summarize } from '../statistics.ts';
import type { Summary } from '../statistics.ts';
import type { Figure } from '../turn.ts';

/** A figure over all rounds; `null` where it was not measured. */
export function absolute(
  samples: readonly Sample[],
  link: Link,
  contender: string,
  figure: Figure,
): Summary | null {
  const values = samples
    .filter((sample) => sample.link === link && sample.contender === contender)
    .map(({ figures }) => figures?.[figure] ?? null);
  return summarize(values.filter((value) => value !== null));
}

/** The figure as a multiple of the reference's: of each round separately, then over the rounds. Only these ratios are comparable. */
export function relative(
  samples: readonly Sample[],
  link: Link,
  contender: string,
  reference: string,
  figure: Figure,
): Summary | null {
  const valueIn = (round: number, name: string): number | null => {
    const found = samples.find(
      (sample) => sample.link === link && sample.round === round && sample.contender === name,
    );
    return found?.figures?.[figure] ?? null;
  };
  const rounds = new Set(samples.map(({ round }) => round));
  const ratios = [...rounds].map((round) => {
    const [own, other] = [valueIn(round, contender), valueIn(round, reference)];
    return own === null || other === null || other === 0 ? null : own / other;
  });
  return summarize(ratios.filter((ratio) => ratio !== null));
}
