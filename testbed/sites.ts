/**
 * Two sites, each a network namespace, joined by a veth pair and with a TUN device in each, as in the README's part for a single host.
 *
 *     await using sites = await createSites({ link: 'wire' });
 *     await sites.a.run(['ping', '-c', '1', sites.b.outer.ipv4]);
 *
 * The underlay and the TUN devices carry IPv4 and IPv6, and nothing that the kernel would send on its own
 * (router solicitation, duplicate address detection, multicast reports), so that packets can be counted exactly.
 */
import { spawnSync } from 'node:child_process';
import { run } from './exec.ts';
import { Site } from './site.ts';
import type { Addresses } from './site.ts';
import { waitFor } from './wait.ts';
import { sendLikeNetworkCard } from './wire.ts';

export interface SitesOptions {
  /**
   * `veth`: super-packets cross the link whole. `wire`: packets of the link's MTU, as network cards send them.
   * `wire-checksum`: the same, with checksum offload. Default `veth`.
   */
  readonly link?: 'veth' | 'wire' | 'wire-checksum';
  /** Default 1500. Under 1280 the underlay has no IPv6. */
  readonly underlayMtu?: number;
  /** Default 1452, which fits an underlay of 1500 over either family. Under 1280 the inside has no IPv6. */
  readonly tunMtu?: number;
  /** Put a third namespace between the two. Default false. */
  readonly router?: boolean;
  /** Make the TUN devices multi-queue ones. Default false. */
  readonly multiQueue?: boolean;
  /** Unprivileged user to whom the TUN devices belong. Default: none, so every user may attach. */
  readonly owner?: string;
}

const INNER = {
  a: { ipv4: '10.0.2.1', ipv6: 'fd00:2::1' },
  b: { ipv4: '10.0.2.2', ipv6: 'fd00:2::2' },
};
const OUTER_DIRECT = {
  a: { ipv4: '10.0.1.1', ipv6: 'fd00:1::1' },
  b: { ipv4: '10.0.1.2', ipv6: 'fd00:1::2' },
};
const OUTER_ROUTED = {
  a: { ipv4: '10.0.1.1', ipv6: 'fd00:1::1' },
  routerA: { ipv4: '10.0.1.254', ipv6: 'fd00:1::254' },
  routerB: { ipv4: '10.0.3.254', ipv6: 'fd00:3::254' },
  b: { ipv4: '10.0.3.1', ipv6: 'fd00:3::1' },
};
const ROUTER_DEVICES = ['vethA', 'vethB'] as const;
const NO_ADDRESSES: Addresses = { ipv4: '', ipv6: '' };
const IPV6_MINIMUM_MTU = 1280;

let created = 0;
const alive = new Set<Sites>();

export class Sites implements AsyncDisposable {
  readonly a: Site;
  readonly b: Site;
  /** Between the two, with `vethA` and `vethB`, if requested. */
  readonly router: Site | null;

  constructor(prefix: string, router: boolean) {
    const outer = router ? OUTER_ROUTED : OUTER_DIRECT;
    this.a = new Site(`${prefix}a`, outer.a, INNER.a);
    this.b = new Site(`${prefix}b`, outer.b, INNER.b);
    this.router = router ? new Site(`${prefix}r`, NO_ADDRESSES, NO_ADDRESSES) : null;
  }

  get all(): readonly Site[] {
    return this.router === null ? [this.a, this.b] : [this.a, this.b, this.router];
  }

  /** Deletes the veth pair between the sites and makes it again: the devices get other indexes, the sites keep their addresses. */
  async remakeLink(mtu: number): Promise<void> {
    await this.a.ip('link', 'delete', this.a.veth);
    await this.joinAgain(mtu);
  }

  /** Makes the veth pair between the sites again after it was deleted. */
  async joinAgain(mtu: number): Promise<void> {
    await join(this, { underlayMtu: mtu });
  }

  /** Ends every program in the namespaces and removes them with all their devices. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((site) => site[Symbol.asyncDispose]()));
    await Promise.all(this.all.map((site) => run(['ip', 'netns', 'delete', site.namespace])));
    alive.delete(this);
  }
}

/** Creates the namespaces. If anything fails, those already created are removed. */
export async function createSites(options: SitesOptions = {}): Promise<Sites> {
  created += 1;
  if (created === 1) process.once('exit', removeAtOnce);
  const sites = new Sites(`tt${process.pid}x${created}`, options.router ?? false);
  for (const site of sites.all) await run(['ip', 'netns', 'add', site.namespace]);
  alive.add(sites);
  try {
    await Promise.all(sites.all.map(silence));
    await join(sites, options);
    await Promise.all([sites.a, sites.b].map((site) => addTun(site, options)));
  } catch (error) {
    await sites[Symbol.asyncDispose]();
    throw error;
  }
  return sites;
}

/** Settings of `default` apply to every device created afterwards. */
export async function silence(site: Site): Promise<void> {
  const quiet = {
    accept_ra: 0,
    autoconf: 0,
    router_solicitations: 0,
    dad_transmits: 0,
    accept_dad: 0,
    // No link-local address (IN6_ADDR_GEN_MODE_NONE): neighbour discovery works from the global ones.
    addr_gen_mode: 1,
  };
  const settings = (['default', 'all'] as const).flatMap((scope) =>
    Object.entries(quiet).map(([name, value]) => [`net.ipv6.conf.${scope}.${name}`, value] as const),
  );
  await site.sysctl(Object.fromEntries(settings));
  await site.ip('link', 'set', 'lo', 'up');
}

async function join(sites: Sites, options: SitesOptions): Promise<void> {
  const { a, b, router } = sites;
  const mtu = options.underlayMtu ?? 1500;
  const prepare = async (site: Site, device: string): Promise<void> => {
    if (options.link === 'wire') await sendLikeNetworkCard(site, device, 'kernel');
    if (options.link === 'wire-checksum') await sendLikeNetworkCard(site, device, 'device');
  };
  if (router === null) {
    await run(vethPair(mtu, a, a.veth, b, b.veth));
    await Promise.all([a, b].map((site) => prepare(site, site.veth)));
    await Promise.all([a, b].map((site) => addressAndRaise(site, site.veth, site.outer, mtu)));
    await Promise.all([a, b].map((site) => linkReady(site, site.veth, mtu)));
    return;
  }
  const [towardsA, towardsB] = ROUTER_DEVICES;
  await router.sysctl({ 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 });
  await run(vethPair(mtu, a, a.veth, router, towardsA));
  await run(vethPair(mtu, b, b.veth, router, towardsB));
  const ends = [
    [a, a.veth, a.outer],
    [b, b.veth, b.outer],
    [router, towardsA, OUTER_ROUTED.routerA],
    [router, towardsB, OUTER_ROUTED.routerB],
  ] as const;
  await Promise.all(ends.map(([site, device]) => prepare(site, device)));
  for (const [site, device, addresses] of ends) await addressAndRaise(site, device, addresses, mtu);
  await Promise.all(ends.map(([site, device]) => linkReady(site, device, mtu)));
  if (mtu >= IPV6_MINIMUM_MTU) {
    // For a packet that it forwards, a router solicits the neighbour from its link-local address.
    const linkLocal = ROUTER_DEVICES.map((device) => `address add fe80::254/64 dev ${device} nodad`);
    await router.ipBatch(...linkLocal);
  }
  await addDefaultRoutes(a, OUTER_ROUTED.routerA, mtu);
  await addDefaultRoutes(b, OUTER_ROUTED.routerB, mtu);
}

function vethPair(mtu: number, near: Site, nearName: string, far: Site, farName: string): string[] {
  const end = (site: Site, name: string): string[] => [name, 'mtu', `${mtu}`, 'netns', site.namespace];
  return ['ip', 'link', 'add', ...end(near, nearName), 'type', 'veth', 'peer', ...end(far, farName)];
}

async function addressAndRaise(site: Site, device: string, addresses: Addresses, mtu: number): Promise<void> {
  const ipv6 = mtu < IPV6_MINIMUM_MTU ? [] : [`address add ${addresses.ipv6}/64 dev ${device} nodad`];
  await site.ipBatch(`address add ${addresses.ipv4}/24 dev ${device}`, ...ipv6, `link set ${device} up`);
}

/**
 * The kernel notices a moment after both ends are up that the link is, and only then gives the device the multicast route
 * without which IPv6 finds no neighbour.
 */
async function linkReady(site: Site, device: string, mtu: number): Promise<void> {
  await waitFor(`${device} to be up`, async () => {
    if (!(await site.ip('link', 'show', device)).includes('LOWER_UP')) return false;
    if (mtu < IPV6_MINIMUM_MTU) return true;
    return (await site.ip('-6', 'route', 'show', 'table', 'local', 'dev', device)).includes('ff00::/8');
  });
}

async function addDefaultRoutes(site: Site, gateway: Addresses, mtu: number): Promise<void> {
  const ipv6 = mtu < IPV6_MINIMUM_MTU ? [] : [`route add ::/0 via ${gateway.ipv6}`];
  await site.ipBatch(`route add default via ${gateway.ipv4}`, ...ipv6);
}

async function addTun(site: Site, { tunMtu = 1452, multiQueue, owner }: SitesOptions): Promise<void> {
  const queues = multiQueue === true ? ['multi_queue'] : [];
  const user = owner === undefined ? [] : ['user', owner];
  await site.ip('tuntap', 'add', 'dev', site.tun, 'mode', 'tun', ...user, ...queues);
  await site.ip('link', 'set', site.tun, 'mtu', `${tunMtu}`);
  await addressAndRaise(site, site.tun, site.inner, tunMtu);
}

/** When this process exits it can no longer wait or report, but nothing may be left behind. */
function removeAtOnce(): void {
  for (const site of [...alive].flatMap((sites) => sites.all)) {
    site.killStarted();
    spawnSync('ip', ['netns', 'delete', site.namespace]);
  }
}
