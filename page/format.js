/** Formats numbers, times and rates for people, with SI prefixes. */

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'];

/**
 * Three significant digits and an SI prefix: `0`, `7.25 k`, `940 M`.
 *
 * @param {number} value not negative
 * @returns {string} ends in the prefix, or in a space where there is none
 */
function scaled(value) {
  let [scale, rest] = [0, value];
  // 999.5 would be rounded to 1,000.
  while (rest >= 999.5 && scale < PREFIXES.length - 1) {
    rest /= 1000;
    scale += 1;
  }
  const digits = rest >= 99.95 || rest === 0 ? 0 : rest >= 9.995 ? 1 : 2;
  const shown = scale === 0 && Number.isInteger(rest) ? String(rest) : rest.toFixed(digits);
  return `${shown} ${PREFIXES[scale]}`;
}

/** Shown for unknown values. */
export const UNKNOWN = '–';

/** @param {number | null} bitsPerSecond */
export function formatThroughput(bitsPerSecond) {
  return bitsPerSecond === null ? UNKNOWN : `${scaled(Math.round(bitsPerSecond))}bit/s`;
}

/** @param {number | null} perSecond */
export function formatRate(perSecond) {
  if (perSecond === null) return UNKNOWN;
  const slow = Math.round(perSecond * 10) / 10;
  return `${slow < 10 ? slow : scaled(Math.round(perSecond)).trim()}/s`;
}

/**
 * Three significant digits: `0.25 ms`, `12.3 ms`, `1.20 s`.
 *
 * @param {number | null} ms
 */
export function formatMilliseconds(ms) {
  if (ms === null) return UNKNOWN;
  if (ms >= 999.5) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms.toFixed(ms >= 99.95 ? 0 : ms >= 9.995 ? 1 : 2)} ms`;
}

/** @param {number} bytes */
export function formatBytes(bytes) {
  return `${scaled(bytes)}B`;
}

/**
 * A short count: `252`, `1.20 M`.
 *
 * @param {number} count
 */
export function formatRoughly(count) {
  return count < 10_000 ? formatCount(count) : scaled(count).trim();
}

const GROUPED = new Intl.NumberFormat('en');

/** @param {number} count */
export function formatCount(count) {
  return GROUPED.format(count);
}

/** @param {number} share 1 is 100 % */
export function formatPercent(share) {
  return `${share < 0.0995 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`;
}

/** @param {number | null} share 1 is 100 % */
export function formatShare(share) {
  return share === null ? UNKNOWN : share === 0 ? '0 %' : formatPercent(share);
}

/**
 * The two largest units: `42 s`, `5 min 10 s`, `3 d 4 h`.
 *
 * @param {number} ms
 */
export function formatDuration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count !== 0);
  if (first === -1) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([count], index) => index === 0 || count !== 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

/**
 * A time in the past; under 2 s, which is within the polling interval, `just now`.
 *
 * @param {number} ms
 */
export function formatAgo(ms) {
  return ms < 2000 ? 'just now' : `${formatDuration(ms)} ago`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const CALENDAR = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** @param {number} epochMs */
export function formatClock(epochMs) {
  return CLOCK.format(epochMs);
}

/** @param {number} epochMs */
export function formatDate(epochMs) {
  return CALENDAR.format(epochMs);
}
