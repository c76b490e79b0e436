/** Addresses that the peer may have inside the tunnel, guessed from those of this end and its routes. */
import { addressOf, parseNetwork, rangeOf } from './network.ts';
import type { IpNetwork } from './network.ts';

/**
 * The likely ones first, of both families: single addresses that are routed into the tunnel, the other end of a link for two, and the
 * first or second address of a larger network.
 *
 * @param addresses of the device, `10.0.2.1/24`
 * @param routes networks that are routed into the device
 */
export function guessPeers(addresses: readonly string[], routes: readonly string[]): string[] {
  const own = addresses.map(parseNetwork).filter(({ address }) => !/^fe[89ab]/.test(address));
  const isOwn = (candidate: string): boolean => own.some(({ address }) => address === candidate);
  const hosts = routes
    .map(parseNetwork)
    .filter((network) => rangeOf(network).first === rangeOf(network).last);
  const guesses = [...hosts.map(({ address }) => address), ...own.flatMap(otherEnd)];
  return [...new Set(guesses)].filter((candidate) => !isOwn(candidate)).slice(0, MOST_GUESSES);
}

const MOST_GUESSES = 8;

function otherEnd(network: IpNetwork): string[] {
  const { family, address } = network;
  const { first, last } = rangeOf(network);
  // A link for two has no address of the network itself (RFC 3021, RFC 6164).
  const usable = last - first === 1n ? [first, last] : [first + 1n, first + 2n];
  const candidates = usable.filter((number) => number <= last).map((number) => addressOf(family, number));
  const likely = candidates.find((candidate) => candidate !== address);
  return likely === undefined ? [] : [likely];
}
