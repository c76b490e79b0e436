/** Colour, for terminals alone and never against the user's will (https://no-color.org). */

export type Colour = 'cyan' | 'green' | 'red';

/** How to colour text that goes to `stream`. */
export function styleFor(stream: { readonly isTTY?: boolean }): (colour: Colour, text: string) => string {
  const unwanted = (process.env['NO_COLOR'] ?? '') !== '' || process.env['TERM'] === 'dumb';
  if (stream.isTTY !== true || unwanted) return (_colour, text) => text;
  return (colour, text) => `\u001B[${CODES[colour]}m${text}\u001B[${DEFAULT_COLOUR}m`;
}

/** Select graphic rendition (ECMA-48, section 8.3.117). */
const CODES: Readonly<Record<Colour, number>> = { red: 31, green: 32, cyan: 36 };
const DEFAULT_COLOUR = 39;
