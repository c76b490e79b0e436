/** IP networks and the arithmetic between them, interface names, and MTUs. */
import { SocketAddress } from 'node:net';
import { checkUnicast, InvalidValue, ipBytes, parseInnerAddress } from './address.ts';

/** `10.0.2.0/24`: an address and the length of its network prefix in bits. */
export interface IpNetwork {
  readonly family: 4 | 6;
  /** In canonical spelling; may have bits set beyond the prefix. */
  readonly address: string;
  readonly prefixLength: number;
}

/** Parses `10.0.2.0/24`, or a single address. */
export function parseNetwork(text: string): IpNetwork {
  const [address = '', length, ...rest] = text.split('/');
  const { family, text: canonical } = parseInnerAddress(address);
  const longest = LONGEST_PREFIX[family];
  const prefixLength = length === undefined ? longest : Number(/^\d{1,3}$/.exec(length)?.[0]);
  if (rest.length === 0 && prefixLength <= longest) return { family, address: canonical, prefixLength };
  throw new InvalidValue(
    `'${text}' has no prefix length from 0 to ${longest}`,
    `write it as '${canonical}/${longest}'`,
  );
}

/** Parses a network to route to: the kernel refuses one with bits beyond the prefix. */
export function parseRoute(text: string): IpNetwork {
  const network = parseNetwork(text);
  const base = baseOf(network);
  if (base === network.address) return network;
  throw new InvalidValue(
    `'${text}' has bits beyond its prefix length`,
    `write it as '${base}/${network.prefixLength}', or as '${network.address}/${LONGEST_PREFIX[network.family]}' for the one address`,
  );
}

/** Parses the address of an interface, `10.0.2.1/24`. */
export function parseInterfaceAddress(text: string): IpNetwork {
  const network = parseNetwork(text);
  if (!text.includes('/')) {
    const length = network.family === 4 ? 24 : 64;
    throw new InvalidValue(
      `'${text}' has no prefix length, which determines its network`,
      `write it as '${network.address}/${length}'`,
    );
  }
  if (/^(?:0\.0\.0\.0|::1?)$/.test(network.address)) {
    throw new InvalidValue(
      `no interface can have the address ${network.address}`,
      'give an address that is its own',
    );
  }
  checkUnicast({ family: network.family, text: network.address });
  return network;
}

export function formatNetwork({ address, prefixLength }: IpNetwork): string {
  return `${address}/${prefixLength}`;
}

/** Whether it is the first address of its network, which denotes the network itself, or in IPv6 its routers (RFC 4291, section 2.6.1). */
export function isNetworkItself(network: IpNetwork): boolean {
  return network.prefixLength < LONGEST_PREFIX[network.family] - 1 && baseOf(network) === network.address;
}

/** The last address of an IPv4 network, if it is that of all its hosts (RFC 3021: a network of two addresses has none). */
export function broadcastOf(network: IpNetwork): string | null {
  const has = network.family === 4 && network.prefixLength < LONGEST_PREFIX[4] - 1;
  return has ? addressOf(4, rangeOf(network).last) : null;
}

/** Whether some address belongs to both. */
export function overlap(one: IpNetwork, other: IpNetwork): boolean {
  if (one.family !== other.family) return false;
  const [here, there] = [rangeOf(one), rangeOf(other)];
  return here.first <= there.last && there.first <= here.last;
}

/** The first and the last address of the network, as numbers. */
export function rangeOf(network: IpNetwork): { readonly first: bigint; readonly last: bigint } {
  const shift = BigInt(LONGEST_PREFIX[network.family] - network.prefixLength);
  const address = ipBytes(network.address).reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
  const first = (address >> shift) << shift;
  return { first, last: first + (1n << shift) - 1n };
}

const LONGEST_PREFIX = { 4: 32, 6: 128 } as const;

function baseOf(network: IpNetwork): string {
  return addressOf(network.family, rangeOf(network).first);
}

/** The address with this number. */
export function addressOf(family: 4 | 6, number: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((place) => Number((number >> place) & 0xffn)).join('.');
  const groups = number.toString(16).padStart(32, '0').match(/.{4}/g) ?? [];
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}

// Interface names.

export function parseDeviceName(name: string): string {
  return parseInterfaceName(name, 'give the name of a TUN device, as shown by: ip tuntap');
}

/**
 * Checks a name by the kernel's rules for interfaces (dev_valid_name in net/core/dev.c).
 *
 * @param hint of the error
 * @throws InvalidValue
 */
export function parseInterfaceName(name: string, hint: string): string {
  if (name === '') throw new InvalidValue('the name is empty', hint);
  const bytes = Buffer.from(name);
  if (bytes.length > LONGEST_NAME) {
    throw new InvalidValue(`'${name}' is longer than 15 bytes, the limit for interface names`, hint);
  }
  if (name === '.' || name === '..' || bytes.some((byte) => FORBIDDEN.has(byte)) || INVISIBLE.test(name)) {
    throw new InvalidValue(`${JSON.stringify(name)} is not a valid interface name`, hint);
  }
  return name;
}

/** IFNAMSIZ less the final zero byte. */
const LONGEST_NAME = 15;

/** 0xA0 is a space to the kernel (lib/ctype.c), and `%` a placeholder for a number that it chooses (dev_alloc_name). */
const FORBIDDEN: ReadonlySet<number> = new Set([...Buffer.from('\0\t\n\v\f\r %/:'), 0xa0]);

/** The kernel accepts these; a terminal would interpret them. */
const INVISIBLE = /[\p{Cc}\p{Cf}]/u;

// MTUs, in bytes.

/** Bytes that the kernel adds to each packet of a tunnel: the outer IP header, by its family, and the UDP header. */
export const OUTER_OVERHEAD = { 4: 20 + 8, 6: 40 + 8 } as const;

/** The smallest MTU with which an interface carries IPv6 (RFC 8200, section 5). */
export const IPV6_MINIMUM_MTU = 1280;

/** The smallest MTU with which an interface carries IPv4 (RFC 791, section 3.2). */
export const IPV4_MINIMUM_MTU = 68;

/** The longest packet that fits a datagram: an IPv4 total length of 16 bits less the IP and UDP headers (RFC 791, RFC 768). */
export const MAXIMUM_MTU = 65_535 - OUTER_OVERHEAD[4];
