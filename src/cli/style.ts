/** Colour, for terminals alone and never against the user's will (https://no-color.org). */
import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';

export type Colour = 'cyan' | 'green' | 'red';

/** How to colour text that goes to `stream`. */
export function styleFor(stream: WriteStream): (colour: Colour, text: string) => string {
  const unwanted = (process.env['NO_COLOR'] ?? '') !== '' || process.env['TERM'] === 'dumb';
  if (!stream.isTTY || unwanted) return (_colour, text) => text;
  return styleText;
}
