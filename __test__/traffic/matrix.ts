/** The combinations of families: the outer packets' and the inner packets'. */
import type { Family } from '../../testbed/site.ts';

export interface Families {
  readonly outer: Family;
  readonly inner: Family;
}

export const ALL_FAMILIES: readonly Families[] = [
  { outer: 'ipv4', inner: 'ipv4' },
  { outer: 'ipv4', inner: 'ipv6' },
  { outer: 'ipv6', inner: 'ipv4' },
  { outer: 'ipv6', inner: 'ipv6' },
];

/** For titles of tests. */
export function inWords({ outer, inner }: Families): string {
  const name = { ipv4: 'IPv4', ipv6: 'IPv6' };
  return `${name[inner]} over ${name[outer]}`;
}
