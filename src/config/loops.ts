/** Routing loops: tunnels whose own datagrams may be routed into themselves, or into each other. */
import { formatRemote } from '../address.ts';
import { formatNetwork, overlap, parseNetwork, rangeOf } from '../network.ts';
import type { IpNetwork } from '../network.ts';
import type { KeyPath } from './document.ts';
import type { Finding, NamedTunnel } from './resolve.ts';

/** Tunnels through which their own peer is routed, and rings of tunnels through which each other's peers are routed. */
export function findLoops(tunnels: readonly NamedTunnel[]): Finding[] {
  return [...tunnels.flatMap((tunnel) => [...networksOfPeer(tunnel)]), ...findRings(tunnels)];
}

/** A network that is routed into a tunnel: a configured route, or the network of an address. */
interface RoutedNetwork {
  readonly network: IpNetwork;
  readonly path: KeyPath;
}

function routedNetworks({ name, options }: NamedTunnel): RoutedNetwork[] {
  const { routes = [], addresses = [] } = options.interface ?? {};
  const placed = (key: string) => (network: IpNetwork, index: number) => ({
    network,
    path: ['tunnels', name, 'interface', key, index],
  });
  return [...routes.map(placed('routes')), ...addresses.map(placed('addresses'))];
}

/** The address of the peer, if only the routing table decides how it is reached. */
function routedPeer({ options }: NamedTunnel): IpNetwork | null {
  const { remote, bindDevice, fwmark } = options;
  const isRouted = remote?.address?.zone === null && !bindDevice && !fwmark;
  return isRouted ? parseNetwork(remote.address.text) : null;
}

/** The tunnel's own datagrams would be routed into the tunnel. */
function* networksOfPeer(tunnel: NamedTunnel): Generator<Finding> {
  const peer = routedPeer(tunnel);
  const { remote } = tunnel.options;
  if (peer === null || remote === undefined) return;
  for (const { network, path } of routedNetworks(tunnel)) {
    if (!overlap(network, peer)) continue;
    yield {
      path,
      message: `the peer ${formatRemote(remote)} is in ${formatNetwork(network)}, so the tunnel's own datagrams may be routed into the tunnel`,
      hint: 'set bindDevice to the interface that leads to the peer, or select another route with fwmark',
    };
  }
}

/** The reason why the datagrams of one tunnel go into another. */
interface Step {
  /** Names of the two tunnels. */
  readonly from: string;
  readonly into: string;
  /** Position in the file of the tunnel that they go into. */
  readonly order: number;
  /** The reason, in words, and the place in the file where it is configured. */
  readonly reason: string;
  readonly path: KeyPath;
}

function* findRings(tunnels: readonly NamedTunnel[]): Generator<Finding> {
  const steps = findSteps(tunnels);
  const seen = new Set<string>();
  for (const { name } of tunnels) {
    const trail: Step[] = [];
    for (
      let step = steps.get(name);
      step !== undefined && !seen.has(step.from);
      step = steps.get(step.into)
    ) {
      seen.add(step.from);
      trail.push(step);
    }
    const start = trail.findIndex(({ from }) => from === trail.at(-1)?.into);
    if (start !== -1) yield describeRing(trail.slice(start));
  }
}

function describeRing(ring: readonly Step[]): Finding {
  const last = ring.reduce((one, other) => (other.order > one.order ? other : one));
  const names = enumerate(ring.map(({ from }) => from));
  return {
    path: last.path,
    message: `tunnels ${names} are routed into each other: ${enumerate(ring.map(({ reason }) => reason))}`,
    hint: 'none of them reaches its peer: remove a route, or set bindDevice to the interface that leads to the peer',
  };
}

function enumerate(items: readonly string[]): string {
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** Where the datagrams of each tunnel go, if that is another tunnel. */
function findSteps(tunnels: readonly NamedTunnel[]): Map<string, Step> {
  const table = new RoutingTable(tunnels);
  const steps = new Map<string, Step>();
  for (const tunnel of tunnels) {
    const step = table.step(tunnel) ?? stepByDevice(tunnel, tunnels);
    if (step !== null && step.into !== tunnel.name) steps.set(tunnel.name, step);
  }
  return steps;
}

function stepByDevice({ name, options }: NamedTunnel, tunnels: readonly NamedTunnel[]): Step | null {
  const { bindDevice } = options;
  if (!bindDevice) return null;
  const order = tunnels.findIndex((other) => other.options.device === bindDevice);
  const into = tunnels[order]?.name;
  if (into === undefined) return null;
  const reason = `${name} is bound to the device of ${into}`;
  return { from: name, into, order, reason, path: ['tunnels', name, 'bindDevice'] };
}

/** The networks of all tunnels, by prefix; the longest prefix that contains an address decides. */
class RoutingTable {
  readonly #owners = new Map<string, RoutedNetwork & { readonly name: string; readonly order: number }>();
  readonly #lengths: Readonly<Record<4 | 6, Set<number>>> = { 4: new Set(), 6: new Set() };

  constructor(tunnels: readonly NamedTunnel[]) {
    for (const [order, tunnel] of tunnels.entries()) {
      for (const { network, path } of routedNetworks(tunnel)) {
        const key = keyOf(network);
        if (this.#owners.has(key)) continue;
        this.#owners.set(key, { network, path, name: tunnel.name, order });
        this.#lengths[network.family].add(network.prefixLength);
      }
    }
  }

  /** Where the datagrams to the peer of `tunnel` go. */
  step(tunnel: NamedTunnel): Step | null {
    const peer = routedPeer(tunnel);
    if (peer === null) return null;
    const lengths = [...this.#lengths[peer.family]].toSorted((one, other) => other - one);
    for (const prefixLength of lengths) {
      const owner = this.#owners.get(keyOf({ ...peer, prefixLength }));
      if (owner === undefined) continue;
      const { name: into, network, path, order } = owner;
      const reason = `the peer of ${tunnel.name} is reached through ${into} (${formatNetwork(network)})`;
      return { from: tunnel.name, into, order, reason, path };
    }
    return null;
  }
}

function keyOf(network: IpNetwork): string {
  return `${rangeOf(network).first}/${network.prefixLength} ${network.family}`;
}
