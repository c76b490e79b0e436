/** The schema of what shapes the path: the header of the datagrams, and which datagrams are accepted. */
import * as v from 'valibot';
import type { LocalEndpoint, RemoteEndpoint } from './address.ts';
import { InvalidValue } from './address.ts';
import type { IpNetwork } from './network.ts';
import { flag, integer, parsedBy } from './schema-tools.ts';

const LARGEST_DSCP = 63;
const DSCP_HINT = "give a number from 0 to 63, a name such as 'EF', 'AF41' or 'CS6', or 'inherit'";

/** Class selectors (RFC 2474), assured forwarding (RFC 2597), and the others of the registry of IANA, as ip(8) and tc(8) know them. */
const DSCP_NAMES: ReadonlyMap<string, number> = new Map([
  ...Array.from({ length: 8 }, (_, precedence) => [`CS${precedence}`, precedence * 8] as const),
  ...[1, 2, 3, 4].flatMap((group) =>
    [1, 2, 3].map((drop) => [`AF${group}${drop}`, group * 8 + drop * 2] as const),
  ),
  ['EF', 46],
  ['VA', 44],
  ['LE', 1],
]);

/** `dscp`: a number, a name, or that of the packet inside. */
const DSCP: v.GenericSchema<number | string, number | 'inherit'> = v.pipe(
  v.union([
    integer({ minimum: 0, maximum: LARGEST_DSCP }, 'a DSCP', DSCP_HINT),
    v.pipe(v.string(), v.metadata({ pattern: `^(inherit|${[...DSCP_NAMES.keys()].join('|')})$` })),
  ]),
  v.metadata({
    description:
      "DSCP of the tunnel's datagrams (RFC 2474): a number from 0 to 63, a name (`EF`, `VA`, `LE`, `CS0` to `CS7`, `AF11` to `AF43`), or `inherit` for that of the packet inside. The DSCP of received packets stays as it is.",
    examples: ['inherit', 'AF41', 46],
  }),
  // Here, because a problem within a union would be reported as one of its type.
  parsedBy((dscp) => (typeof dscp === 'number' ? dscp : parseDscp(dscp))),
);

function parseDscp(given: string): number | 'inherit' {
  if (given === 'inherit') return given;
  const dscp = DSCP_NAMES.get(given);
  if (dscp !== undefined) return dscp;
  const respelt = [...DSCP_NAMES.keys(), 'inherit'].find(
    (name) => name.toLowerCase() === given.trim().toLowerCase(),
  );
  if (respelt !== undefined) throw new InvalidValue(`'${given}' is not a DSCP`, `write it as '${respelt}'`);
  const isNumber = /^\d{1,2}$/.test(given) && Number(given) <= LARGEST_DSCP;
  throw new InvalidValue(
    `'${given}' is not a DSCP`,
    isNumber ? `write the number without quotes: ${Number(given)}` : DSCP_HINT,
  );
}

export const PATH_OPTIONS = {
  pathMtu: v.optional(
    v.pipe(
      v.union([v.literal('fragment'), v.literal('discover')]),
      v.metadata({
        description:
          'What happens to packets that do not fit the path to the peer. `fragment`: they are sent in fragments; over IPv4, datagrams have no DF bit, so routers may fragment them too. `discover`: datagrams have the DF bit, and the sender of a packet that does not fit is told the MTU by ICMP, as a router does (RFC 1191, RFC 8201); only packets that may be fragmented still are. With a `probe`, the MTU is also searched for where ICMP is blocked.',
        examples: ['discover', 'fragment'],
      }),
    ),
    'fragment',
  ),
  ecn: flag(
    'Copy the ECN field of each packet to its datagram, so that routers on the way can mark congestion instead of dropping (RFC 6040). The peer must copy the marks to the packets, as ttun, FOU and GUE do: with one that does not, they are lost. Marks of received datagrams are always copied.',
    false,
  ),
  dscp: v.optional(DSCP, 0),
  zeroChecksum6: flag(
    'Accept UDP over IPv6 without a checksum (RFC 6935), which a FOU or GUE peer sends with `noencap-csum6`. Without this option, the kernel drops such datagrams before ttun sees them.',
    false,
  ),
};

/** @throws InvalidValue if `zeroChecksum6` cannot apply */
export function checkZeroChecksum6(
  zeroChecksum6: boolean,
  local: LocalEndpoint,
  remote: RemoteEndpoint,
  peers: readonly IpNetwork[] = [],
): void {
  const ipv4 = [local.address, remote.address, ...peers].find((address) => address?.family === 4);
  if (!zeroChecksum6 || !ipv4) return;
  throw new InvalidValue(
    `applies to UDP over IPv6 only, but ${'text' in ipv4 ? ipv4.text : ipv4.address} is an IPv4 address`,
    'omit it; over IPv4, datagrams without a checksum are always accepted',
  );
}
