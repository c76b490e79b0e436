/** The facts that checks examine, gathered beforehand, so that each check is a function of values. */
import type { BindingArrival, BindingInterface, BindingRoute } from '../../binding.cjs';
import type { IpAddress } from '../address.ts';
import type { PathMeasurement } from '../path.ts';
import type { ResolvedOptions } from '../schema.ts';
import type { TunnelReport } from '../tunnel-host.ts';
import type { Ruleset } from './firewall.ts';

/** This machine, as this user sees it. */
export interface HostFacts {
  readonly user: User;
  /** Whether this user may open `/dev/net/tun`; `missing` where the node or its driver is. */
  readonly tunNode: 'usable' | 'forbidden' | 'missing';
  /** Whether the kernel has loaded the TUN driver; the node may still be missing. */
  readonly tunDriver: boolean;
  /** Why the native part cannot be loaded; `null` if it is loaded. */
  readonly native: { readonly message: string; readonly hint: string | null } | null;
  /** The features of UDP sockets; `null` if unknown. */
  readonly udp: { readonly segment: boolean; readonly receive: boolean } | null;
  readonly kernel: Kernel;
  /** Values of the kernel settings (sysctl) that exist, by name. */
  readonly settings: ReadonlyMap<string, number>;
  /** The rules of nftables, with those of iptables-nft; `null` when they could not be read. */
  readonly firewall: Ruleset | null;
  /** Whether there are rules of the old iptables, which nft does not show. */
  readonly hasOldFirewall: boolean;
  /** Counters of IP and UDP, by the names of nstat(8): `UdpNoPorts`, `Ip6ReasmFails`. */
  readonly counters: ReadonlyMap<string, number>;
  /** All interfaces of this network namespace. */
  readonly interfaces: readonly BindingInterface[];
}

export interface User {
  readonly uid: number;
  /** The name, or the number of a user without one. */
  readonly name: string;
  readonly gids: readonly number[];
  /** CAP_NET_ADMIN */
  readonly mayConfigure: boolean;
}

export interface Kernel {
  /** `6.18.44-custom` */
  readonly release: string;
  readonly version: Version;
}

export type Version = readonly [major: number, minor: number, patch: number];

/** A device to examine, and the tunnel that uses it or will use it, if known. */
export interface Subject {
  /** Heading in the report. */
  readonly title: string;
  /** The name that it has now: the device of a running tunnel may have been renamed. */
  readonly device: string;
  readonly options: ResolvedOptions | null;
  /** What the process of the running tunnel reports; `null` if none runs. */
  readonly running: TunnelReport | null;
  /** Path of the control socket of its process; `null` if none runs. */
  readonly socket: string | null;
  /** The process that does not answer, which may run a tunnel on this device; `null` if it is known that none does. */
  readonly silence: string | null;
}

export interface SubjectFacts {
  readonly subject: Subject;
  /** `null` when there is no such interface. */
  readonly device: BindingInterface | null;
  /** Networks that are routed into it; empty where none are to be. */
  readonly networks: readonly string[];
  /** Programs attached to it, as far as this user can see. */
  readonly attached: readonly Program[];
  /** `null` where no options are known. */
  readonly path: PathFacts | null;
  /** Routes back to the networks that packets are accepted from. */
  readonly returnRoutes: readonly ReturnRoute[];
  /** `null` without one. */
  readonly probe: ProbeFacts | null;
  /** The path as the running tunnel has measured it; `null` if it was not asked to. */
  readonly measured: MeasuredPath | null;
  /** Datagrams that arrived while the doctor listened; `null` if it did not, or may not. */
  readonly arrivals: readonly Arrival[] | null;
}

export interface ProbeFacts {
  readonly address: string;
  readonly intervalMs: number;
  /** The route of other packets to that address; `null` when there is none. */
  readonly route: BindingRoute | null;
}

export type MeasuredPath =
  | { readonly measurement: PathMeasurement }
  | { readonly measurement: null; readonly problem: string; readonly hint: string | null };

/** Datagrams that arrived, by sender and local port. */
export interface Arrival extends BindingArrival {
  /** Whether a socket of this host has the local port. */
  readonly isTaken: boolean;
}

export interface Program {
  readonly pid: number;
  readonly name: string;
  /** Whether it is ttun, with this device. */
  readonly isTunnel: boolean;
}

/** The tunnel's socket, and the path to the peer. */
export interface PathFacts {
  /** The result of binding a socket to the local address. */
  readonly binding: 'possible' | 'not-here' | 'taken' | 'forbidden';
  /** Programs that use the port, as far as this user can see. */
  readonly portHolders: readonly Program[];
  /** Whether the interface that `bindDevice` names exists; true without that option. */
  readonly bindDeviceExists: boolean;
  readonly peer: PeerFacts;
  /** `null` if the peer is learned, and not known yet. */
  readonly peerPort: number | null;
}

export type PeerFacts =
  /** `problem` is `null` if there is none: the peer is learned, and not known yet. */
  | { readonly address: null; readonly problem: string | null; readonly hint: string | null }
  | {
      readonly address: IpAddress;
      /** `null` when there is no route. */
      readonly route: BindingRoute | null;
      /** The route without the tunnel's `bindDevice` and `fwmark`, which the reverse path filter checks against. */
      readonly plainRoute: BindingRoute | null;
      /**
       * Devices of the tunnels that datagrams to the peer pass through, in order, up to the subject's own device, which is the last
       * one if they come back.
       */
      readonly detour: readonly string[];
      /** Where they come back, a route through an interface that is not a tunnel. */
      readonly bypass: BindingRoute | null;
    };

export interface ReturnRoute {
  /** `10.9.0.0/16` */
  readonly network: string;
  /** The route to it. */
  readonly route: BindingRoute | null;
}

/** The setting of an interface, or of `all`: `net.ipv4.conf.eth0.rp_filter`. */
export function settingOf(device: string, setting: string): string {
  return ['net', 'ipv4', 'conf', device, setting].join(device.includes('.') ? '/' : '.');
}

/** The command that changes a setting. A name with slashes may contain dots (sysctl(8)). */
export function settingCommand(name: string, value: number): string {
  return `sysctl -w ${name}=${value}`;
}

/** The file of a setting. */
export function settingPath(name: string): string {
  return `/proc/sys/${name.includes('/') ? name : name.replaceAll('.', '/')}`;
}
