/** Quantities in options, as people write them: durations, `200ms`, and rates, `18 Mbit/s`. */
import { inspect } from 'node:util';
import { InvalidValue } from './address.ts';

/** Units of durations, in ms. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ['us', 0.001],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['min', 60_000],
  ['h', 3_600_000],
]);

const DURATION = /^(\d+(?:\.\d+)?) ?([a-z]*)$/;

/** Parses `200ms`, `1.5s`, `1 m`. Returns ms. */
export function parseDuration(text: string): number {
  const [, amount = '', unit = ''] = DURATION.exec(text) ?? [];
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

/** The core has the same bounds (`TunnelOptions`). */
const LEAST_BUSY_POLL_MS = 0.001;
const LONGEST_BUSY_POLL_MS = 1;

const BUSY_POLL_HINT = "give a time from 1us to 1ms, such as '50us'";

/**
 * @returns ms
 * @throws InvalidValue if it is not a duration, or outside the possible range
 */
export function parseBusyPoll(text: string): number {
  const [, amount = '', unit = ''] = DURATION.exec(text) ?? [];
  const factor = UNITS.get(unit);
  if (amount === '' || factor === undefined) {
    throw new InvalidValue(
      `'${text}' is not a duration`,
      amount !== '' && unit === '' ? `add a unit: '${text}us'` : BUSY_POLL_HINT,
    );
  }
  return checkBusyPoll(Number(amount) * factor, text);
}

/**
 * @param shown how the user wrote it
 * @throws InvalidValue outside the possible range
 */
export function checkBusyPoll(ms: number, shown = `${ms} ms`): number {
  if (ms >= LEAST_BUSY_POLL_MS && ms <= LONGEST_BUSY_POLL_MS) return ms;
  const problem = ms < LEAST_BUSY_POLL_MS ? 'is too short a time' : 'is too long a time';
  throw new InvalidValue(`${shown} ${Number.isNaN(ms) ? 'is not a duration' : problem}`, BUSY_POLL_HINT);
}

/** The core has the same bounds (`QueueOptions`). */
const LEAST_RATE = 64e3;
const HIGHEST_RATE = 100e9;

const RATE_FACTORS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

const RATE_HINT = "give a rate from 64 kbit/s to 100 Gbit/s, such as '18 Mbit/s'";

/** A number with a unit of SI: `18 Mbit/s`, `18mbit`, or `18 Mbps`, which are bits here, unlike in tc(8). */
const RATE = /^(\d+(?:\.\d+)?|\.\d+) ?([kmgt]?)(?:bit(?:\/s)?|bps)$/i;

/**
 * @param value text with a unit, or a number of bits per second
 * @returns bits per second
 * @throws InvalidValue if it is not a rate, or outside the possible range
 */
export function rateOf(value: unknown): number {
  if (typeof value === 'string') return parseRate(value);
  if (typeof value === 'number') return checkRate(value);
  const shown = Array.isArray(value)
    ? 'a list'
    : typeof value === 'object' && value
      ? 'an object'
      : inspect(value);
  throw new InvalidValue(`${shown} is not a string or a number`, RATE_HINT);
}

/**
 * @returns bits per second
 * @throws InvalidValue if it is not a rate, or outside the possible range
 */
export function parseRate(text: string): number {
  const [, number, prefix = ''] = RATE.exec(text.trim()) ?? [];
  if (number === undefined) throw new InvalidValue(`'${text}' is not a rate`, hintForUnit(text.trim()));
  return checkRate(Math.round(Number(number) * (RATE_FACTORS[prefix.toLowerCase()] ?? Number.NaN)), text);
}

/** A number without a unit, with the unit that was probably meant. */
function hintForUnit(number: string): string {
  if (!RATE.test(`${number}bit`)) return RATE_HINT;
  if (isPossible(Number(number) * 1e6)) return `add a unit: '${number} Mbit/s'`;
  return isPossible(Number(number)) ? `add a unit: '${number} bit/s'` : RATE_HINT;
}

function isPossible(bitsPerSecond: number): boolean {
  return bitsPerSecond >= LEAST_RATE && bitsPerSecond <= HIGHEST_RATE;
}

/**
 * @param shown how the user wrote it
 * @throws InvalidValue outside the possible range
 */
function checkRate(bitsPerSecond: number, shown = `${bitsPerSecond} bit/s`): number {
  if (isPossible(bitsPerSecond)) return Math.round(bitsPerSecond);
  const problem = bitsPerSecond < LEAST_RATE ? 'is too low a rate' : 'is too high a rate';
  throw new InvalidValue(`${shown} ${Number.isNaN(bitsPerSecond) ? 'is not a rate' : problem}`, RATE_HINT);
}
