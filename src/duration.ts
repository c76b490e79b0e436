/** Durations in options: text with a unit, or a number of milliseconds. */
import { InvalidValue } from './address.ts';

/** In ms. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ['us', 0.001],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['min', 60_000],
  ['h', 3_600_000],
]);

/** Parses `200ms`, `1.5s`, `1 m`. Returns ms. */
export function parseDuration(text: string): number {
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([a-z]*)$/.exec(text) ?? [];
  const factor = UNITS.get(unit);
  if (amount !== '' && factor !== undefined) return Number(amount) * factor;
  if (amount !== '' && unit === '') {
    throw new InvalidValue(`'${text}' has no unit`, `write it as '${amount}ms' or '${amount}s'`);
  }
  throw new InvalidValue(
    `'${text}' is not a duration`,
    "write a number with a unit, as in '200ms', '1s' or '1m'",
  );
}

/** `200 ms`, `1.5 s`, `2 min`: in the largest unit of which there is at least one. */
export function formatInterval(ms: number): string {
  if (ms < 1000) return `${rounded(ms)} ms`;
  return ms < 60_000 ? `${rounded(ms / 1000)} s` : `${rounded(ms / 60_000)} min`;
}

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
