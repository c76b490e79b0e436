/** The options of a tunnel, as they are written and as they are understood. `config/` has what is right for each. */
import type { LocalEndpoint, RemoteEndpoint } from './address.ts';

/**
 * What a tunnel is made of; the same names in TypeScript, TOML and JSON. Every property is checked; one that is not known is
 * an error.
 */
export interface TunnelOptions {
  /** Name of a TUN device. One that exists is attached to as it is: its addresses, MTU and up/down state stay. */
  readonly device: string;
  /**
   * Address and port to which the UDP socket is bound: `192.0.2.1:8000`, `[2001:db8::1]:8000`, or `[fe80::1%eth0]:8000`.
   * Numeric. `:8000` leaves the address to the routing table.
   */
  readonly local: string;
  /**
   * Address and port of the peer, of the same family. Datagrams from any other address or port are not received. In place of
   * the address a name may stand (`gateway.example:8000`): it is resolved, and again whenever the peer falls silent.
   */
  readonly remote: string;
  /**
   * Networks such as `10.0.2.0/24` from which inner packets of the peer may come; others are dropped and counted as
   * `source-not-allowed`. An address alone stands for itself. Absent: all are accepted.
   */
  readonly allowedSources?: readonly string[];
  /**
   * Lower the MSS option of TCP connections being opened through the tunnel, in either direction, so that their full
   * segments fit the route to the peer. Default `true`; `false` leaves packets as they are.
   */
  readonly clampMss?: boolean;
  /** Interface by which alone the tunnel's datagrams leave and come, whatever the routing table says (`SO_BINDTODEVICE`). */
  readonly bindDevice?: string;
  /** Mark of the tunnel's datagrams, for policy routing and firewalls (`SO_MARK`): 1 to 4,294,967,295. */
  readonly fwmark?: number;
  /** Wait for a deleted device to come back rather than end. Default `false`, in `ttun up` `true`. */
  readonly reattach?: boolean;
  /** What to set up of the device. Absent: it is used as it is. */
  readonly interface?: InterfaceOptions;
  /** What may be used at most of the kernel's offloads. */
  readonly offload?: OffloadOptions;
}

/**
 * What to set up of the device; needs root (CAP_NET_ADMIN). Only what is named is changed, and it is put back when the tunnel
 * ends.
 */
export interface InterfaceOptions {
  /** Make the device if it is not there; it vanishes when the tunnel ends, also by a crash. Default `false`. */
  readonly create?: boolean;
  /** Leave a device that was made, as it was set up, when the tunnel ends. Default `false`. */
  readonly persist?: boolean;
  /** User, by name or number, who may attach to a device that is made. Default: only root. */
  readonly owner?: string | number;
  /** Group, by name or number, whose members may attach to a device that is made. */
  readonly group?: string | number;
  /** Make the device for several queues (`IFF_MULTI_QUEUE`). Default `false`. */
  readonly multiQueue?: boolean;
  /** Addresses of the device with their prefix lengths: `10.0.2.1/24`, `fd00:2::1/64`. */
  readonly addresses?: readonly string[];
  /** Networks to route into the tunnel: `10.9.0.0/16`. */
  readonly routes?: readonly string[];
  /**
   * MTU of the device in bytes, or `'auto'`: that of the route to the peer less the outer headers (28 bytes in IPv4, 48 in
   * IPv6), and not under 1280 where the inside speaks IPv6. Default: as it is.
   */
  readonly mtu?: number | 'auto';
  /** Bring the device up or down. Default: up when it is made, otherwise as it is. */
  readonly up?: boolean;
}

/**
 * What may be used at most of the kernel's offloads. What a kernel lacks is done without in any case; each can be switched
 * off to find a fault, or for kernels in which it has one. All default to `true`.
 */
export interface OffloadOptions {
  /** The device hands over packets whose checksum is not filled in yet (`TUN_F_CSUM`). Without it `tso` and `uso` are off too. */
  readonly checksum?: boolean;
  /** The device hands over and takes TCP super-packets of up to 64 KiB (`TUN_F_TSO4`, `TUN_F_TSO6`). */
  readonly tso?: boolean;
  /** The device hands over and takes runs of UDP datagrams as one (`TUN_F_USO4`, `TUN_F_USO6`; kernel 6.2 and later). */
  readonly uso?: boolean;
  /** One send carries up to 64 datagrams (`UDP_SEGMENT`). */
  readonly segment?: boolean;
  /** One receive brings many datagrams (`UDP_GRO`). */
  readonly receive?: boolean;
  /** Packets of the device carry a virtio-net header (`IFF_VNET_HDR`). Without it `checksum`, `tso` and `uso` are off too. */
  readonly virtioHeader?: boolean;
}

/** Options that were checked, with their defaults filled in. */
export interface ResolvedOptions {
  readonly device: string;
  readonly local: LocalEndpoint;
  readonly remote: RemoteEndpoint;
  /** As `address/prefix length`; `null` accepts all. */
  readonly allowedSources: readonly string[] | null;
  readonly clampMss: boolean;
  readonly bindDevice: string | null;
  readonly fwmark: number | null;
  readonly reattach: boolean;
  readonly interface: ResolvedInterface | null;
  readonly offload: Readonly<Required<OffloadOptions>>;
}

export interface ResolvedInterface {
  readonly create: boolean;
  readonly persist: boolean;
  readonly owner: string | null;
  readonly group: string | null;
  readonly multiQueue: boolean;
  /** As `address/prefix length`. */
  readonly addresses: readonly string[];
  /** As `address/prefix length`. */
  readonly routes: readonly string[];
  readonly mtu: number | 'auto' | null;
  readonly up: boolean | null;
}

// What holds where nothing is said. Apart from the schema, as the command line needs it without that.

export const TUNNEL_DEFAULTS = { clampMss: true, reattach: false } as const;

export const OFFLOAD_DEFAULTS: Readonly<Required<OffloadOptions>> = {
  checksum: true,
  tso: true,
  uso: true,
  segment: true,
  receive: true,
  virtioHeader: true,
};

/** In the tunnels of a file, which are kept up by `ttun up`. */
export const FILE_DEFAULTS = { reattach: true } as const;
