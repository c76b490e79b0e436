/** Helpers for tests of changing networks: a tunnel whose source the kernel chooses, and waiting for its changes. */
import type { TunnelChange, TunnelChangeKind } from '../../src/index.ts';
import type { Family, Site } from '../../testbed/site.ts';
import type { Sites } from '../../testbed/sites.ts';
import { ping } from '../../testbed/traffic/ping.ts';
import { RemoteTunnel, socketAddress } from '../../testbed/tunnel.ts';
import { waitFor } from '../../testbed/wait.ts';

export const FAMILIES = ['ipv4', 'ipv6'] as const satisfies readonly Family[];

export const PORT = 9000;

/** Additional addresses of site A, and one of site B that is reached through a route. */
export const OTHER = {
  ipv4: { network: '10.0.1.0/24', address: '10.0.1.5', prefix: 24, far: '10.0.9.9', hostPrefix: 32 },
  ipv6: { network: 'fd00:1::/64', address: 'fd00:1::5', prefix: 64, far: 'fd00:9::9', hostPrefix: 128 },
} as const;

/** A's end, whose source address is left to the routing table. */
export function openFree(site: Site, family: Family, remote: string): Promise<RemoteTunnel> {
  const local = family === 'ipv4' ? `0.0.0.0:${PORT}` : `[::]:${PORT}`;
  return RemoteTunnel.open(site, { device: site.tun, local, remote: socketAddress(remote, PORT) });
}

/** B's end, which expects A at `remote`. */
export function openFixed(site: Site, local: string, remote: string): Promise<RemoteTunnel> {
  return RemoteTunnel.open(site, {
    device: site.tun,
    local: socketAddress(local, PORT),
    remote: socketAddress(remote, PORT),
  });
}

/** Resolves when an echo request through the tunnel is answered. */
export async function traffic({ a, b }: Sites): Promise<void> {
  await waitFor('an answer through the tunnel', async () => {
    return (await ping(a, b.inner.ipv4, { count: 1, intervalMs: 500 })).received > 0;
  });
}

/** Resolves to the first change of that kind. */
export function noticed(tunnel: RemoteTunnel, kind: TunnelChangeKind): Promise<TunnelChange> {
  return waitFor(kind, async () => (await tunnel.history()).find((change) => change.kind === kind));
}

/** Resolves when the tunnel sends from that address. */
export async function sendsFrom(tunnel: RemoteTunnel, address: string): Promise<void> {
  const local = socketAddress(address, PORT);
  await waitFor(`the source ${local}`, async () => (await tunnel.stats()).socket.local === local);
}

/** `ip` arguments that turn off duplicate address detection. */
export function nodad(family: Family): readonly string[] {
  return family === 'ipv4' ? [] : ['nodad'];
}
