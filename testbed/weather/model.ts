/** The model of the network: its state after the changes so far, and which tunnels can work in it. */
import type { Family } from '../site.ts';
import * as plan from './plan.ts';
import type { SiteName, Tunnel, UplinkNumber } from './plan.ts';

export interface Model {
  readonly sites: Readonly<Record<SiteName, SiteState>>;
  /** Whether the link between the sites exists. */
  lan: boolean;
}

export interface SiteState {
  readonly uplinks: readonly [Uplink, Uplink];
  readonly rule: Record<Family, Rule | null>;
  lanUp: boolean;
  lanAddress: boolean;
  /** Numbers of tunnels whose device is down. */
  readonly tunDown: Set<number>;
}

export interface Uplink {
  exists: boolean;
  up: boolean;
  /** Whether the router's end is up. */
  carrier: boolean;
  mtu: number;
  readonly ipv4: UplinkFamily;
  readonly ipv6: UplinkFamily;
}

/** What is configured, and in effect while the uplink is up. */
export interface UplinkFamily {
  /** Last part of the address. */
  host: number | null;
  /** Last parts of the addresses that are deprecated. */
  readonly deprecated: Set<number>;
  /** Whether the address of the tunnels with a fixed local one is there. */
  fixed: boolean;
  /** Of the default route. */
  metric: number | null;
}

/** Sends what is for public addresses to an uplink. */
export interface Rule {
  readonly uplink: UplinkNumber;
  /** The route in its table goes with the uplink. */
  route: boolean;
}

export function newModel(): Model {
  return { sites: { a: newSite(), b: newSite() }, lan: true };
}

function newSite(): SiteState {
  return {
    uplinks: [newUplink(0), newUplink(1)],
    rule: { ipv4: null, ipv6: null },
    lanUp: true,
    lanAddress: true,
    tunDown: new Set(),
  };
}

/** High enough for many routes that are preferred to all before. */
const FIRST_METRIC = 100_000;

function newUplink(number: UplinkNumber): Uplink {
  const family = (): UplinkFamily => ({
    host: 1,
    deprecated: new Set(),
    fixed: number === 0,
    metric: FIRST_METRIC + 100 * number,
  });
  return {
    exists: true,
    up: true,
    carrier: true,
    mtu: plan.UNDERLAY_MTU,
    ipv4: family(),
    ipv6: family(),
  };
}

/** `unknown`: depends on which of several addresses the kernel takes. */
export type Path = 'works' | 'dead' | 'unknown';

/** Whether a new tunnel of this kind would work in both directions; `outer` is the family of its datagrams. */
export function pathOf(model: Model, tunnel: Tunnel, outer: Family = tunnel.outer): Path {
  const ends = new Set(plan.SITE_NAMES.map((name) => endOf(model, name, { ...tunnel, outer })));
  if (ends.has('dead')) return 'dead';
  return ends.has('unknown') ? 'unknown' : 'works';
}

/** MTU of the underlay link by which a tunnel sends; `null` if unknown. */
export function linkMtu(model: Model, name: SiteName, { style, outer }: Tunnel): number | null {
  if (style === 'zone') return plan.UNDERLAY_MTU;
  if (style === 'named') return null;
  const site = model.sites[name];
  const number = style === 'bound' ? 0 : sendingUplink(site, outer);
  return number === null ? null : site.uplinks[number].mtu;
}

function endOf(model: Model, name: SiteName, tunnel: Tunnel): Path {
  const site = model.sites[name];
  if (site.tunDown.has(tunnel.number)) return 'dead';
  if (tunnel.style === 'zone') return model.lan && site.lanUp && site.lanAddress ? 'works' : 'dead';
  return tunnel.style === 'bound' ? boundEnd(site, tunnel.outer) : routedEnd(site, tunnel);
}

function boundEnd({ uplinks: [uplink] }: SiteState, family: Family): Path {
  return isUsable(uplink) && hasAddress(uplink, family) && uplink[family].metric !== null ? 'works' : 'dead';
}

function routedEnd(site: SiteState, { style, outer }: Tunnel): Path {
  const sending = sendingUplink(site, outer);
  if (sending === null) return 'dead';
  const uplink = site.uplinks[sending];
  if (!isUsable(uplink)) return 'dead';
  if (style === 'fixed') {
    const [home] = site.uplinks;
    return isUsable(home) && home[outer].fixed ? 'works' : 'dead';
  }
  if (hasAddress(uplink, outer)) return 'works';
  // Without one of its own, the kernel takes an address of another interface.
  return 'unknown';
}

/** The uplink of the route to public addresses. */
export function sendingUplink({ rule, uplinks }: SiteState, family: Family): UplinkNumber | null {
  const ruled = rule[family];
  if (ruled?.route === true) return ruled.uplink;
  const metrics = plan.UPLINKS.filter((number) => uplinks[number].exists && uplinks[number].up)
    .map((number) => ({ number, metric: uplinks[number][family].metric }))
    .filter((route) => route.metric !== null)
    .toSorted((one, two) => (one.metric ?? 0) - (two.metric ?? 0));
  return metrics[0]?.number ?? null;
}

export function isUsable({ exists, up, carrier }: Uplink): boolean {
  return exists && up && carrier;
}

export function hasAddress(uplink: Uplink, family: Family): boolean {
  const { host, fixed, deprecated } = uplink[family];
  return host !== null || fixed || deprecated.size > 0;
}

/** The kernel forgets routes by a device that is down, deleted, or has lost its last IPv4 address. */
export function loseRoutes(site: SiteState, number: UplinkNumber, family: Family): void {
  const rule = site.rule[family];
  if (rule?.uplink === number) rule.route = false;
}
