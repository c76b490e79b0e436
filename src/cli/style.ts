/** Colour and bold type, for terminals alone and never against the user's will (https://no-color.org). */

export type Style = 'bold' | 'dim' | 'cyan' | 'green' | 'red' | 'yellow';

/** How to style text that goes to `stream`. */
export function styleFor(stream: { readonly isTTY?: boolean }): (style: Style, text: string) => string {
  const unwanted = (process.env['NO_COLOR'] ?? '') !== '' || process.env['TERM'] === 'dumb';
  if (stream.isTTY !== true || unwanted) return (_style, text) => text;
  return (style, text) => {
    const [on, off] = CODES[style];
    return `\u001B[${on}m${text}\u001B[${off}m`;
  };
}

/** Select graphic rendition (ECMA-48, section 8.3.117): what begins a style, and what ends it. */
const CODES: Readonly<Record<Style, readonly [on: number, off: number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};
