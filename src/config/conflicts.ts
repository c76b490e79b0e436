/** Problems between tunnels that are valid on their own, and options that are valid but probably mistaken. */
import { formatIpAddress, isLinkLocal } from '../address.ts';
import type { LocalEndpoint } from '../address.ts';
import { formatNetwork, isNetworkItself, overlap, rangeOf } from '../network.ts';
import type { IpNetwork } from '../network.ts';
import type { KeyPath } from './document.ts';
import { findLoops } from './loops.ts';
import type { Finding, NamedTunnel } from './resolve.ts';

/** Names the tunnel that a key belongs to, and the line of the key: `tunnels.office (line 4)`. */
export type Reference = (path: KeyPath) => string;

/** Conflicts that prevent tunnels from running at the same time; reported at the later one. */
export function findConflicts(tunnels: readonly NamedTunnel[], refer: Reference): Finding[] {
  return [...findSharedDevices(tunnels, refer), ...findSharedPorts(tunnels, refer)];
}

/** Settings that work, but are probably mistakes. */
export function findWarnings(tunnels: readonly NamedTunnel[], refer: Reference): Finding[] {
  return [
    ...tunnels.flatMap((tunnel) => [...addressesOfNetworks(tunnel), ...probesOutside(tunnel)]),
    ...findLoops(tunnels),
    ...sharedNetworks(tunnels, refer),
    ...sharedRoutes(tunnels, refer),
  ];
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
      message: `'${device}' is already used by ${refer(['tunnels', owner, 'device'])}`,
      hint: 'give each tunnel its own device',
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
    const owner = others.find((other) => excludes(other, socket));
    others.push(socket);
    byPort.set(local.port, others);
    if (owner === undefined) continue;
    const [here, there] = [socket, owner].map(({ address }) => address ?? 'all addresses');
    const where = here === there ? '' : `, at ${there}`;
    yield {
      path: ['tunnels', name, 'local'],
      message: `port ${local.port} of ${here} is already used by ${refer(['tunnels', owner.name, 'local'])}${where}`,
      hint: 'give each tunnel its own port',
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

/** By the kernel's rules: ttun's IPv6 sockets are for IPv6 only, and sockets bound to different interfaces are independent. */
function excludes(one: Socket, other: Socket): boolean {
  if (one.bindDevice !== null && other.bindDevice !== null && one.bindDevice !== other.bindDevice)
    return false;
  if (!one.families.some((family) => other.families.includes(family))) return false;
  return one.address === null || other.address === null || one.address === other.address;
}

function familiesOf({ local, remote, peers }: NamedTunnel['options']): readonly (4 | 6)[] {
  const family = local?.address?.family ?? remote?.address?.family ?? peers?.[0]?.family;
  // The family of a name is not known before it is resolved.
  return family === undefined ? [4, 6] : [family];
}

function addressOf({ address }: LocalEndpoint): string | null {
  return address === null || ['0.0.0.0', '::'].includes(address.text) ? null : formatIpAddress(address);
}

// Warnings.

function* addressesOfNetworks({ name, options }: NamedTunnel): Generator<Finding> {
  for (const [index, address] of (options.interface?.addresses ?? []).entries()) {
    if (!isNetworkItself(address)) continue;
    yield {
      path: ['tunnels', name, 'interface', 'addresses', index],
      message: `${formatNetwork(address)} is a network, not an address in it`,
      hint: 'give each end its own address in it, such as 10.0.2.1/24 and 10.0.2.2/24',
    };
  }
}

/** If the file does not say what the device has, it may have been given a route elsewhere. */
function* probesOutside({ name, options }: NamedTunnel): Generator<Finding> {
  const { probe, interface: device } = options;
  if (!probe || !device) return;
  const { text, family } = probe.address;
  const path = ['tunnels', name, 'probe', 'address'];
  if (device.create && !device.addresses.some((address) => address.family === family)) {
    yield {
      path,
      message: `${text} cannot be probed while the device has no IPv${family} address`,
      hint: `add one to interface.addresses, such as ${family === 4 ? '10.0.2.1/24' : 'fd00:2::1/64'}`,
    };
    return;
  }
  const networks = [...device.addresses, ...device.routes];
  const host = { family, address: text, prefixLength: family === 4 ? 32 : 128 };
  if (networks.length === 0 || isLinkLocal(text) || networks.some((network) => overlap(network, host)))
    return;
  yield {
    path,
    message: `${text} is in no network of interface.addresses or interface.routes`,
    hint: 'probe an address that is reached through this tunnel',
  };
}

/**
 * Goes through the networks in order, to avoid comparing every pair. Of any two, one contains the other or
 * they are disjoint, so those that contain the current one are a stack; and a tunnel needs to be in it only once.
 */
function* sharedNetworks(tunnels: readonly NamedTunnel[], refer: Reference): Generator<Finding> {
  const containing: PlacedAddress[] = [];
  for (const address of tunnels.flatMap(placedAddresses).sort(byRange)) {
    while (containing.length > 0 && !contains(containing.at(-1), address)) containing.pop();
    const other = containing.find(({ tunnel }) => tunnel !== address.tunnel);
    if (!containing.some(({ tunnel }) => tunnel === address.tunnel)) containing.push(address);
    if (other === undefined) continue;
    const [earlier, later] = other.order < address.order ? [other, address] : [address, other];
    yield {
      path: ['tunnels', later.tunnel, 'interface', 'addresses', later.index],
      message: `${formatNetwork(later.network)} is in the same network as ${formatNetwork(earlier.network)} of ${refer(['tunnels', earlier.tunnel, 'interface', 'addresses', earlier.index])}`,
      hint: 'packets for that network enter only one of the two tunnels; give each tunnel its own network',
    };
  }
}

interface PlacedAddress {
  readonly tunnel: string;
  /** Of the tunnel in the file. */
  readonly order: number;
  /** Of the address in its list. */
  readonly index: number;
  readonly network: IpNetwork;
  readonly first: bigint;
  readonly last: bigint;
}

function placedAddresses({ name, options }: NamedTunnel, order: number): PlacedAddress[] {
  const addresses = options.interface?.addresses ?? [];
  return addresses.flatMap((network, index) => {
    // Every interface has the link-local network.
    if (network.address.startsWith('fe80:')) return [];
    return [{ tunnel: name, order, index, network, ...rangeOf(network) }];
  });
}

/** Larger networks first among those with the same first address. */
function byRange(one: PlacedAddress, other: PlacedAddress): number {
  if (one.network.family !== other.network.family) return one.network.family - other.network.family;
  if (one.first !== other.first) return one.first < other.first ? -1 : 1;
  if (one.last === other.last) return one.order - other.order;
  return one.last > other.last ? -1 : 1;
}

function contains(outer: PlacedAddress | undefined, inner: PlacedAddress): boolean {
  return outer?.network.family === inner.network.family && outer.last >= inner.last;
}

function* sharedRoutes(tunnels: readonly NamedTunnel[], refer: Reference): Generator<Finding> {
  const owners = new Map<string, KeyPath>();
  for (const { name, options } of tunnels) {
    for (const [index, network] of (options.interface?.routes ?? []).entries()) {
      const route = formatNetwork(network);
      const path = ['tunnels', name, 'interface', 'routes', index];
      const owner = owners.get(route);
      if (owner === undefined) {
        owners.set(route, path);
        continue;
      }
      yield {
        path,
        message: `${route} is already routed into ${refer(owner)}`,
        hint: 'remove one of them',
      };
    }
  }
}
