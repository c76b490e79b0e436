/** The links of the comparison: how the two sites are joined, and what limits their rate. */
import type { Sites, SitesOptions } from '../testbed/sites.ts';

export type Link = 'veth' | 'wire' | 'wire-checksum' | 'slow-20' | 'slow-100' | 'far-20';

/** A rate limit in the direction from site A to site B. The other direction is free. */
export interface Bottleneck {
  readonly bitsPerSecond: number;
  /** `sender`: the device through which A sends. `router`: the last device of a router between the sites, which A cannot see. */
  readonly at: 'sender' | 'router';
}

export interface LinkDescription {
  /** For the heading of its tables. */
  readonly title: string;
  readonly underlay: NonNullable<SitesOptions['link']>;
  /** `null` where the machine itself is the limit; other figures are measured there. */
  readonly bottleneck: Bottleneck | null;
}

export const LINKS: Readonly<Record<Link, LinkDescription>> = {
  veth: {
    title: 'super-packets cross the link whole, as between containers',
    underlay: 'veth',
    bottleneck: null,
  },
  wire: {
    title: 'packets of the link’s MTU with complete checksums, as the simplest network cards send them',
    underlay: 'wire',
    bottleneck: null,
  },
  'wire-checksum': {
    title: 'packets of the link’s MTU, checksums left to the device, as with most network cards',
    underlay: 'wire-checksum',
    bottleneck: null,
  },
  'slow-20': {
    title: 'uplink of 20 Mbit/s, limited at the sender’s device',
    underlay: 'veth',
    bottleneck: { bitsPerSecond: 20e6, at: 'sender' },
  },
  'slow-100': {
    title: 'uplink of 100 Mbit/s, limited at the sender’s device',
    underlay: 'veth',
    bottleneck: { bitsPerSecond: 100e6, at: 'sender' },
  },
  'far-20': {
    title: '20 Mbit/s, limited behind a router, as by a modem',
    underlay: 'veth',
    bottleneck: { bitsPerSecond: 20e6, at: 'router' },
  },
};

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a literal of this type.
export const LINK_NAMES = Object.keys(LINKS) as readonly Link[];

export const FAST_LINKS: readonly Link[] = LINK_NAMES.filter((link) => LINKS[link].bottleneck === null);

/**
 * Where the sender itself is the bottleneck, or there is none. Elsewhere a tunnel that does not pace has the latency of the bare
 * link, so measuring it would only take time.
 */
export const NEAR_LINKS: readonly Link[] = LINK_NAMES.filter(
  (link) => LINKS[link].bottleneck?.at !== 'router',
);

/** More than one super-packet at once would have to wait for tokens. */
const BURST = '32kb';
/** 1.2 s at 20 Mbit/s: a device whose queue nobody manages. */
const QUEUE_LIMIT = '3mb';

/** Limits the rate from A to B, from now on. */
export async function limitRate(sites: Sites, { bitsPerSecond, at }: Bottleneck): Promise<void> {
  const { router } = sites;
  if (at === 'router' && router === null) throw new TypeError('there is no router between the sites');
  const [site, device] = at === 'router' && router !== null ? [router, 'vethB'] : [sites.a, sites.a.veth];
  const shaper = ['tbf', 'rate', `${bitsPerSecond}bit`, 'burst', BURST, 'limit', QUEUE_LIMIT];
  await site.run(['tc', 'qdisc', 'replace', 'dev', device, 'root', ...shaper]);
}
