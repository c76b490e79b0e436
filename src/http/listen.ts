/** Where the HTTP server listens. */
import { isIPv4, isIPv6 } from 'node:net';
import { InvalidValue, withBrackets } from '../address.ts';
import { TtunError } from '../errors.ts';
import type { TtunErrorCode } from '../errors.ts';

export interface ListenAddress {
  /** An address or a name of this host; `null` stands for all its addresses. */
  readonly host: string | null;
  /** 0 lets the system choose one. */
  readonly port: number;
}

/** Nobody else can reach it, unless another address was asked for. */
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

/** `127.0.0.1:9750` or `[::1]:9750`, as it stands in a URL. */
export function formatAuthority(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

function parseHost(text: string, ipv6: string | undefined, host: string | undefined): string | null {
  if (ipv6 !== undefined) {
    if (isIPv6(ipv6) && !ipv6.includes('%')) return ipv6;
    throw notAListenAddress(text);
  }
  if (host === undefined) return LOOPBACK;
  if (host === '') return null;
  // Digits and points alone are no name but an address that is wrong.
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
  if (isIPv6(text)) {
    return new InvalidValue(
      `'${text}' has no port, or no brackets round its address`,
      `write it as '${withBrackets(text, '9750')}'`,
    );
  }
  return new InvalidValue(
    `'${text}' is not an address with a port to listen at`,
    "write it as '127.0.0.1:9750' or '[::1]:9750'",
  );
}

/** Why it is not possible to listen there, and what to do about it. */
export function toListenError(error: unknown, { host, port }: ListenAddress): TtunError {
  const where = host === null ? `port ${port} of all addresses` : formatAuthority(host, port);
  const { code, syscall, errno, message } = asSystemError(error);
  const [ttunCode, problem, hint] = describe(code, host, port) ?? ['ERR_TTUN_SYSTEM', message, undefined];
  return new TtunError(ttunCode, `cannot serve HTTP at ${where}: ${problem}`, {
    syscall,
    errno,
    hint,
    cause: error,
  });
}

type Description = readonly [code: TtunErrorCode, problem: string, hint: string];

function describe(errorCode: string | undefined, host: string | null, port: number): Description | null {
  switch (errorCode) {
    case 'EADDRINUSE':
      return [
        'ERR_TTUN_PORT_IN_USE',
        'another program listens there',
        `see which with: ss -ltnp 'sport = ${port}'; or choose another port`,
      ];
    case 'EACCES':
    case 'EPERM':
      return [
        'ERR_TTUN_PORT_PERMISSION',
        `this user may not listen at port ${port}`,
        'choose a port above 1023',
      ];
    case 'EADDRNOTAVAIL':
      return [
        'ERR_TTUN_ADDRESS_NOT_LOCAL',
        `no interface of this host has the address ${host}`,
        'see which ones there are with: ip address; 127.0.0.1 is always there',
      ];
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return [
        'ERR_TTUN_ADDRESS_NOT_LOCAL',
        `${host} has no address`,
        'give an address of this host, such as 127.0.0.1',
      ];
    default:
      return null;
  }
}

function asSystemError(error: unknown): NodeJS.ErrnoException {
  return error instanceof Error ? error : new Error(String(error));
}
