/** Tunnels that are right each for itself, but of which one could not run beside the other. */
import { formatIpAddress } from '../address.ts';
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
