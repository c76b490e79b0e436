/** Networks and addresses with a prefix length, and the arithmetic between them. */
import { SocketAddress } from 'node:net';
import { checkUnicast, InvalidValue, ipBytes, parseInnerAddress } from './address.ts';

/** `10.0.2.0/24`: an address and how many of its first bits name the network. */
export interface IpNetwork {
  readonly family: 4 | 6;
  /** In its canonical spelling; may have bits beyond the prefix. */
  readonly address: string;
  readonly prefixLength: number;
}

/** Parses `10.0.2.0/24`, or an address alone, which stands for itself. */
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
      `'${text}' has no prefix length, which says who else is on its network`,
      `write it as '${network.address}/${length}'`,
    );
  }
  if (/^(?:0\.0\.0\.0|::1?)$/.test(network.address)) {
    throw new InvalidValue(`no interface can have the address ${network.address}`, 'give one of its own');
  }
  checkUnicast({ family: network.family, text: network.address });
  return network;
}

export function formatNetwork({ address, prefixLength }: IpNetwork): string {
  return `${address}/${prefixLength}`;
}

/** Whether it is the first address of its network, which stands for the network itself, or in IPv6 for its routers (RFC 4291, section 2.6.1). */
export function isNetworkItself(network: IpNetwork): boolean {
  return network.prefixLength < LONGEST_PREFIX[network.family] - 1 && baseOf(network) === network.address;
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
  const { first: base } = rangeOf(network);
  if (network.family === 4) {
    return [24n, 16n, 8n, 0n].map((place) => Number((base >> place) & 0xffn)).join('.');
  }
  const groups = base.toString(16).padStart(32, '0').match(/.{4}/g) ?? [];
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}
