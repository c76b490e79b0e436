/** Numeric IP addresses, ports and endpoints: text parsed once into values that cannot be wrong. */
import { isIP, isIPv4, isIPv6, SocketAddress } from 'node:net';
import { networkInterfaces } from 'node:os';

/** A numeric address in its canonical spelling. */
export interface IpAddress {
  readonly family: 4 | 6;
  /** Without zone. */
  readonly text: string;
  /** Index of the interface to which a link-local address belongs, `null` for every other address. */
  readonly scopeId: number | null;
}

/** Where a UDP socket lives. */
export interface Endpoint {
  readonly address: IpAddress;
  /** 1 to 65,535. */
  readonly port: number;
}

/** A value that means nothing here. `message` says what is wrong with it, `hint` what would be right. */
export class InvalidValue extends Error {
  readonly hint: string;

  constructor(problem: string, hint: string) {
    super(problem);
    this.hint = hint;
  }
}

/**
 * The index of the interface that a zone (`eth0` in `fe80::1%eth0`) names.
 *
 * @throws InvalidValue when there is none
 */
export type ZoneLookup = (zone: string) => number;

/** Parses `192.0.2.1`, `2001:db8::1` or `fe80::1%eth0`. */
export function parseIpAddress(text: string, zones: ZoneLookup = interfaceIndex): IpAddress {
  const { family, address, zone } = parseZoned(text);
  return { family, text: address, scopeId: family === 4 ? null : scopeIdOf(address, zone, zones) };
}

/** An address whose link is known from where it stands: inside the tunnel, or as part of a network. */
export function parseInnerAddress(text: string): Pick<IpAddress, 'family' | 'text'> {
  const { family, address, zone } = parseZoned(text);
  if (zone === undefined) return { family, text: address };
  throw new InvalidValue(`'${text}' names a zone, where none is needed`, `leave out '%${zone}'`);
}

function parseZoned(text: string): { family: 4 | 6; address: string; zone?: string | undefined } {
  const family = isIP(text);
  if (family === 0) throw notAnAddress(text);
  if (family === 4) return { family: 4, address: text };

  const [address = '', zone] = text.split('%');
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address;
  const mapped = /^::ffff:(?<ipv4>[\d.]+)$/.exec(canonical)?.groups?.['ipv4'];
  if (mapped !== undefined) {
    throw new InvalidValue(`'${text}' is an IPv4 address in IPv6 clothing`, `write it as ${mapped}`);
  }
  return { family: 6, address: canonical, zone };
}

/** Parses a decimal port from 1 to 65,535. */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port >= 1 && port <= 65_535) return port;
  throw new InvalidValue(`'${text}' is not a UDP port`, 'give a number from 1 to 65535');
}

/** Parses `192.0.2.1:8000` or `[2001:db8::1]:8000`. */
export function parseEndpoint(text: string, zones: ZoneLookup = interfaceIndex): Endpoint {
  const { host, port, isBracketed } = splitEndpoint(text);
  const address = parseIpAddress(host, zones);
  const endpoint = { address, port: parsePort(port) };
  if (isBracketed && address.family === 4) {
    throw new InvalidValue(
      `'${text}' has an IPv4 address in brackets`,
      `write '${formatEndpoint(endpoint)}'`,
    );
  }
  return endpoint;
}

/** What stands before and after the colon, not looked into any further. */
export function splitEndpoint(text: string): { host: string; port: string; isBracketed: boolean } {
  const bracketed = /^\[(?<host>.*)\]:(?<port>[^:]*)$/.exec(text)?.groups;
  const plain = /^(?<host>[^:[\]]*):(?<port>[^:]*)$/.exec(text)?.groups;
  const parts = bracketed ?? plain;
  if (parts === undefined) throw notAnEndpoint(text);
  return { host: parts['host'] ?? '', port: parts['port'] ?? '', isBracketed: bracketed !== undefined };
}

/** `192.0.2.1`, `2001:db8::1`, or `fe80::1%2` with the interface's index. */
export function formatIpAddress({ text, scopeId }: IpAddress): string {
  return scopeId === null ? text : `${text}%${scopeId}`;
}

/** `192.0.2.1:8000`, `[2001:db8::1]:8000`, or `[fe80::1%2]:8000` with the interface's index. */
export function formatEndpoint({ address, port }: Endpoint): string {
  const host = formatIpAddress(address);
  return address.family === 4 ? `${host}:${port}` : `[${host}]:${port}`;
}

/** The address of the other host: that of one host, which `0.0.0.0` is not. */
export function checkRemoteAddress(address: IpAddress): void {
  if (address.text === '0.0.0.0' || address.text === '::') {
    throw new InvalidValue(`${address.text} stands for no host`, "give the other host's own address");
  }
  checkUnicast(address);
}

/** An address that one host may have. */
export function checkUnicast(address: Pick<IpAddress, 'family' | 'text'>): void {
  const kind = groupKind(address);
  if (kind === null) return;
  throw new InvalidValue(`${address.text} is a ${kind} address`, 'give the address of one host');
}

function groupKind({ family, text }: Pick<IpAddress, 'family' | 'text'>): 'broadcast' | 'multicast' | null {
  if (family === 6) return text.startsWith('ff') ? 'multicast' : null;
  if (text === '255.255.255.255') return 'broadcast';
  const first = Number.parseInt(text, 10);
  return first >= 224 && first <= 239 ? 'multicast' : null; // RFC 5771
}

/** fe80::/10 (RFC 4291, section 2.5.6): the same addresses exist on every link, so the interface has to be named. */
function scopeIdOf(address: string, zone: string | undefined, zones: ZoneLookup): number | null {
  if (!/^fe[89ab]/.test(address)) {
    if (zone === undefined) return null;
    throw new InvalidValue(`${address} is not link-local and belongs to no zone`, `leave out '%${zone}'`);
  }
  if (zone === undefined) {
    throw new InvalidValue(
      `${address} is link-local and exists on every link`,
      `name the interface: ${address}%eth0`,
    );
  }
  return /^[1-9]\d*$/.test(zone) ? Number(zone) : zones(zone);
}

function interfaceIndex(zone: string): number {
  const scopeIds = networkInterfaces()[zone]?.map((entry) => (entry.family === 'IPv6' ? entry.scopeid : 0));
  const scopeId = scopeIds?.find((id) => id > 0);
  if (scopeId !== undefined) return scopeId;
  throw new InvalidValue(
    `no interface '${zone}' has a link-local address`,
    'see which ones do with: ip -6 address show scope link',
  );
}

function notAnAddress(text: string): InvalidValue {
  if (text === '') return new InvalidValue('the address is empty', 'write it as 192.0.2.1 or 2001:db8::1');
  if (/^\d+(?:\.\d+)*$/.test(text)) {
    return new InvalidValue(
      `'${text}' is not an IPv4 address`,
      'write four numbers from 0 to 255, as in 192.0.2.1',
    );
  }
  const bare = text.replace(/^\[(?<inside>.*)\]$/, '$<inside>');
  if (bare !== text && isIPv6(bare)) return new InvalidValue(`'${text}' has brackets`, `write it as ${bare}`);
  if (/^[a-z\d](?:[a-z\d.-]*[a-z\d])?$/i.test(text)) {
    return new InvalidValue(
      `'${text}' is not a numeric IP address, and names are not looked up`,
      `find its address with: getent hosts ${text}`,
    );
  }
  return new InvalidValue(`'${text}' is not an IP address`, 'write it as 192.0.2.1 or 2001:db8::1');
}

/**
 * What somebody means who writes an IPv6 address without brackets. The last part of `2001:db8::1:8000` is more likely a port than
 * half of the address; a shorter one is part of the address, which then has no port.
 */
export function withBrackets(address: string, port: string): string {
  const [, before = '', last = ''] = /^(.*[^:]):(\d{4})$/.exec(address) ?? [];
  return isIPv6(before) ? `[${before}]:${last}` : `[${address}]:${port}`;
}

function notAnEndpoint(text: string): InvalidValue {
  if (isIPv6(text)) {
    return new InvalidValue(
      `'${text}' has no port, or no brackets round its address`,
      `write it as '${withBrackets(text, '8000')}'`,
    );
  }
  if (isIPv4(text)) return new InvalidValue(`'${text}' has no port`, `write it as '${text}:8000'`);
  return new InvalidValue(
    `'${text}' is not an address with a port`,
    "write it as '192.0.2.1:8000' or '[2001:db8::1]:8000'",
  );
}
