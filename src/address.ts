/** Numeric IP addresses, ports and endpoints: text parsed once into values that cannot be wrong. */
import { isIP, isIPv4, isIPv6, SocketAddress } from 'node:net';
import { networkInterfaces } from 'node:os';
import { domainToASCII } from 'node:url';

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

/** Where the tunnel's own socket is; `null` leaves the address to the routing table. */
export interface LocalEndpoint {
  readonly address: IpAddress | null;
  readonly port: number;
}

/** Where the peer is: an address, or a name that is still to be resolved. */
export type RemoteEndpoint =
  | { readonly address: IpAddress; readonly name?: undefined; readonly port: number }
  | { readonly name: string; readonly address?: undefined; readonly port: number };

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

/** The bytes of a valid address in network order: 4, or 16 of IPv6. */
export function ipBytes(text: string): number[] {
  if (!text.includes(':')) return text.split('.').map(Number);
  // `::` is as many zero groups as are missing from eight (RFC 4291, section 2.2).
  const [head = [], tail = []] = text.split('::').map((part) => part.split(':').flatMap(groupBytes));
  return [...head, ...Array.from({ length: 16 - head.length - tail.length }, () => 0), ...tail];
}

/** The last two groups may be written as an IPv4 address. */
function groupBytes(group: string): number[] {
  if (group === '') return [];
  if (group.includes('.')) return group.split('.').map(Number);
  const value = Number.parseInt(group, 16);
  return [value >> 8, value & 0xff];
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

/** Checks the name of a TUN device. */
export function parseDeviceName(name: string): string {
  return parseInterfaceName(name, 'give the name of a TUN device, as shown by: ip tuntap');
}

/**
 * Checks a name by the rules of the kernel for interfaces (dev_valid_name in net/core/dev.c).
 *
 * @param right what would be right, for the error
 * @throws InvalidValue
 */
export function parseInterfaceName(name: string, right: string): string {
  if (name === '') throw new InvalidValue('the name is empty', right);
  const bytes = Buffer.from(name);
  if (bytes.length > LONGEST_NAME) {
    throw new InvalidValue(`'${name}' is longer than the 15 bytes that an interface's name may have`, right);
  }
  if (name === '.' || name === '..' || bytes.some((byte) => FORBIDDEN.has(byte)) || INVISIBLE.test(name)) {
    throw new InvalidValue(`${JSON.stringify(name)} is not a name that an interface can have`, right);
  }
  return name;
}

/** IFNAMSIZ less the final zero byte. */
const LONGEST_NAME = 15;

/** 0xA0 is a space to the kernel (lib/ctype.c), and `%` the place of a number that it chooses (dev_alloc_name). */
const FORBIDDEN: ReadonlySet<number> = new Set([...Buffer.from('\0\t\n\v\f\r %/:'), 0xa0]);

/** The kernel would take these; a terminal would take them for commands. */
const INVISIBLE = /[\p{Cc}\p{Cf}]/u;

/** What the kernel puts round each packet of a tunnel, in bytes: the outer IP header, by its family, and the UDP header. */
export const OUTER_OVERHEAD = { 4: 20 + 8, 6: 40 + 8 } as const;

/** The least MTU with which an interface carries IPv6 (RFC 8200, section 5). */
export const IPV6_MINIMUM_MTU = 1280;

// Names of hosts, which are still to be looked up.

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
  if (name.length <= HOST_NAME_LONGEST_NAME && labels.every((label) => LABEL.test(label))) return name;
  throw new InvalidValue(
    `'${text}' is neither an IP address nor the name of a host`,
    'write it as 192.0.2.2, [2001:db8::2] or gateway.example',
  );
}

/** RFC 1035, section 2.3.4: 255 bytes on the wire, where each label has a byte for its length and an empty one is the end. */
const HOST_NAME_LONGEST_NAME = 253 + '.'.length;

const LABEL = /^[a-z\d_](?:[a-z\d_-]{0,61}[a-z\d_])?$/i;

// The two ends of a tunnel's socket, as users write them.

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
