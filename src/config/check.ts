/** Tunnels that are right each for itself, but of which one could not run beside the other. */
import { formatEndpoint, formatIpAddress } from '../address.ts';
import type { LocalEndpoint } from '../address.ts';
import { isNetworkItself, overlap, parseNetwork, rangeOf } from '../network.ts';
import type { ResolvedOptions } from '../options.ts';
import type { KeyPath } from './document.ts';
import type { Finding } from './validate.ts';

export interface NamedTunnel {
  readonly name: string;
  /** Those that are right. */
  readonly options: Partial<ResolvedOptions>;
}

/** Names the tunnel to which a key belongs, and the line where that stands: `tunnels.office (line 4)`. */
export type Reference = (path: KeyPath) => string;

/** Each tunnel is told of the first one before it that is in its way. */
export function findConflicts(tunnels: readonly NamedTunnel[], refer: Reference): Finding[] {
  return [...findSharedDevices(tunnels, refer), ...findSharedPorts(tunnels, refer)];
}

function* findSharedDevices(tunnels: readonly NamedTunnel[], refer: Reference): Generator<Finding> {
  const owners = new Map<string, string>();
  for (const { name, options } of tunnels) {
    const { device } = options;
    if (device === undefined) continue;
    const owner = owners.get(device);
    if (owner === undefined) {
      owners.set(device, name);
      continue;
    }
    yield {
      path: ['tunnels', name, 'device'],
      message: `'${device}' is the device of ${refer(['tunnels', owner, 'device'])} too`,
      hint: 'give each tunnel a device of its own',
    };
  }
}

function* findSharedPorts(tunnels: readonly NamedTunnel[], refer: Reference): Generator<Finding> {
  const byPort = new Map<number, Socket[]>();
  for (const { name, options } of tunnels) {
    const { local } = options;
    if (local === undefined) continue;
    const socket = {
      name,
      address: addressOf(local),
      families: familiesOf(options),
      bindDevice: options.bindDevice ?? null,
    };
    const others = byPort.get(local.port) ?? [];
    const taker = others.find((other) => excludes(other, socket));
    others.push(socket);
    byPort.set(local.port, others);
    if (taker === undefined) continue;
    const where = refer(['tunnels', taker.name, 'local']);
    const [its, theirs] = [socket, taker].map(({ address }) => address ?? 'all addresses');
    yield {
      path: ['tunnels', name, 'local'],
      message:
        its === theirs
          ? `port ${local.port} of ${its} is that of ${where} too`
          : `port ${local.port} is taken at ${its} here, and at ${theirs} by ${where}`,
      hint: 'give each tunnel a port of its own',
    };
  }
}

interface Socket {
  readonly name: string;
  /** `null` for all addresses. */
  readonly address: string | null;
  readonly families: readonly (4 | 6)[];
  readonly bindDevice: string | null;
}

/** As the kernel sees it: IPv6 sockets of ttun are for IPv6 alone, and those of different interfaces are apart. */
function excludes(one: Socket, other: Socket): boolean {
  if (one.bindDevice !== null && other.bindDevice !== null && one.bindDevice !== other.bindDevice)
    return false;
  if (!one.families.some((family) => other.families.includes(family))) return false;
  return one.address === null || other.address === null || one.address === other.address;
}

function familiesOf({ local, remote }: Partial<ResolvedOptions>): readonly (4 | 6)[] {
  const family = local?.address?.family ?? remote?.address?.family;
  // That of a name is not known before it is resolved.
  return family === undefined ? [4, 6] : [family];
}

function addressOf({ address }: LocalEndpoint): string | null {
  return address === null || ['0.0.0.0', '::'].includes(address.text) ? null : formatIpAddress(address);
}

// What works, but hardly as it is meant.

export function findDoubts(tunnels: readonly NamedTunnel[], refer: Reference): Finding[] {
  return [
    ...tunnels.flatMap((tunnel) => [...addressesOfNetworks(tunnel), ...routesToPeer(tunnel)]),
    ...sharedNetworks(tunnels, refer),
    ...sharedRoutes(tunnels, refer),
  ];
}

function* addressesOfNetworks({ name, options }: NamedTunnel): Generator<Finding> {
  for (const [index, address] of (options.interface?.addresses ?? []).entries()) {
    if (!isNetworkItself(parseNetwork(address))) continue;
    yield {
      path: ['tunnels', name, 'interface', 'addresses', index],
      message: `${address} is the network, and no address in it`,
      hint: 'give an address of its own to each of the two ends, as 10.0.2.1/24 and 10.0.2.2/24',
    };
  }
}

/** The tunnel's own datagrams would be packets for the tunnel. */
function* routesToPeer({ name, options }: NamedTunnel): Generator<Finding> {
  const { remote, bindDevice, fwmark } = options;
  if (remote?.address === undefined || bindDevice || fwmark) return;
  const peer = parseNetwork(remote.address.text);
  for (const [index, route] of (options.interface?.routes ?? []).entries()) {
    if (!overlap(parseNetwork(route), peer)) continue;
    yield {
      path: ['tunnels', name, 'interface', 'routes', index],
      message: `the peer ${formatEndpoint(remote)} is in ${route}, so that the tunnel's own datagrams may be routed into the tunnel`,
      hint: 'name the interface that leads to the peer by bindDevice, or choose another route by fwmark',
    };
  }
}

/** Each of these networks lies within the one before it, or apart from it: so a list of those that are still open is enough. */
function* sharedNetworks(tunnels: readonly NamedTunnel[], refer: Reference): Generator<Finding> {
  const open: PlacedAddress[] = [];
  for (const address of tunnels.flatMap(placedAddresses).sort(byRange)) {
    while (open.length > 0 && (open.at(-1)?.last ?? 0n) < address.first) open.pop();
    const other = open.find(({ tunnel, family }) => tunnel !== address.tunnel && family === address.family);
    open.push(address);
    if (other === undefined) continue;
    const [earlier, later] = other.order < address.order ? [other, address] : [address, other];
    yield {
      path: ['tunnels', later.tunnel, 'interface', 'addresses', later.index],
      message: `${later.text} is on one network with ${earlier.text} of ${refer(['tunnels', earlier.tunnel, 'interface', 'addresses', earlier.index])}`,
      hint: 'packets for that network go into one of the two tunnels only; give each a network of its own',
    };
  }
}

interface PlacedAddress {
  readonly tunnel: string;
  /** Of the tunnel in the file. */
  readonly order: number;
  /** Of the address in its list. */
  readonly index: number;
  readonly text: string;
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

function placedAddresses({ name, options }: NamedTunnel, order: number): PlacedAddress[] {
  const addresses = options.interface?.addresses ?? [];
  return addresses.flatMap((text, index) => {
    // Every interface has the network of link-local addresses.
    if (text.startsWith('fe80:')) return [];
    const network = parseNetwork(text);
    return [{ tunnel: name, order, index, text, family: network.family, ...rangeOf(network) }];
  });
}

/** The larger ones first, of those that begin together. */
function byRange(one: PlacedAddress, other: PlacedAddress): number {
  if (one.family !== other.family) return one.family - other.family;
  if (one.first !== other.first) return one.first < other.first ? -1 : 1;
  if (one.last === other.last) return one.order - other.order;
  return one.last > other.last ? -1 : 1;
}

function* sharedRoutes(tunnels: readonly NamedTunnel[], refer: Reference): Generator<Finding> {
  const owners = new Map<string, string>();
  for (const { name, options } of tunnels) {
    for (const [index, route] of (options.interface?.routes ?? []).entries()) {
      const owner = owners.get(route);
      if (owner === undefined) {
        owners.set(route, refer(['tunnels', name, 'interface', 'routes', index]));
        continue;
      }
      yield {
        path: ['tunnels', name, 'interface', 'routes', index],
        message: `${route} is routed into the tunnel of ${owner} too`,
        hint: 'leave one of the two out',
      };
    }
  }
}
