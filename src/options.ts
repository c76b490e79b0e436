/** The options of a tunnel. Generated from schema.ts by `npm run schema`. */
import type { ResolvedOptions } from './schema.ts';

/**
 * The options of a tunnel, which joins a TUN device to a UDP socket; the same in TOML, JSON and TypeScript. Unknown
 * options are errors.
 */
export interface TunnelOptions {
  /**
   * Name of the TUN device. One that exists is used as it is: its addresses, MTU and up/down state stay unchanged.
   * Example: `tun0`.
   */
  readonly device: string;
  /**
   * Numeric address and port that the UDP socket is bound to: `192.0.2.1:8000`, `[2001:db8::1]:8000`, or with the
   * interface of a link-local address, `[fe80::1%eth0]:8000`. `:8000` leaves the address to the routing table.
   */
  readonly local: string;
  /**
   * Address and port of the peer, of the same family as the local address, unless that is left open; datagrams from
   * other addresses are not received. A host name in place of the address (`gateway.example:8000`) is resolved when the
   * tunnel opens, and again while nothing is heard from the peer; its addresses are tried in turn until one answers.
   * `learn`: the peer is whoever sends a valid packet from one of the networks in `peers`, for a peer behind NAT.
   */
  readonly remote: string;
  /**
   * Networks from which the peer may send, with `remote = "learn"`; they are addresses outside the tunnel, all of one
   * family. The first who sends a packet becomes the peer. Another address takes over once the peer has been silent for
   * 5 s, another port of the same address at once. `0.0.0.0/0` or `::/0` accepts everyone.
   */
  readonly peers?: readonly string[];
  /**
   * Networks that inner packets from the peer may come from; others are dropped and counted as `source-not-allowed`. An
   * address without a prefix length is a single host. Absent: all are accepted. Example: `10.0.2.0/24`.
   */
  readonly allowedSources?: readonly string[];
  /**
   * Lower the MSS option of TCP connections opened through the tunnel, in either direction, so that their full segments
   * fit the route to the peer. Default `true`.
   */
  readonly clampMss?: boolean;
  /**
   * The only interface that the tunnel's datagrams may use, regardless of the routing table (`SO_BINDTODEVICE`).
   * Example: `eth0`.
   */
  readonly bindDevice?: string;
  /** Mark of the tunnel's datagrams, for policy routing and firewalls (`SO_MARK`): 1 to 4294967295. */
  readonly fwmark?: number;
  /**
   * What happens to packets that do not fit the path to the peer. `fragment`: they are sent in fragments; over IPv4,
   * datagrams have no DF bit, so routers may fragment them too. `discover`: datagrams have the DF bit, and the sender of
   * a packet that does not fit is told the MTU by ICMP, as a router does (RFC 1191, RFC 8201); only packets that may be
   * fragmented still are. With a `probe`, the MTU is also searched for where ICMP is blocked.
   */
  readonly pathMtu?: 'fragment' | 'discover';
  /**
   * Copy the ECN field of each packet to its datagram, so that routers on the way can mark congestion instead of
   * dropping (RFC 6040). The peer must copy the marks to the packets, as ttun, FOU and GUE do: with one that does not,
   * they are lost. Marks of received datagrams are always copied. Default `false`.
   */
  readonly ecn?: boolean;
  /**
   * DSCP of the tunnel's datagrams (RFC 2474): a number from 0 to 63, a name (`EF`, `VA`, `LE`, `CS0` to `CS7`, `AF11`
   * to `AF43`), or `inherit` for that of the packet inside. The DSCP of received packets stays as it is.
   */
  readonly dscp?: number | string;
  /**
   * Accept UDP over IPv6 without a checksum (RFC 6935), which a FOU or GUE peer sends with `noencap-csum6`. Without this
   * option, the kernel drops such datagrams before ttun sees them. Default `false`.
   */
  readonly zeroChecksum6?: boolean;
  /**
   * While the socket accepts no more packets, let them wait in a queue for each flow, from which CoDel drops some or, if
   * their sender supports ECN, marks them (FQ-CoDel, RFC 8290), and let little wait in the socket. Keeps the delay of a
   * saturated link low. With false they wait at the device, first in, first out. Default `true`.
   */
  readonly queue?: boolean;
  /**
   * The rate to which datagrams are paced, outer headers included: `18 Mbit/s`, or a number of bits per second, from 64
   * kbit/s to 100 Gbit/s. Set it a little below the rate of a bottleneck that is not in this host, such as a modem, so
   * that packets wait in ttun and not there. Absent: as fast as the socket accepts them.
   */
  readonly rate?: string | number;
  /**
   * Size of the socket's send buffer in bytes (`SO_SNDBUF`). Absent: with `queue`, it follows the rate of the link, so
   * that packets wait in it for about a millisecond; without, 4 MiB.
   */
  readonly sendBuffer?: number;
  /**
   * How long to poll the device and the socket after the last packet before the thread of the tunnel sleeps: from `1us`
   * to `1ms`, a number with the unit `us` or `ms`, or a number of milliseconds. Packets that arrive in that time need
   * not wake it, which shortens round trips, at the cost of processor time. Absent: it sleeps at once.
   */
  readonly busyPoll?: string | number;
  /** Wait for a deleted device to reappear instead of failing. Default `false`, in `ttun up` `true`. */
  readonly reattach?: boolean;
  /**
   * Send echo requests (ping) to an address inside the tunnel at equal intervals, and measure the path by the replies:
   * round-trip time, jitter and loss. The replies do not reach the device. It also keeps entries of NAT and firewalls
   * alive, and shows within three intervals that the peer no longer answers. Absent: no probes.
   */
  readonly probe?: ProbeOptions;
  /**
   * Settings of the device; they require root (CAP_NET_ADMIN). Only settings given here are changed, and they are
   * restored when the tunnel closes. Absent: the device is used as it is.
   */
  readonly interface?: InterfaceOptions;
  /**
   * Kernel offloads that may be used. Those that the kernel lacks are never used; each can be turned off to isolate a
   * fault.
   */
  readonly offload?: OffloadOptions;
}

/**
 * Send echo requests (ping) to an address inside the tunnel at equal intervals, and measure the path by the replies:
 * round-trip time, jitter and loss. The replies do not reach the device. It also keeps entries of NAT and firewalls
 * alive, and shows within three intervals that the peer no longer answers. Absent: no probes.
 */
export interface ProbeOptions {
  /**
   * The address to probe, inside the tunnel: that of the peer's tunnel device, or of another host behind the peer. It
   * must answer ping. Example: `10.0.2.2`.
   */
  readonly address: string;
  /**
   * Time between two probes, from `10ms` to `1h`: a number with the unit `ms`, `s`, `m` or `h`, or a number of
   * milliseconds. Absent: one second.
   */
  readonly interval?: string | number;
  /**
   * Length of a probe in bytes, from its inner IP header on: at least 44 for IPv4 and 64 for IPv6. Absent: as ping sends
   * them, 84 for IPv4 and 104 for IPv6.
   */
  readonly size?: number;
}

/**
 * Settings of the device; they require root (CAP_NET_ADMIN). Only settings given here are changed, and they are
 * restored when the tunnel closes. Absent: the device is used as it is.
 */
export interface InterfaceOptions {
  /**
   * Create the device if it does not exist; it disappears when the tunnel closes, even after a crash. Default `false`.
   */
  readonly create?: boolean;
  /** Keep a created device, with its settings, when the tunnel closes. Default `false`. */
  readonly persist?: boolean;
  /** User, by name or number, who may attach to a created device. Absent: only root. Example: `alice`. */
  readonly owner?: string | number;
  /** Group, by name or number, whose members may attach to a created device. Example: `netdev`. */
  readonly group?: string | number;
  /** Create the device with several queues (`IFF_MULTI_QUEUE`). Default `false`. */
  readonly multiQueue?: boolean;
  /** Addresses of the device, with their prefix lengths. Example: `10.0.2.1/24`. */
  readonly addresses?: readonly string[];
  /** Networks to route into the tunnel. Example: `10.9.0.0/16`. */
  readonly routes?: readonly string[];
  /**
   * MTU of the device in bytes, or `auto`: the MTU of the route to the peer less the outer headers (28 bytes for IPv4,
   * 48 for IPv6), but at least 1280 if the tunnel carries IPv6. Absent: unchanged.
   */
  readonly mtu?: number | 'auto';
  /** Bring the device up or down. Absent: a created device is brought up, any other is unchanged. */
  readonly up?: boolean;
  /**
   * Restore addresses, routes and MTU that are lost while the tunnel runs, because the device goes down and up, or
   * another program removes or changes them. With false, only `ttun reload` restores them. Default `true`.
   */
  readonly restore?: boolean;
}

/**
 * Kernel offloads that may be used. Those that the kernel lacks are never used; each can be turned off to isolate a
 * fault.
 */
export interface OffloadOptions {
  /**
   * The device delivers packets whose checksum is not filled in yet (`TUN_F_CSUM`). Without it, `tso` and `uso` are off
   * too. Default `true`.
   */
  readonly checksum?: boolean;
  /**
   * The device delivers and accepts TCP super-packets of up to 64 KiB (`TUN_F_TSO4`, `TUN_F_TSO6`). Default `true`.
   */
  readonly tso?: boolean;
  /**
   * The device delivers and accepts runs of UDP datagrams as one super-packet (`TUN_F_USO4`, `TUN_F_USO6`; kernel 6.2
   * and later). Default `true`.
   */
  readonly uso?: boolean;
  /** One system call sends up to 64 datagrams (`UDP_SEGMENT`). Default `true`. */
  readonly segment?: boolean;
  /** One system call receives many datagrams (`UDP_GRO`). Default `true`. */
  readonly receive?: boolean;
  /**
   * Packets of the device carry a virtio-net header (`IFF_VNET_HDR`). Without it, `checksum`, `tso` and `uso` are off
   * too. Default `true`.
   */
  readonly virtioHeader?: boolean;
}

/** The options that need not be given, for the command line, which does without the schema. */
export const TUNNEL_DEFAULTS: Omit<ResolvedOptions, 'device' | 'local' | 'remote'> = {
  peers: null,
  allowedSources: null,
  clampMss: true,
  bindDevice: null,
  fwmark: null,
  pathMtu: 'fragment',
  ecn: false,
  dscp: 0,
  zeroChecksum6: false,
  queue: true,
  rate: null,
  sendBuffer: null,
  busyPoll: null,
  reattach: false,
  probe: null,
  interface: null,
  offload: { checksum: true, tso: true, uso: true, segment: true, receive: true, virtioHeader: true },
};
