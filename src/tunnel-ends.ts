/** The two ends of a tunnel's socket, as users write them. */
import {
  checkRemoteAddress,
  checkUnicast,
  formatEndpoint,
  InvalidValue,
  parseEndpoint,
  parsePort,
  splitEndpoint,
} from './address.ts';
import type { ZoneLookup } from './address.ts';
import { parseHostName } from './host-name.ts';
import type { LocalEndpoint, RemoteEndpoint } from './options.ts';

/** Parses `192.0.2.1:8000`, `[2001:db8::1]:8000`, or `:8000`, which leaves the address to the routing table. */
export function parseLocal(text: string, zones?: ZoneLookup): LocalEndpoint {
  const { host, port } = splitEndpoint(text);
  if (host === '') return { address: null, port: parsePort(port) };
  const endpoint = parseEndpoint(text, zones);
  checkUnicast(endpoint.address);
  return endpoint;
}

/** Parses `192.0.2.2:8000`, `[2001:db8::2]:8000`, or `gateway.example:8000`. */
export function parseRemote(text: string, zones?: ZoneLookup): RemoteEndpoint {
  if (isNameLike(text) && /^[^:[\]/]+$/.test(text)) {
    throw new InvalidValue(`'${text}' has no port`, `write it as '${text}:8000'`);
  }
  const { host, port, isBracketed } = splitEndpoint(text);
  if (!isBracketed && isNameLike(host)) return { name: parseHostName(host), port: parsePort(port) };
  const endpoint = parseEndpoint(text, zones);
  checkRemoteAddress(endpoint.address);
  return endpoint;
}

/**
 * Where a number comes last, it is an IPv4 address, right or wrong: no top-level domain is one (RFC 3696, section 2), and
 * resolvers take it for an address without asking.
 */
function isNameLike(host: string): boolean {
  return host !== '' && !/(?:^|\.)(?:\d+|0x[\da-f]*)\.?$/i.test(host);
}

/**
 * Refuses pairs between which no tunnel can run.
 *
 * @throws InvalidValue
 */
export function checkEnds(local: LocalEndpoint, remote: RemoteEndpoint): void {
  if (local.address === null || remote.address === undefined) return;
  if (local.address.family !== remote.address.family) {
    throw new InvalidValue(
      `${local.address.text} is IPv${local.address.family} but ${remote.address.text} is IPv${remote.address.family}`,
      'give two IPv4 or two IPv6 addresses',
    );
  }
  const ends = [local, remote].map(({ address, port }) => address && formatEndpoint({ address, port }));
  if (ends[0] === ends[1]) {
    throw new InvalidValue(
      `the local and the remote end are both ${ends[0]}`,
      'give the address and port of the other host as the remote end',
    );
  }
}
