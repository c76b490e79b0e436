/**
 * Names and addresses of the weather test's network: two sites with two uplinks each to a router, and a link of their own.
 *
 *     site a: up0, up1 ── a0, a1 :router: b0, b1 ── up0, up1 :site b
 *     site a: lan0 ─────────────────────────────────── lan0 :site b
 *
 * The router translates, so that a site is reached at its public address whatever uplink and address it sends from.
 */
import type { Family } from '../site.ts';

export type SiteName = 'a' | 'b';
export type UplinkNumber = 0 | 1;

export const SITE_NAMES = ['a', 'b'] as const;
export const UPLINKS = [0, 1] as const;
export const FAMILIES = ['ipv4', 'ipv6'] as const;
export const LAN = 'lan0';

export function other(site: SiteName): SiteName {
  return site === 'a' ? 'b' : 'a';
}

export function uplinkDevice(uplink: UplinkNumber): string {
  return `up${uplink}`;
}

/** Its other end, at the router. */
export function routerDevice(site: SiteName, uplink: UplinkNumber): string {
  return `${site}${uplink}`;
}

/** Of the router's end. */
export function routerMac(site: SiteName, uplink: UplinkNumber): string {
  return `02:00:00:00:0${numberOf(site)}:0${uplink}`;
}

function numberOf(site: SiteName): number {
  return site === 'a' ? 1 : 2;
}

/** An address that a site may have on an uplink: `host` is 1 to 199. Without prefix length. */
export function uplinkAddress(site: SiteName, uplink: UplinkNumber, family: Family, host: number): string {
  const subnet = 10 + numberOf(site);
  return family === 'ipv4' ? `10.${subnet}.${uplink}.${host}` : `2001:db8:${subnet}:${uplink}::${host}`;
}

export function gateway(site: SiteName, uplink: UplinkNumber, family: Family): string {
  return uplinkAddress(site, uplink, family, 254);
}

export function subnetLength(family: Family): number {
  return family === 'ipv4' ? 24 : 64;
}

/** The address on uplink 0 that tunnels with a fixed local address have. */
export function fixedAddress(site: SiteName, family: Family): string {
  const subnet = 20 + numberOf(site);
  return family === 'ipv4' ? `10.${subnet}.0.77` : `2001:db8:${subnet}::77`;
}

/** The network with the fixed address. */
export function fixedNetwork(site: SiteName, family: Family): string {
  const subnet = 20 + numberOf(site);
  return family === 'ipv4' ? `10.${subnet}.0.0/24` : `2001:db8:${subnet}::/64`;
}

/** Where the other site finds this one. */
export function publicAddress(site: SiteName, family: Family): string {
  return family === 'ipv4' ? `198.51.100.${numberOf(site)}` : `2001:db8:100::${numberOf(site)}`;
}

export const PUBLIC_NETWORKS = { ipv4: '198.51.100.0/24', ipv6: '2001:db8:100::/64' } as const;

export function lanAddress(site: SiteName): string {
  return `fe80::${numberOf(site)}`;
}

/** How a tunnel finds its way. */
export type Style = 'auto' | 'fixed' | 'bound' | 'zone' | 'named';

export interface Tunnel {
  /** From 1; also in the names, addresses and the port. */
  readonly number: number;
  readonly style: Style;
  /** Of a named peer, which has an address of each family: the one that is tried first. */
  readonly outer: Family;
}

export const TUNNELS: readonly Tunnel[] = [
  { number: 1, style: 'auto', outer: 'ipv4' },
  { number: 2, style: 'auto', outer: 'ipv6' },
  { number: 3, style: 'fixed', outer: 'ipv4' },
  { number: 4, style: 'fixed', outer: 'ipv6' },
  { number: 5, style: 'bound', outer: 'ipv4' },
  { number: 6, style: 'bound', outer: 'ipv6' },
  { number: 7, style: 'zone', outer: 'ipv6' },
  { number: 8, style: 'named', outer: 'ipv6' },
];

/** The families that its datagrams may have. */
export function outerFamilies({ style, outer }: Tunnel): readonly Family[] {
  return style === 'named' ? FAMILIES : [outer];
}

/** The name of a site, with its public address of each family. */
export function hostName(site: SiteName): string {
  return `${site}.weather.example`;
}

export function tunnelName({ style, outer }: Tunnel): string {
  return `${style}-${outer}`;
}

export function tunDevice({ number }: Tunnel): string {
  return `wt${number}`;
}

export function tunnelPort({ number }: Tunnel): number {
  return 8000 + number;
}

/** How a stream's packets find the other site: at the address of its device, or at one that is routed into the tunnel. */
export type Destination = 'connected' | 'routed';

export function innerAddress(
  site: SiteName,
  tunnel: number,
  family: Family,
  destination: Destination,
): string {
  const host = numberOf(site);
  if (destination === 'connected') {
    return family === 'ipv4' ? `10.100.${tunnel}.${host}` : `fd00:100:${tunnel}::${host}`;
  }
  return family === 'ipv4' ? `10.${200 + host}.${tunnel}.1` : `fd00:${200 + host}:${tunnel}::1`;
}

/** The network of this site that the other one routes into the tunnel. */
export function routedNetwork(site: SiteName, tunnel: number, family: Family): string {
  const host = numberOf(site);
  return family === 'ipv4' ? `10.${200 + host}.${tunnel}.0/24` : `fd00:${200 + host}:${tunnel}::/48`;
}

/** All networks inside the tunnels: what is sent to them never leaves by an uplink. */
export const INNER_NETWORKS = {
  ipv4: ['10.100.0.0/16', '10.201.0.0/16', '10.202.0.0/16'],
  ipv6: ['fd00::/16'],
} as const;

/** Length of each inner packet with its headers, so that the datagrams in a merged one can be counted from its length. */
export const INNER_LENGTH = 200;

/** IP and UDP. */
export const HEADERS = { ipv4: 28, ipv6: 48 } as const;

export const UNDERLAY_MTU = 1500;
