/** The peer of a tunnel that learns it: the networks from which it may send, which are the option `peers`. */
import { checkUnicast, InvalidValue } from './address.ts';
import type { LocalEndpoint, RemoteEndpoint } from './address.ts';
import { parseNetwork } from './network.ts';
import type { IpNetwork } from './network.ts';

/** Parses a network of hosts, or the address of one. */
export function parsePeers(text: string): IpNetwork {
  const network = parseNetwork(text);
  const { family, address, prefixLength } = network;
  if ((address === '0.0.0.0' || address === '::') && prefixLength > 0) {
    throw new InvalidValue(
      `${address} is not the address of a host`,
      `give the network of the peer, or '${address}/0' for any address`,
    );
  }
  checkUnicast({ family, text: address });
  return network;
}

/**
 * @param hint if the peer is not to be learned
 * @throws InvalidValue if a peer from `peers` cannot send to the local end; about `peers`
 */
export function checkPeers(
  local: LocalEndpoint | undefined,
  remote: RemoteEndpoint,
  peers: readonly IpNetwork[],
  hint = 'set remote = "learn", or remove peers',
): void {
  if (!isLearned(remote)) throw new InvalidValue('applies only if the peer is learned', hint);
  const [first] = peers;
  if (first === undefined) {
    throw new InvalidValue(
      'an empty list would accept no peer',
      'give the network from which the peer sends',
    );
  }
  const other = peers.find(({ family }) => family !== first.family);
  if (other !== undefined) {
    throw new InvalidValue(
      `${first.address} is IPv${first.family} but ${other.address} is IPv${other.family}`,
      'give networks of one family: a tunnel uses either IPv4 or IPv6',
    );
  }
  const address = local?.address;
  if (!address || address.family === first.family) return;
  throw new InvalidValue(
    `${first.address} is IPv${first.family} but the local address ${address.text} is IPv${address.family}`,
    'give networks of the family of the local address',
  );
}

/** @throws InvalidValue if the peer is to be learned, but `peers` is absent; about `remote` */
export function checkLearned(
  remote: RemoteEndpoint,
  peers: readonly IpNetwork[] | undefined,
  hint = 'add the networks from which the peer may send, such as peers = ["203.0.113.0/24"]',
): void {
  if (!isLearned(remote) || peers !== undefined) return;
  throw new InvalidValue('without peers, anyone on the internet could become the peer', hint);
}

/** Whether the peer is whoever sends from the networks of `peers`. */
export function isLearned({ name, address }: RemoteEndpoint): boolean {
  return name === undefined && address === undefined;
}
