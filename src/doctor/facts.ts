/** What checks look at, gathered beforehand, so that each of them is a function of values alone. */
import type { BindingInterface, BindingRoute } from '../../binding.cjs';
import type { IpAddress } from '../address.ts';
import type { ResolvedOptions } from '../options.ts';

/** This machine, as this user sees it. */
export interface HostFacts {
  readonly user: User;
  /** `/dev/net/tun`: whether this user may open it, it is not there, or its driver is not. */
  readonly tunNode: 'usable' | 'forbidden' | 'missing';
  /** Whether the kernel has the TUN driver loaded; the node may be missing all the same. */
  readonly tunDriver: boolean;
  /** Why the native part cannot be loaded; `null` when it is. */
  readonly native: { readonly message: string; readonly hint: string | null } | null;
  /** What UDP sockets can do; `null` when that could not be asked. */
  readonly udp: { readonly segment: boolean; readonly receive: boolean } | null;
  readonly kernel: Kernel;
  /** Kernel settings (sysctl) by name, those that exist. */
  readonly settings: ReadonlyMap<string, number>;
  /** Chains through which packets to this host pass and that drop what no rule accepts; `null` when they could not be read. */
  readonly inputChains: readonly InputChain[] | null;
  /** All interfaces of this network namespace. */
  readonly interfaces: readonly BindingInterface[];
}

export interface User {
  readonly uid: number;
  /** The name, or the number where it has none. */
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

/** A base chain of nftables on the input hook whose policy is to drop. */
export interface InputChain {
  /** `inet`, `ip` or `ip6`. */
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** UDP ports that some rule of its table accepts. */
  readonly acceptedPorts: readonly PortRange[];
}

export type PortRange = readonly [first: number, last: number];

/** What is examined: a device, and the tunnel that uses or is to use it, where one is known. */
export interface Subject {
  /** Heading in the report. */
  readonly title: string;
  readonly device: string;
  readonly options: ResolvedOptions | null;
}

export interface SubjectFacts {
  readonly subject: Subject;
  /** `null` when there is no such interface. */
  readonly device: BindingInterface | null;
  /** Programs that are attached to it, as far as this user may see. */
  readonly attached: readonly Program[];
  /** `null` where no options are known. */
  readonly way: WayFacts | null;
  /** Ways of answers to the networks from which packets are accepted. */
  readonly answers: readonly AnswerFacts[];
}

export interface Program {
  readonly pid: number;
  readonly name: string;
  /** Whether it is a tunnel of ttun that has the device. */
  readonly isTunnel: boolean;
}

/** The tunnel's socket, and its way to the peer. */
export interface WayFacts {
  /** What binding a socket to the local end gave. */
  readonly binding: 'possible' | 'not-here' | 'taken' | 'forbidden';
  /** Programs that have the port, as far as this user may see. */
  readonly portHolders: readonly Program[];
  /** Whether the interface named by `bindDevice` exists, where one is. */
  readonly bindDeviceExists: boolean;
  readonly peer: PeerFacts;
}

export type PeerFacts =
  | { readonly address: null; readonly problem: string; readonly hint: string | null }
  | {
      readonly address: IpAddress;
      /** `null` when there is none. */
      readonly route: BindingRoute | null;
      /** The way without the tunnel's `bindDevice` and `fwmark`, by which the kernel judges what comes in. */
      readonly plainRoute: BindingRoute | null;
      /** A way that does not lead into the tunnel's own device, by another interface. */
      readonly bypass: BindingRoute | null;
    };

export interface AnswerFacts {
  /** `10.9.0.0/16` */
  readonly network: string;
  /** Where packets to it go. */
  readonly route: BindingRoute | null;
}

// Names of kernel settings, and the command that changes one.

/** The setting of an interface, or of `all`: `net.ipv4.conf.eth0.rp_filter`. */
export function settingOf(device: string, setting: string): string {
  return ['net', 'ipv4', 'conf', device, setting].join(device.includes('.') ? '/' : '.');
}

/** With slashes, a name may have dots in it (sysctl(8)). */
export function settingCommand(name: string, value: number): string {
  return `sysctl -w ${name}=${value}`;
}

/** Its file under `/proc/sys`. */
export function settingPath(name: string): string {
  return `/proc/sys/${name.includes('/') ? name : name.replaceAll('.', '/')}`;
}

/** fe80::/10: the kernel gives such an address to each interface by itself. */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/.test(address);
}
