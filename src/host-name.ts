/** Names of hosts, which are still to be looked up. */
import { domainToASCII } from 'node:url';
import { InvalidValue } from './address.ts';

/**
 * Checks a name by the rules of RFC 1123, section 2.1, which are those of RFC 952 and a leading digit. Two things are taken
 * besides: the underscore, which container networks use in names, and letters beyond ASCII, which become what the DNS has for
 * them (RFC 5891). A point at the end keeps the resolver from trying its search domains, and is left in place.
 *
 * @returns the name in ASCII
 * @throws InvalidValue
 */
export function parseHostName(text: string): string {
  const name = /^[\x21-\x7E]*$/.test(text) ? text : domainToASCII(text);
  const labels = name.replace(/\.$/, '').split('.');
  if (name.length <= LONGEST_NAME && labels.every((label) => LABEL.test(label))) return name;
  throw new InvalidValue(
    `'${text}' is neither an IP address nor the name of a host`,
    'write it as 192.0.2.2, [2001:db8::2] or gateway.example',
  );
}

/** RFC 1035, section 2.3.4: 255 bytes on the wire, where each label has a byte for its length and an empty one is the end. */
const LONGEST_NAME = 253 + '.'.length;

const LABEL = /^[a-z\d_](?:[a-z\d_-]{0,61}[a-z\d_])?$/i;
