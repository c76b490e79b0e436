/** IP addresses, host names, ports and endpoints: text is parsed once into values that are valid. */
import { isIP, isIPv4, isIPv6, SocketAddress } from 'node:net';
import { domainToASCII } from 'node:url';

/** A numeric address in its canonical spelling. */
export interface IpAddress {
  readonly family: 4 | 6;
  /** Without the zone. */
  readonly text: string;
  /** Interface of a link-local address, by name or index as written; `null` for every other address. */
  readonly zone: string | null;
}

/** A numeric address and a UDP port. */
export interface Endpoint {
  readonly address: IpAddress;
  /** 1 to 65,535. */
  readonly port: number;
}

/** Where a tunnel's own socket is bound; an address of `null` leaves the choice to the routing table. */
export interface LocalEndpoint {
  readonly address: IpAddress | null;
  readonly port: number;
}

/** Where the peer is: at an address, or at a name that is resolved when the tunnel opens; or that is learned from its packets. */
export type RemoteEndpoint =
  | { readonly address: IpAddress; readonly name?: undefined; readonly port: number }
  | { readonly name: string; readonly address?: undefined; readonly port: number }
  | { readonly name?: undefined; readonly address?: undefined; readonly port?: undefined };

/** The remote end of a tunnel that learns its peer. */
const LEARNED: RemoteEndpoint = {};

/** An invalid value: `message` describes the problem, `hint` how to fix it. */
export class InvalidValue extends Error {
  readonly hint: string;

  constructor(problem: string, hint: string) {
    super(problem);
    this.hint = hint;
  }
}

// The two ends of a tunnel.

/** Parses `192.0.2.1:8000`, `[2001:db8::1]:8000`, or `:8000`, which leaves the address to the routing table. */
export function parseLocal(text: string): LocalEndpoint {
  const { host, port } = splitEndpoint(text);
  if (host === '') return { address: null, port: parsePort(port) };
  const endpoint = parseEndpoint(text);
  checkUnicast(endpoint.address);
  return endpoint;
}

/** Parses `192.0.2.2:8000`, `[2001:db8::2]:8000`, `gateway.example:8000`, or `learn`. */
export function parseRemote(text: string): RemoteEndpoint {
  if (text === 'learn') return LEARNED;
  if (/^learn$/i.test(text)) throw new InvalidValue(`'${text}' has capital letters`, "write it as 'learn'");
  if (/^learn:/i.test(text)) {
    throw new InvalidValue(`'${text}' has a port, which is learned as well`, "write it as 'learn'");
  }
  const [, openHost = text, openPort = ''] = /^(.*):([^:\]]*)$/.exec(text) ?? [];
  if (isOpenEnd(text, '') || isOpenEnd(openHost.replace(/^\[(.*)\]$/, '$1'), openPort)) {
    throw new InvalidValue(
      `'${text}' is not the address and port of one host`,
      'give those of the peer; if they are not known, as behind a NAT: remote = "learn", with peers',
    );
  }
  if (isNameLike(text) && /^[^:[\]/]+$/.test(text)) {
    throw new InvalidValue(`'${text}' has no port`, `write it as '${text}:8000'`);
  }
  const { host, port, isBracketed } = splitEndpoint(text);
  if (!isBracketed && isNameLike(host)) return { name: parseHostName(host), port: parsePort(port) };
  const endpoint = parseEndpoint(text);
  checkRemoteAddress(endpoint.address);
  return endpoint;
}

/** Whether this is what users of other programs write for a peer whose address or port is not known. */
export function isOpenEnd(host: string, port: string): boolean {
  if (/^(?:\*|%any|0\.0\.0\.0|::)?$/.test(host)) return true;
  // A name may be like one of these words, but then it has a port.
  return port === '' ? /^(?:any|auto|dynamic)$/i.test(host) : /^(?:\*|any|0+)$/i.test(port);
}

/** `:8000` where the address is left to the routing table. */
export function formatLocal({ address, port }: LocalEndpoint): string {
  return address === null ? `:${port}` : formatEndpoint({ address, port });
}

export function formatRemote(remote: RemoteEndpoint): string {
  if (remote.address !== undefined) return formatEndpoint(remote);
  return remote.name === undefined ? 'learn' : `${remote.name}:${remote.port}`;
}

/** @throws InvalidValue if no tunnel can run between the two */
export function checkEnds(local: LocalEndpoint, remote: RemoteEndpoint): void {
  if (local.address === null || remote.address === undefined) return;
  if (local.address.family !== remote.address.family) {
    throw new InvalidValue(
      `${local.address.text} is IPv${local.address.family} but ${remote.address.text} is IPv${remote.address.family}`,
      'give two IPv4 or two IPv6 addresses',
    );
  }
  const [here, there] = [formatLocal(local), formatRemote(remote)];
  if (here !== there) return;
  throw new InvalidValue(
    `the local and the remote end are both ${here}`,
    'give the address and port of the other host as the remote end',
  );
}

/** The address of one other host, which `0.0.0.0` is not. */
export function checkRemoteAddress(address: IpAddress): void {
  if (address.text === '0.0.0.0' || address.text === '::') {
    throw new InvalidValue(
      `${address.text} is not the address of a host`,
      "give the other host's own address",
    );
  }
  checkUnicast(address);
}

/** Refuses multicast and broadcast addresses. */
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

// Endpoints and ports.

/** Parses `192.0.2.1:8000` or `[2001:db8::1]:8000`. */
export function parseEndpoint(text: string): Endpoint {
  const { host, port, isBracketed } = splitEndpoint(text);
  const endpoint = { address: parseIpAddress(host), port: parsePort(port) };
  if (isBracketed && endpoint.address.family === 4) {
    throw new InvalidValue(
      `'${text}' has an IPv4 address in brackets`,
      `write '${formatEndpoint(endpoint)}'`,
    );
  }
  return endpoint;
}

/** `192.0.2.1:8000`, `[2001:db8::1]:8000`, or `[fe80::1%eth0]:8000`. */
function formatEndpoint({ address, port }: Endpoint): string {
  return formatAuthority(formatIpAddress(address), port);
}

/** `127.0.0.1:9750`, `localhost:9750`, or `[::1]:9750`. */
export function formatAuthority(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Parses a decimal port from 1 to 65,535. */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port >= 1 && port <= 65_535) return port;
  throw new InvalidValue(`'${text}' is not a UDP port`, 'give a number from 1 to 65535');
}

/** The text before and after the colon of the port. */
function splitEndpoint(text: string): { host: string; port: string; isBracketed: boolean } {
  const bracketed = /^\[(?<host>.*)\]:(?<port>[^:]*)$/.exec(text)?.groups;
  const plain = /^(?<host>[^:[\]]*):(?<port>[^:]*)$/.exec(text)?.groups;
  const parts = bracketed ?? plain;
  if (parts === undefined) throw notAnEndpoint(text);
  return { host: parts['host'] ?? '', port: parts['port'] ?? '', isBracketed: bracketed !== undefined };
}

function notAnEndpoint(text: string): InvalidValue {
  if (isIPv6(text)) return withoutBrackets(text, '8000');
  if (isIPv4(text)) return new InvalidValue(`'${text}' has no port`, `write it as '${text}:8000'`);
  return new InvalidValue(
    `'${text}' is not an address with a port`,
    "write it as '192.0.2.1:8000' or '[2001:db8::1]:8000'",
  );
}

/**
 * The error for an IPv6 address without brackets. The last part of `2001:db8::1:8000` is more likely a port than half of the address; a shorter one is part of the address,
 * which then has no port.
 */
export function withoutBrackets(text: string, usualPort: string): InvalidValue {
  const [, before = '', last = ''] = /^(.*[^:]):(\d{4})$/.exec(text) ?? [];
  const meant = isIPv6(before) ? `[${before}]:${last}` : `[${text}]:${usualPort}`;
  return new InvalidValue(
    `'${text}' has no port, or no brackets around its address`,
    `write it as '${meant}'`,
  );
}

// IP addresses.

/** Parses `192.0.2.1`, `2001:db8::1` or `fe80::1%eth0`. */
export function parseIpAddress(text: string): IpAddress {
  const { family, address, zone } = parseZoned(text);
  if (family === 6) checkZone(address, zone);
  return { family, text: address, zone };
}

/** `192.0.2.1`, `2001:db8::1` or `fe80::1%eth0`. */
export function formatIpAddress({ text, zone }: IpAddress): string {
  return zone === null ? text : `${text}%${zone}`;
}

/** Parses an address whose link is known from its context: inside the tunnel, or as part of a network. */
export function parseInnerAddress(text: string): Pick<IpAddress, 'family' | 'text'> {
  const { family, address, zone } = parseZoned(text);
  if (zone === null) return { family, text: address };
  throw new InvalidValue(`'${text}' has a zone, which is not needed here`, `omit '%${zone}'`);
}

/** The bytes of a valid address in network order: 4 for IPv4, 16 for IPv6. */
export function ipBytes(text: string): number[] {
  if (!text.includes(':')) return text.split('.').map(Number);
  // `::` represents as many zero groups as are missing from eight (RFC 4291, section 2.2).
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

function parseZoned(text: string): { family: 4 | 6; address: string; zone: string | null } {
  const family = isIP(text);
  if (family === 0) throw notAnAddress(text);
  if (family === 4) return { family: 4, address: text, zone: null };

  const [address = '', zone = null] = text.split('%');
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address;
  const mapped = /^::ffff:(?<ipv4>[\d.]+)$/.exec(canonical)?.groups?.['ipv4'];
  if (mapped !== undefined) {
    throw new InvalidValue(`'${text}' is an IPv4-mapped IPv6 address`, `write it as ${mapped}`);
  }
  return { family: 6, address: canonical, zone };
}

/** Whether it is in fe80::/10, of which the kernel gives an address to each interface (RFC 4291, section 2.5.6). */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/.test(address);
}

/** Link-local addresses exist on every link, so the interface has to be named. */
function checkZone(address: string, zone: string | null): void {
  if (isLinkLocal(address) && zone === null) {
    throw new InvalidValue(
      `${address} is link-local and exists on every link`,
      `name the interface: ${address}%eth0`,
    );
  }
  if (isLinkLocal(address) || zone === null) return;
  throw new InvalidValue(`${address} is not link-local, so it cannot have a zone`, `omit '%${zone}'`);
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
      `'${text}' is not a numeric IP address, and names are not looked up here`,
      `find its address with: getent hosts ${text}`,
    );
  }
  return new InvalidValue(`'${text}' is not an IP address`, 'write it as 192.0.2.1 or 2001:db8::1');
}

// Host names.

/**
 * Checks a name by the rules of RFC 1123, section 2.1, which are those of RFC 952 and a leading digit. Two more things are
 * accepted: the underscore, which container networks use in names, and letters beyond ASCII, which are encoded for the DNS
 * (RFC 5891). A final dot keeps the resolver from trying its search domains, and is left in place.
 *
 * @returns the name in ASCII
 */
function parseHostName(text: string): string {
  const name = /^[\x21-\x7E]*$/.test(text) ? text : domainToASCII(text);
  const labels = name.replace(/\.$/, '').split('.');
  if (name.length <= LONGEST_HOST_NAME && labels.every((label) => LABEL.test(label))) return name;
  throw new InvalidValue(
    `'${text}' is neither an IP address nor a host name`,
    'write it as 192.0.2.2, [2001:db8::2] or gateway.example',
  );
}

/** RFC 1035, section 2.3.4: 255 bytes on the wire, where each label has a length byte and an empty one ends the name. */
const LONGEST_HOST_NAME = 253 + '.'.length;

const LABEL = /^[a-z\d_](?:[a-z\d_-]{0,61}[a-z\d_])?$/i;

/**
 * A name that ends in a number is an IPv4 address, valid or not: no top-level domain is a number (RFC 3696, section 2), and
 * resolvers treat such a name as an address.
 */
function isNameLike(host: string): boolean {
  return host !== '' && !/(?:^|\.)(?:\d+|0x[\da-f]*)\.?$/i.test(host);
}
