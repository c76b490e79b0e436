/** Which way packets would go. */
import type { BindingInterface, BindingRoute } from '../../../binding.cjs';
import type { IpAddress } from '../../address.ts';
import { overlap, parseNetwork } from '../../ip-network.ts';
import { loadedBinding } from '../../native.ts';

/** A socket, as far as it decides the way of its datagrams. */
export interface SocketFacts {
  readonly source: string | null;
  /** Number of the interface to which it is bound. */
  readonly bindDevice: number | null;
  readonly fwmark: number | null;
}

export const PLAIN_SOCKET: SocketFacts = { source: null, bindDevice: null, fwmark: null };

/** `null` when there is no way. */
export function routeTo(
  { text, scopeId }: Pick<IpAddress, 'text' | 'scopeId'>,
  { source, bindDevice, fwmark }: SocketFacts = PLAIN_SOCKET,
): BindingRoute | null {
  const query = { remote: text, local: source, bindDevice: bindDevice ?? scopeId, fwmark };
  return loadedBinding().inspectRoute(query).route;
}

/** A way by another interface than `device`, best one to a neighbour, otherwise through a router. */
export function routeBeside(
  device: string,
  address: IpAddress,
  interfaces: readonly BindingInterface[],
): BindingRoute | null {
  const others = interfaces.filter(({ name, kind, up }) => up && kind === 'other' && name !== device);
  const host = parseNetwork(address.text);
  const neighbour = others.find(({ addresses }) => addresses.some((own) => overlap(parseNetwork(own), host)));
  if (neighbour !== undefined) {
    return routeTo(address, { ...PLAIN_SOCKET, bindDevice: neighbour.index });
  }
  const routes = others.map(({ index }) => routeTo(address, { ...PLAIN_SOCKET, bindDevice: index }));
  // Where the table has nothing, the kernel takes any address for a neighbour of the interface that was named.
  return routes.find((route) => route !== null && route.gateway !== null) ?? null;
}
