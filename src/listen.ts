/** The address of the HTTP server, as written in options. */
import { isIPv4, isIPv6 } from 'node:net';
import { InvalidValue, withoutBrackets } from './address.ts';

export interface ListenAddress {
  /** An address or name of this host; `null` for all its addresses. */
  readonly host: string | null;
  /** 0 for any free port. */
  readonly port: number;
}

/** Without an address, other hosts cannot connect. */
const LOOPBACK = '127.0.0.1';

/**
 * Parses `9750` (on loopback), `127.0.0.1:9750`, `[::1]:9750`, `localhost:9750`, or `:9750` for all addresses.
 *
 * @throws InvalidValue
 */
export function parseListen(text: string): ListenAddress {
  const parts = /^(?:\[(?<ipv6>[^\]]*)\]:|(?<host>[^:]*):)?(?<port>[^:]*)$/.exec(text)?.groups;
  if (parts === undefined) throw notAListenAddress(text);
  const { ipv6, host, port = '' } = parts;
  return { host: parseHost(text, ipv6, host), port: parsePort(port) };
}

function parseHost(text: string, ipv6: string | undefined, host: string | undefined): string | null {
  if (ipv6 !== undefined) {
    if (isIPv6(ipv6) && !ipv6.includes('%')) return ipv6;
    throw notAListenAddress(text);
  }
  if (host === undefined) return LOOPBACK;
  if (host === '') return null;
  // Digits and dots alone are not a name, but an invalid address.
  if (isIPv4(host) || (isHostName(host) && !/^[\d.]+$/.test(host))) return host.toLowerCase();
  throw notAListenAddress(text);
}

/** RFC 1123, section 2.1. */
function isHostName(text: string): boolean {
  return (
    text.length <= 253 &&
    /^(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)(?:\.[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?)*$/i.test(text)
  );
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new InvalidValue(`'${text}' is not a TCP port`, 'give a number up to 65535, as in 127.0.0.1:9750');
}

function notAListenAddress(text: string): InvalidValue {
  if (isIPv6(text)) return withoutBrackets(text, '9750');
  return new InvalidValue(
    `'${text}' is not an address and port to listen on`,
    "write it as '127.0.0.1:9750' or '[::1]:9750'",
  );
}
