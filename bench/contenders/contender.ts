/** The contenders of the comparison. */
import type { BackgroundProcess } from '../../testbed/exec.ts';
import type { Addresses, Site } from '../../testbed/site.ts';
import type { Sites } from '../../testbed/sites.ts';
import type { Link } from '../links.ts';

/** A program or kernel feature that carries packets between the sites. */
export interface Contender {
  readonly name: string;
  /** For the legend under the table: version-independent, one line. */
  readonly description: string;
  /** Programs that must be on the PATH. */
  readonly programs: readonly string[];
  /** MTU of the TUN devices of the sites. */
  readonly tunMtu: number;
  /** Whether it takes part only if `--only` names it. Default false. */
  readonly onlyIfNamed?: boolean;
  /** The links on which it takes part. Default: all. */
  readonly links?: readonly Link[];
  /** Prepares what is needed once before the ends start: devices, keys. */
  readonly prepare?: (sites: Sites) => Promise<void>;
  /** Starts one end. Absent where the kernel does everything. */
  readonly start?: (near: Site, far: Site) => BackgroundProcess;
  /** Steps that remain once the process runs. */
  readonly configure?: (near: Site, far: Site) => Promise<void>;
  /** The addresses of a site through this contender. */
  readonly addresses: (site: Site) => Addresses;
}

/** UDP port of the tunnels, at both ends. */
export const PORT = 9000;

/** The largest MTU that fits an underlay of 1500 with outer IPv4 and UDP headers: 1500 − 20 − 8. */
export const FITTING_MTU = 1472;

/** Of contenders that make a device of their own. */
export function ownAddresses({ inner }: Site): Addresses {
  return { ipv4: inner.ipv4.replace('10.0.2.', '10.0.9.'), ipv6: inner.ipv6.replace('fd00:2:', 'fd00:9:') };
}

/** Most contenders use the TUN device that the site has, and its addresses. */
export function innerAddresses(site: Site): Addresses {
  return site.inner;
}
