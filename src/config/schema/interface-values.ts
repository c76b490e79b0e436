/** The values that stand in `interface`. */
import * as v from 'valibot';
import { InvalidValue } from '../../address.ts';
import { formatNetwork } from '../../ip-network.ts';
import type { IpNetwork } from '../../ip-network.ts';
import { issueOf, parsedBy } from './actions.ts';
import type { About } from './actions.ts';

/** A user or a group, by name or number. */
export function account(
  kind: 'user' | 'group',
  about: About,
): v.OptionalSchema<v.GenericSchema<string | number, string>, undefined> {
  const numeric = { type: 'integer', minimum: 0, maximum: LARGEST_ID };
  return v.optional(
    v.pipe(
      v.union([v.string(), v.pipe(v.number(), v.metadata(numeric))]),
      v.metadata(about),
      parsedBy((value) => parseAccount(kind, value)),
    ),
  );
}

function parseAccount(kind: 'user' | 'group', value: string | number): string {
  const right = `give the name or number of a ${kind}, as shown by: getent ${kind === 'user' ? 'passwd' : 'group'}`;
  if (typeof value === 'string') {
    if (/^[^\s:/,]{1,255}$/.test(value)) return value;
    throw new InvalidValue(`${JSON.stringify(value)} is not the name of a ${kind}`, right);
  }
  if (Number.isInteger(value) && value >= 0 && value <= LARGEST_ID) return String(value);
  throw new InvalidValue(`${value} is not the number of a ${kind}`, right);
}

/** 2^32 - 1 stands for nobody at all (setresuid(2)). */
const LARGEST_ID = 2 ** 32 - 2;

/** A list in which no network stands twice. */
export function networks(
  about: About,
  item: v.GenericSchema<string, IpNetwork>,
): v.OptionalSchema<v.GenericSchema<string[], IpNetwork[]>, undefined> {
  return v.optional(
    v.pipe(
      v.array(item),
      v.metadata({ ...about, uniqueItems: true }),
      v.rawCheck(({ dataset, addIssue }) => {
        if (!dataset.typed) return;
        const texts = dataset.value.map(formatNetwork);
        for (const [index, network] of texts.entries()) {
          if (texts.indexOf(network) === index) continue;
          const twice = new InvalidValue(`'${network}' is there twice`, 'leave one of them out');
          const { value: input } = dataset;
          addIssue({
            ...issueOf(twice),
            path: [{ type: 'array', origin: 'value', input, key: index, value: input[index] }],
          });
        }
      }),
    ),
  );
}

/** Least MTU with which an interface carries IPv4 (RFC 791, section 3.2) and IPv6 (RFC 8200, section 5), bytes. */
const LEAST_MTU = { ipv4: 68, ipv6: 1280 } as const;

/** What the kernel's driver takes at most (MAX_MTU in drivers/net/tun.c), bytes. */
const LARGEST_MTU = 65_535;

export const MTU: v.GenericSchema<number | 'auto', number | 'auto'> = v.pipe(
  v.union([
    v.pipe(v.number(), v.metadata({ type: 'integer', minimum: LEAST_MTU.ipv4, maximum: LARGEST_MTU })),
    v.literal('auto'),
  ]),
  v.metadata({
    description:
      "MTU of the device in bytes, or 'auto': that of the route to the peer less the outer headers (28 bytes in IPv4, 48 in IPv6), and not under 1280 where the inside speaks IPv6. Absent: as it is.",
    examples: ['auto', 1472],
  }),
  parsedBy((mtu) => {
    if (mtu === 'auto') return mtu;
    if (Number.isInteger(mtu) && mtu >= LEAST_MTU.ipv4 && mtu <= LARGEST_MTU) return mtu;
    throw new InvalidValue(
      `${mtu} is not an MTU`,
      `give a number of bytes from ${LEAST_MTU.ipv4} to ${LARGEST_MTU}, or 'auto'`,
    );
  }),
);

/** @throws InvalidValue where IPv6 is to travel inside and could not */
export function checkMtuFor(mtu: number, inside: readonly IpNetwork[]): void {
  const ipv6 = inside.find(({ family }) => family === 6);
  if (ipv6 === undefined || mtu >= LEAST_MTU.ipv6) return;
  throw new InvalidValue(
    `with an MTU of ${mtu} bytes the device cannot carry IPv6, as ${formatNetwork(ipv6)} asks for`,
    `give at least ${LEAST_MTU.ipv6}, or 'auto'`,
  );
}
