/** The network of the weather test as namespaces (see plan.ts), and how it is brought into the state that a model describes. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { run } from '../exec.ts';
import { SiteNames } from '../site-names.ts';
import { Site } from '../site.ts';
import type { Family } from '../site.ts';
import { silence } from '../sites.ts';
import { waitFor } from '../wait.ts';
import type { Model, Uplink } from './model.ts';
import * as plan from './plan.ts';
import type { SiteName, UplinkNumber } from './plan.ts';

/** Routes to the public addresses besides the main table's, for rules. */
export const RULE_TABLE = 77;

export class Network implements AsyncDisposable {
  readonly a: Site;
  readonly b: Site;
  readonly router: Site;
  readonly #names: SiteNames[] = [];
  readonly #removeAtExit = (): void => {
    for (const site of this.all) {
      site.killStarted();
      spawnSync('ip', ['netns', 'delete', site.namespace]);
    }
  };

  private constructor(prefix: string) {
    const none = { ipv4: '', ipv6: '' };
    const [a, b, router] = (['a', 'b', 'r'] as const).map((end) => new Site(`${prefix}${end}`, none, none));
    if (a === undefined || b === undefined || router === undefined) throw new Error('three sites');
    this.a = a;
    this.b = b;
    this.router = router;
  }

  /** Creates everything as `model` has it. */
  static async create(model: Model): Promise<Network> {
    const network = new Network(`weather${randomBytes(3).toString('hex')}`);
    process.once('exit', network.#removeAtExit);
    try {
      for (const site of network.all) await run(['ip', 'netns', 'add', site.namespace]);
      await Promise.all(network.all.map(silence));
      await network.#prepareRouter();
      await Promise.all(plan.SITE_NAMES.map((name) => network.#prepareSite(name)));
      await network.makeLan();
      for (const name of plan.SITE_NAMES) {
        for (const uplink of plan.UPLINKS) await network.makeUplink(model, name, uplink);
      }
      await network.linksReady(model);
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  get all(): readonly Site[] {
    return [this.a, this.b, this.router];
  }

  /** Creates both ends of an uplink, configured. */
  async makeUplink(model: Model, name: SiteName, uplink: UplinkNumber): Promise<void> {
    const near = ['name', plan.uplinkDevice(uplink), 'netns', this[name].namespace];
    const far = ['name', plan.routerDevice(name, uplink), 'netns', this.router.namespace];
    const mac = ['address', plan.routerMac(name, uplink)];
    await run(['ip', 'link', 'add', ...near, 'type', 'veth', 'peer', ...far, ...mac]);
    const { mtu } = model.sites[name].uplinks[uplink];
    await this.router.ip('link', 'set', plan.routerDevice(name, uplink), 'mtu', `${mtu}`);
    await findNeighboursSoon(this[name], plan.uplinkDevice(uplink));
    await findNeighboursSoon(this.router, plan.routerDevice(name, uplink));
    await this.raiseRouterEnd(name, uplink);
    await this[name].ipBatch(...configureUplink(model, name, uplink));
  }

  /** Brings the router's end up, with everything that it loses when it is down. */
  async raiseRouterEnd(name: SiteName, uplink: UplinkNumber): Promise<void> {
    const device = plan.routerDevice(name, uplink);
    const lines = [`link set ${device} up`, `address replace fe80::fe/64 dev ${device} nodad`];
    for (const family of plan.FAMILIES) {
      const address = `${plan.gateway(name, uplink, family)}/${plan.subnetLength(family)}`;
      lines.push(`address replace ${address} dev ${device}${family === 'ipv6' ? ' nodad' : ''}`);
      if (uplink === 0) lines.push(`route replace ${plan.fixedNetwork(name, family)} dev ${device}`);
    }
    await this.router.ipBatch(...lines);
  }

  /** Creates the link between the sites, with link-local addresses. */
  async makeLan(): Promise<void> {
    const end = (name: SiteName): string[] => ['name', plan.LAN, 'netns', this[name].namespace];
    await run(['ip', 'link', 'add', ...end('a'), 'type', 'veth', 'peer', ...end('b')]);
    for (const name of plan.SITE_NAMES) {
      await findNeighboursSoon(this[name], plan.LAN);
      await this.raiseLan(name);
    }
  }

  async raiseLan(name: SiteName): Promise<void> {
    await this[name].ipBatch(
      `link set ${plan.LAN} up`,
      `address replace ${plan.lanAddress(name)}/64 dev ${plan.LAN} nodad`,
    );
  }

  /**
   * Waits until the kernel uses every link that the model has up at both ends. It notices a moment after both ends are up, and only
   * then gives the device the multicast route without which IPv6 finds no neighbour. Returns whether it did so already.
   */
  async linksReady(model: Model): Promise<boolean> {
    const ready = plan.SITE_NAMES.flatMap((name) => {
      const { uplinks, lanUp } = model.sites[name];
      const up = plan.UPLINKS.filter((uplink) => isConnected(uplinks[uplink]));
      const devices = up.map(plan.uplinkDevice);
      if (lanUp && model.sites[plan.other(name)].lanUp && model.lan) devices.push(plan.LAN);
      return [
        ...devices.map((device) => linkReady(this[name], device)),
        ...up.map((uplink) => linkReady(this.router, plan.routerDevice(name, uplink))),
      ];
    });
    return (await Promise.all(ready)).every(Boolean);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#removeAtExit);
    await Promise.all(this.all.map((site) => site[Symbol.asyncDispose]()));
    for (const site of this.all) await run(['ip', 'netns', 'delete', site.namespace]);
    for (const names of this.#names) await names[Symbol.asyncDispose]();
  }

  async #prepareRouter(): Promise<void> {
    await this.router.sysctl({
      'net.ipv4.ip_forward': 1,
      'net.ipv6.conf.all.forwarding': 1,
    });
    await this.router.run(['nft', '-f', '-'], { input: TRANSLATION });
  }

  async #prepareSite(name: SiteName): Promise<void> {
    const site = this[name];
    await site.sysctl({
      'net.ipv4.conf.all.promote_secondaries': 1,
      'net.ipv4.conf.all.rp_filter': 0,
      'net.ipv4.conf.default.rp_filter': 0,
    });
    await site.run(['nft', '-f', '-'], { input: COUNTING });
    const far = plan.other(name);
    const names = await SiteNames.of(site);
    this.#names.push(names);
    await names.set({
      [plan.hostName(far)]: [plan.publicAddress(far, 'ipv6'), plan.publicAddress(far, 'ipv4')],
    });
    const inner = plan.FAMILIES.flatMap((family) => [
      ...plan.INNER_NETWORKS[family].map((net) => `route add unreachable ${net} metric 4294967295`),
      ...plan.TUNNELS.map(({ number }) => {
        const address = plan.innerAddress(name, number, family, 'routed');
        return `address add ${address}/${family === 'ipv4' ? 32 : 128} dev lo`;
      }),
    ]);
    await site.ipBatch(...inner);
  }
}

/** The commands that give an uplink what the model says, from any state. */
export function configureUplink(model: Model, name: SiteName, number: UplinkNumber): string[] {
  const uplink = model.sites[name].uplinks[number];
  const device = plan.uplinkDevice(number);
  // With IPv6, a router that once did not answer gives way to the route by another for up to a minute, without any notice. That is
  // tested elsewhere: here it would be chance.
  const router = `${plan.gateway(name, number, 'ipv6')} lladdr ${plan.routerMac(name, number)}`;
  return [
    `link set ${device} mtu ${uplink.mtu} up`,
    `neighbour replace ${router} dev ${device} nud permanent`,
    ...plan.FAMILIES.flatMap((family) => configureFamily(name, number, family, uplink)),
  ];
}

/** The part of one family. */
export function configureFamily(
  name: SiteName,
  number: UplinkNumber,
  family: Family,
  uplink: Uplink,
): string[] {
  const { host, fixed, metric } = uplink[family];
  const lines: string[] = [];
  if (host !== null) lines.push(addAddress(name, number, family, host));
  if (fixed) lines.push(addFixed(name, family));
  if (metric !== null) lines.push(addDefault(name, number, family, metric));
  return lines;
}

export function addAddress(name: SiteName, uplink: UplinkNumber, family: Family, host: number): string {
  const nodad = family === 'ipv6' ? ' nodad' : '';
  return `address replace ${withLength(name, uplink, family, host)} dev ${plan.uplinkDevice(uplink)}${nodad}`;
}

export function deleteAddress(name: SiteName, uplink: UplinkNumber, family: Family, host: number): string {
  return `address delete ${withLength(name, uplink, family, host)} dev ${plan.uplinkDevice(uplink)}`;
}

export function withLength(name: SiteName, uplink: UplinkNumber, family: Family, host: number): string {
  return `${plan.uplinkAddress(name, uplink, family, host)}/${plan.subnetLength(family)}`;
}

export function addFixed(name: SiteName, family: Family): string {
  return family === 'ipv4'
    ? `address replace ${plan.fixedAddress(name, family)}/32 dev up0`
    : `address replace ${plan.fixedAddress(name, family)}/128 dev up0 nodad`;
}

export function addDefault(
  name: SiteName,
  uplink: UplinkNumber,
  family: Family,
  metric: number,
  more = '',
): string {
  // On-link, because the address in the gateway's network may be gone while another is there.
  const [network, via] = [family === 'ipv4' ? '0.0.0.0/0' : '::/0', plan.gateway(name, uplink, family)];
  return `route replace ${network} via ${via} dev ${plan.uplinkDevice(uplink)} metric ${metric} onlink${more}`;
}

export function deleteDefault(uplink: UplinkNumber, family: Family, metric: number): string {
  const network = family === 'ipv4' ? '0.0.0.0/0' : '::/0';
  return `route delete ${network} dev ${plan.uplinkDevice(uplink)} metric ${metric}`;
}

function isConnected({ exists, up, carrier }: Uplink): boolean {
  return exists && up && carrier;
}

/** Returns whether it was ready at first sight. */
async function linkReady(site: Site, device: string): Promise<boolean> {
  let looks = 0;
  await waitFor(`${device} in ${site.namespace} to be up`, async () => {
    looks += 1;
    if (!(await site.ip('link', 'show', device)).includes('LOWER_UP')) return false;
    return (await site.ip('-6', 'route', 'show', 'table', 'local', 'dev', device)).includes('ff00::/8');
  });
  return looks === 1;
}

/** Neighbours that come back are found at once: no second is lost that is not ttun's. */
async function findNeighboursSoon(site: Site, device: string): Promise<void> {
  await site.sysctl({
    [`net.ipv4.neigh.${device}.retrans_time_ms`]: 100,
    [`net.ipv6.neigh.${device}.retrans_time_ms`]: 100,
  });
}

/** The router remembers from which address each site last sent, by port, and sends there what is for its public address. */
const TRANSLATION = plan.FAMILIES.map((family) => {
  const [table, type] = family === 'ipv4' ? ['ip', 'ipv4_addr'] : ['ip6', 'ipv6_addr'];
  const maps = plan.SITE_NAMES.map((name) => {
    const seen = `  set seen_${name} { type inet_service . ${type}; flags dynamic, timeout; timeout 200ms; size 65535; }\n`;
    return `  map ${name} { type inet_service : ${type}; flags dynamic; size 65535; }\n${seen}`;
  });
  const rules = plan.SITE_NAMES.map((name) => {
    // A map's value is not replaced: the entry is deleted and added, and not for every packet, because adding may fail now and then.
    const sender = `udp sport . ${table} saddr`;
    const entry = `@${name} { udp sport : ${table} saddr }`;
    const learn = `${sender} != @seen_${name} delete ${entry} add ${entry} add @seen_${name} { ${sender} }`;
    const source = `${table} saddr set ${plan.publicAddress(name, family)}`;
    const translate = `${source} ${table} daddr set udp dport map @${plan.other(name)}`;
    return `    iifname "${name}*" ${learn}\n    iifname "${name}*" ${translate}\n`;
  });
  return [
    `table ${table} translation {\n`,
    ...maps,
    '  chain translate { type filter hook prerouting priority raw;\n',
    ...rules,
    '  }\n}\n',
  ].join('');
}).join('');

/** A tunnel's datagrams of one family. */
interface Counted {
  readonly tunnel: plan.Tunnel;
  readonly family: Family;
}

export const COUNTED: readonly Counted[] = plan.TUNNELS.flatMap((tunnel) =>
  plan.outerFamilies(tunnel).map((family) => ({ tunnel, family })),
);

/** Of the counter of nftables. */
export function counterName(direction: 'in' | 'out', { tunnel, family }: Counted): string {
  return `${direction}${tunnel.number}${family}`;
}

/**
 * Datagrams of each tunnel that leave the site and that arrive for it; no ICMP inside the tunnels, so that packets can be counted
 * exactly.
 */
const COUNTING = [
  'table inet counting {\n',
  ...COUNTED.flatMap((counted) => [
    `  counter ${counterName('out', counted)} {}\n`,
    `  counter ${counterName('in', counted)} {}\n`,
  ]),
  '  chain out { type filter hook output priority 0;\n',
  '    oifname { "wt*", "moved*" } meta l4proto { icmp, ipv6-icmp } drop\n',
  ...COUNTED.map((counted) => counts('sport', 'out', counted)),
  '  }\n  chain in { type filter hook input priority 0;\n',
  ...COUNTED.map((counted) => counts('dport', 'in', counted)),
  '  }\n}\n',
].join('');

function counts(port: 'sport' | 'dport', direction: 'in' | 'out', counted: Counted): string {
  const match = `meta nfproto ${counted.family} udp ${port} ${plan.tunnelPort(counted.tunnel)}`;
  return `    ${match} counter name ${counterName(direction, counted)}\n`;
}
