/** What tunnels that are right each for itself do to each other, and to themselves. */
import { formatEndpoint, formatIpAddress } from '../address.ts';
import { isNetworkItself, overlap, parseNetwork } from '../ip-network.ts';
import type { LocalEndpoint, ResolvedOptions } from '../options.ts';
import type { KeyPath } from './document.ts';
import type { Finding } from './validate.ts';

export interface NamedTunnel {
  readonly name: string;
  /** Those that are right. */
  readonly options: Partial<ResolvedOptions>;
}

/** Names the tunnel to which a key belongs, and the line where that stands: `tunnels.office (line 4)`. */
export type Reference = (path: KeyPath) => string;

/** Pairs of tunnels of which one could not run. */
export function findConflicts(tunnels: readonly NamedTunnel[], refer: Reference): Finding[] {
  return pairsOf(tunnels).flatMap(([one, other]) => [
    ...sharedDevice(one, other, refer),
    ...sharedPort(one, other, refer),
  ]);
}

/** What works, but hardly as it is meant. */
export function findDoubts(tunnels: readonly NamedTunnel[], refer: Reference): Finding[] {
  return [
    ...tunnels.flatMap((tunnel) => [...addressesOfNetworks(tunnel), ...routesToPeer(tunnel)]),
    ...pairsOf(tunnels).flatMap(([one, other]) => [
      ...sharedNetworks(one, other, refer),
      ...sharedRoutes(one, other, refer),
    ]),
  ];
}

function* sharedDevice(one: NamedTunnel, other: NamedTunnel, refer: Reference): Generator<Finding> {
  const { device } = other.options;
  if (device === undefined || one.options.device !== device) return;
  yield {
    path: ['tunnels', other.name, 'device'],
    message: `'${device}' is the device of ${refer(['tunnels', one.name, 'device'])} too`,
    hint: 'give each tunnel a device of its own',
  };
}

/** As the kernel sees it: IPv6 sockets of ttun are for IPv6 alone, and those of different interfaces are apart. */
function* sharedPort(one: NamedTunnel, other: NamedTunnel, refer: Reference): Generator<Finding> {
  const [first, second] = [one.options.local, other.options.local];
  if (first === undefined || second === undefined || first.port !== second.port) return;
  const devices = [one.options.bindDevice ?? null, other.options.bindDevice ?? null];
  if (!devices.includes(null) && devices[0] !== devices[1]) return;
  if (!familiesOf(one.options).some((family) => familiesOf(other.options).includes(family))) return;
  const [its, theirs] = [addressOf(second), addressOf(first)];
  if (its !== null && theirs !== null && its !== theirs) return;
  const where = refer(['tunnels', one.name, 'local']);
  const { port } = second;
  yield {
    path: ['tunnels', other.name, 'local'],
    message:
      its === theirs
        ? `port ${port} of ${its ?? 'all addresses'} is that of ${where} too`
        : `port ${port} is taken at ${its ?? 'all addresses'} here, and at ${theirs ?? 'all addresses'} by ${where}`,
    hint: 'give each tunnel a port of its own',
  };
}

function familiesOf({ local, remote }: Partial<ResolvedOptions>): readonly number[] {
  const family = local?.address?.family ?? remote?.address?.family;
  // That of a name is not known before it is resolved.
  return family === undefined ? [4, 6] : [family];
}

/** `null` for all addresses. */
function addressOf({ address }: LocalEndpoint): string | null {
  return address === null || isAny(address.text) ? null : formatIpAddress(address);
}

function isAny(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

function* sharedNetworks(one: NamedTunnel, other: NamedTunnel, refer: Reference): Generator<Finding> {
  for (const [index, address] of addressesOf(other).entries()) {
    const theirs = addressesOf(one).findIndex((candidate) => overlaps(candidate, address));
    // Every interface has the network of link-local addresses.
    if (theirs < 0 || address.startsWith('fe80:')) continue;
    yield {
      path: ['tunnels', other.name, 'interface', 'addresses', index],
      message: `${address} is on one network with ${addressesOf(one)[theirs]} of ${refer(['tunnels', one.name, 'interface', 'addresses', theirs])}`,
      hint: 'packets for that network go into one of the two tunnels only; give each a network of its own',
    };
  }
}

function* sharedRoutes(one: NamedTunnel, other: NamedTunnel, refer: Reference): Generator<Finding> {
  for (const [index, route] of routesOf(other).entries()) {
    const theirs = routesOf(one).indexOf(route);
    if (theirs < 0) continue;
    yield {
      path: ['tunnels', other.name, 'interface', 'routes', index],
      message: `${route} is routed into the tunnel of ${refer(['tunnels', one.name, 'interface', 'routes', theirs])} too`,
      hint: 'leave one of the two out',
    };
  }
}

function* addressesOfNetworks(tunnel: NamedTunnel): Generator<Finding> {
  for (const [index, address] of addressesOf(tunnel).entries()) {
    if (!isNetworkItself(parseNetwork(address))) continue;
    yield {
      path: ['tunnels', tunnel.name, 'interface', 'addresses', index],
      message: `${address} is the network, and no address in it`,
      hint: 'give an address of its own to each of the two ends, as 10.0.2.1/24 and 10.0.2.2/24',
    };
  }
}

/** The tunnel's own datagrams would be packets for the tunnel. */
function* routesToPeer({ name, options }: NamedTunnel): Generator<Finding> {
  const { remote, bindDevice, fwmark } = options;
  if (remote?.address === undefined || bindDevice || fwmark) return;
  const peer = remote.address.text;
  for (const [index, route] of (options.interface?.routes ?? []).entries()) {
    if (!overlaps(route, peer)) continue;
    yield {
      path: ['tunnels', name, 'interface', 'routes', index],
      message: `the peer ${formatEndpoint(remote)} is in ${route}, so that the tunnel's own datagrams may be routed into the tunnel`,
      hint: 'name the interface that leads to the peer by bindDevice, or choose another route by fwmark',
    };
  }
}

function addressesOf({ options }: NamedTunnel): readonly string[] {
  return options.interface?.addresses ?? [];
}

function routesOf({ options }: NamedTunnel): readonly string[] {
  return options.interface?.routes ?? [];
}

function overlaps(one: string, other: string): boolean {
  return overlap(parseNetwork(one), parseNetwork(other));
}

function pairsOf<T>(items: readonly T[]): [T, T][] {
  return items.flatMap((one, index) => items.slice(index + 1).map((other): [T, T] => [one, other]));
}
