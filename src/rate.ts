/** Rates in bits per second, as people write them: `18 Mbit/s`. */
import { InvalidValue } from './address.ts';

/** The core has the same bounds (`QueueOptions`). */
const LEAST = 64e3;
const HIGHEST = 100e9;

const FACTORS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

const HINT = "give a rate from 64 kbit/s to 100 Gbit/s, such as '18 Mbit/s'";

/** A number with a unit of SI: `18 Mbit/s`, or as tc(8) writes it, `18mbit`. */
const RATE = /^(\d+(?:\.\d+)?|\.\d+) ?([kmgt]?)(?:bit(?:\/s)?|bps)$/i;

/**
 * @returns bits per second
 * @throws InvalidValue if it is not a rate, or outside the possible range
 */
export function parseRate(text: string): number {
  const [, number, prefix = ''] = RATE.exec(text.trim()) ?? [];
  if (number === undefined) {
    const lacksUnit = RATE.test(`${text.trim()}bit`) && Number(text) > 0;
    throw new InvalidValue(
      `'${text}' is not a rate`,
      lacksUnit ? `add a unit: '${text.trim()} Mbit/s'` : HINT,
    );
  }
  return checkRate(Math.round(Number(number) * (FACTORS[prefix.toLowerCase()] ?? Number.NaN)), text);
}

/**
 * @param shown how the user wrote it
 * @throws InvalidValue outside the possible range
 */
export function checkRate(bitsPerSecond: number, shown = `${bitsPerSecond} bit/s`): number {
  if (bitsPerSecond >= LEAST && bitsPerSecond <= HIGHEST) return Math.round(bitsPerSecond);
  const problem = bitsPerSecond < LEAST ? 'is too low a rate' : 'is too high a rate';
  throw new InvalidValue(`${shown} ${Number.isNaN(bitsPerSecond) ? 'is not a rate' : problem}`, HINT);
}
