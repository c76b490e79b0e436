/** The state that a tunnel's ends must reach, apart from passing traffic: the source that the kernel would choose, and the path MTU. */
import type { Site } from '../site.ts';
import { deviceNames } from './ends.ts';
import type { Ends } from './ends.ts';
import { linkMtu } from './model.ts';
import type { Model } from './model.ts';
import type { Network } from './network.ts';
import * as plan from './plan.ts';
import type { SiteName, Tunnel } from './plan.ts';

/** The least MTU of a device that carries IPv6 (RFC 8200, section 5). */
const IPV6_MINIMUM_MTU = 1280;

/** What is wrong with these tunnels; nothing once they have reached that state. */
export async function unsettled(
  network: Network,
  ends: Ends,
  model: Model,
  tunnels: readonly Tunnel[],
): Promise<string[]> {
  const sites = plan.SITE_NAMES.map(async (name) => {
    const site = network[name];
    const [stats, names] = await Promise.all([ends.stats(name), deviceNames(site)]);
    const each = tunnels.map(async (tunnel) => {
      const found = stats.get(tunnel.number);
      const what = `${plan.tunnelName(tunnel)} at ${name}`;
      if (found === undefined) return [`${what} is not open`];
      const device = names.get(found.device.index);
      if (device === undefined) return [`${what} has no device`];
      return [
        ...(await sourceProblems(site, name, tunnel, found.socket.local)),
        ...(await mtuProblems(site, device, wantedMtu(model, name, tunnel))),
      ].map((problem) => `${what}: ${problem}`);
    });
    return (await Promise.all(each)).flat();
  });
  return (await Promise.all(sites)).flat();
}

async function sourceProblems(
  site: Site,
  name: SiteName,
  { style, outer }: Tunnel,
  local: string,
): Promise<string[]> {
  // The others have no choice.
  if (style !== 'auto' && style !== 'bound') return [];
  const only = style === 'bound' ? ['oif', plan.uplinkDevice(0)] : [];
  const remote = plan.publicAddress(plan.other(name), outer);
  const route = await site.ip('-oneline', 'route', 'get', remote, ...only);
  const source = / src (\S+)/.exec(route)?.[1];
  if (source === undefined || local.includes(source)) return [];
  if (outer === 'ipv6' && (await areEqual(site, local, source))) return [];
  return [`its source is ${local}, but the kernel would choose ${source}`];
}

/** Whether two IPv6 sources are as good as each other, so that the present one is kept: on the same interface, and preferred. */
async function areEqual(site: Site, local: string, source: string): Promise<boolean> {
  const lines = (await site.ip('-6', '-oneline', 'address', 'show')).split('\n');
  const deviceOf = (isIt: (address: string) => boolean): string | undefined => {
    const found = lines.find((line) => isIt(/ inet6 ([^/]+)\//.exec(line)?.[1] ?? ''));
    return found === undefined || found.includes(' deprecated ') ? undefined : found.split(/\s+/)[1];
  };
  const own = deviceOf((address) => local.startsWith(`[${address}]`));
  return own !== undefined && own === deviceOf((address) => address === source);
}

async function mtuProblems(site: Site, device: string, wanted: number | null): Promise<string[]> {
  const link = await site.ip('-oneline', 'link', 'show', 'dev', device);
  const mtu = Number(/ mtu (\d+)/.exec(link)?.[1]);
  return wanted === null || mtu === wanted ? [] : [`the MTU of ${device} is ${mtu} instead of ${wanted}`];
}

function wantedMtu(model: Model, name: SiteName, tunnel: Tunnel): number | null {
  const mtu = linkMtu(model, name, tunnel);
  return mtu === null ? null : Math.max(mtu - plan.HEADERS[tunnel.outer], IPV6_MINIMUM_MTU);
}
