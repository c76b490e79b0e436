/** Quantities in options, as people write them: durations, `200ms`, and rates, `18 Mbit/s`. */
import { inspect } from 'node:util';
import { InvalidValue } from './address.ts';

/** Which values of a quantity are possible, and how others are refused. */
export interface Range {
  readonly minimum: number;
  readonly maximum: number;
  readonly tooLow: string;
  readonly tooHigh: string;
  readonly none: string;
  readonly hint: string;
}

const NUMBER = String.raw`(\d+(?:\.\d+)?|\.\d+)`;
const WITHOUT_UNIT = new RegExp(`^${NUMBER}$`);

/** Units of durations, in ms. */
const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ['us', 0.001],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['min', 60_000],
  ['h', 3_600_000],
]);

const DURATION = new RegExp(durationPattern());
const DURATION_HINT = "write a number with a unit, as in '200ms', '1s' or '1m'";

/** For JSON Schema: a number with one of these units. Default: all of them. */
export function durationPattern(units: readonly string[] = [...DURATION_UNITS.keys()]): string {
  return `^${NUMBER} ?(${units.join('|')})$`;
}

/**
 * Parses `200ms`, `1.5s`, `1 m`.
 *
 * @param units those that may have been meant if there is none
 * @returns ms
 * @throws InvalidValue if it is not a duration
 */
export function parseDuration(text: string, units = ['ms', 's'], hint: string = DURATION_HINT): number {
  const [, amount, unit = ''] = DURATION.exec(text) ?? [];
  const factor = DURATION_UNITS.get(unit);
  if (factor !== undefined) return Number(amount) * factor;
  if (WITHOUT_UNIT.test(text)) throw withoutUnit(text, units);
  throw new InvalidValue(`'${text}' is not a duration`, hint);
}

/** `200 ms`, `1.5 s`, `2 min`: in the largest unit of which there is at least one. */
export function formatInterval(ms: number): string {
  if (ms < 1000) return `${rounded(ms)} ms`;
  return ms < 60_000 ? `${rounded(ms / 1000)} s` : `${rounded(ms / 60_000)} min`;
}

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

/** Milliseconds. The core has the same bounds (`TunnelOptions`). */
export const BUSY_POLL: Range = {
  minimum: 0.001,
  maximum: 1,
  tooLow: 'is too short a time',
  tooHigh: 'is too long a time',
  none: 'is not a duration',
  hint: "give a time from 1us to 1ms, such as '50us'",
};

/**
 * @returns ms
 * @throws InvalidValue if it is not a duration, or outside the possible range
 */
export function parseBusyPoll(text: string): number {
  return within(BUSY_POLL, parseDuration(text, ['us'], BUSY_POLL.hint), text);
}

/** @throws InvalidValue outside the possible range */
export function checkBusyPoll(ms: number): number {
  return within(BUSY_POLL, ms, `${ms} ms`);
}

/** Bits per second. The core has the same bounds (`QueueOptions`). */
export const RATE: Range = {
  minimum: 64e3,
  maximum: 100e9,
  tooLow: 'is too low a rate',
  tooHigh: 'is too high a rate',
  none: 'is not a rate',
  hint: "give a rate from 64 kbit/s to 100 Gbit/s, such as '18 Mbit/s'",
};

const RATE_FACTORS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

const RATE_TEXT = new RegExp(ratePattern('kKmMgGtT'));

/**
 * A number with a unit of SI, which has one of `prefixes` or none: `18 Mbit/s`, `18mbit`, or `18 Mbps`, which are bits here, unlike in
 * tc(8). In JSON Schema, a pattern cannot ignore case.
 */
export function ratePattern(prefixes: string): string {
  return `^${NUMBER} ?([${prefixes}]?)(?:[bB][iI][tT](?:/[sS])?|[bB][pP][sS])$`;
}

/**
 * @param value text with a unit, or a number of bits per second
 * @returns bits per second
 * @throws InvalidValue if it is not a rate, or outside the possible range
 */
export function rateOf(value: unknown): number {
  if (typeof value === 'string') return parseRate(value);
  if (typeof value === 'number') return checkRate(value, `${value} bit/s`);
  const shown = Array.isArray(value)
    ? 'a list'
    : typeof value === 'object' && value
      ? 'an object'
      : inspect(value);
  throw new InvalidValue(`${shown} is not a string or a number`, RATE.hint);
}

/**
 * @returns bits per second
 * @throws InvalidValue if it is not a rate, or outside the possible range
 */
export function parseRate(text: string): number {
  const [, number, prefix = ''] = RATE_TEXT.exec(text.trim()) ?? [];
  if (number !== undefined) {
    return checkRate(Number(number) * (RATE_FACTORS[prefix.toLowerCase()] ?? Number.NaN), text);
  }
  const unit = missingUnit(text.trim());
  if (unit !== undefined) throw withoutUnit(text, [unit]);
  throw new InvalidValue(`'${text}' is not a rate`, RATE.hint);
}

/** The unit with which a number is a possible rate. */
function missingUnit(text: string): string | undefined {
  if (!WITHOUT_UNIT.test(text)) return undefined;
  if (isIn(RATE, Number(text) * 1e6)) return ' Mbit/s';
  return isIn(RATE, Number(text)) ? ' bit/s' : undefined;
}

function checkRate(bitsPerSecond: number, shown: string): number {
  return Math.round(within(RATE, bitsPerSecond, shown));
}

/**
 * @param shown how the user wrote it
 * @returns the value
 * @throws InvalidValue outside the range
 */
export function within(range: Range, value: number, shown: string): number {
  if (isIn(range, value)) return value;
  const problem = value < range.minimum ? range.tooLow : range.tooHigh;
  throw new InvalidValue(`${shown} ${Number.isNaN(value) ? range.none : problem}`, range.hint);
}

function isIn({ minimum, maximum }: Range, value: number): boolean {
  return value >= minimum && value <= maximum;
}

function withoutUnit(text: string, units: readonly string[]): InvalidValue {
  const meant = units.map((unit) => `'${text.trim()}${unit}'`).join(' or ');
  return new InvalidValue(`'${text}' has no unit`, `write it as ${meant}`);
}
