/** The counters of a tunnel, as its users read them. */

/**
 * Why a packet from the device was not sent.
 *
 * - `peer-unreachable`: the kernel had no way to the peer, or the network said that there is none
 * - `too-big`: larger than any datagram to the peer can be
 * - `no-buffer-space`: the kernel had no memory for it
 * - `send-error`: the send failed in another way; `socket.errors` says how: `EPERM` is a firewall of this host
 * - `routing-loop`: the tunnel's own datagrams, routed into its own device
 * - `malformed`: not an IPv4 or IPv6 packet whose lengths agree
 * - `closed`: read when the tunnel was being closed
 */
export type EncapDropReason =
  'peer-unreachable' | 'too-big' | 'no-buffer-space' | 'send-error' | 'routing-loop' | 'malformed' | 'closed';

/**
 * Why a datagram of the peer was not written to the device.
 *
 * - `malformed`: not an IPv4 or IPv6 packet whose lengths agree
 * - `empty`: a datagram without content
 * - `truncated`: larger than the receive buffer
 * - `source-not-allowed`: its inner source address is not among `allowedSources`
 * - `device-down`: the device was down, or deleted (with `reattach`)
 * - `device-error`: any other error of the write
 * - `closed`: received when the tunnel was being closed
 */
export type DecapDropReason =
  'malformed' | 'empty' | 'truncated' | 'source-not-allowed' | 'device-down' | 'device-error' | 'closed';

/**
 * What happened so far. Counters begin at 0 when the tunnel opens. In each direction `received` is the sum of `packets` and
 * `dropped`, plus at most the packets that are on their way at this instant; exactly, once the tunnel is closed.
 */
export interface TunnelStats<Count extends number | bigint = number> {
  /** When the figures were taken, in ms since the epoch. */
  readonly timestamp: number;
  /** When the tunnel was opened, in ms since the epoch. Stays the same for as long as the counters go on. */
  readonly openedAt: number;
  /** How long the tunnel has been open, in ms of monotonic time; stands still once it has ended. */
  readonly uptimeMs: number;
  /** Whether the peer is heard from. */
  readonly state: TunnelState;
  /** The TUN device. */
  readonly device: DeviceStats;
  /** The UDP socket. */
  readonly socket: SocketStats<Count>;
  /** From the device to the network. */
  readonly encap: EncapStats<Count>;
  /** From the network to the device. */
  readonly decap: DecapStats<Count>;
}

/**
 * `waiting` until the first datagram of the peer, again when packets were sent in the last 30 s and nothing came back in that
 * time, and while the device is deleted (with `reattach`); `up` otherwise; `closed` once the tunnel has ended.
 */
export type TunnelState = 'up' | 'waiting' | 'closed';

/** How figures are given. */
export interface StatsOptions {
  /** Counts as bigints, which are exact up to 2^64, rather than as numbers. Default `false`. */
  readonly bigint?: boolean;
}

/** The TUN device. */
export interface DeviceStats {
  /** Its name. */
  readonly name: string;
  /** The kernel's number of the interface; 0 while it is deleted (with `reattach`). */
  readonly index: number;
  /** Largest packet that the device passes whole, in bytes; 0 while it is deleted. */
  readonly mtu: number;
  /** What the kernel granted. */
  readonly offload: {
    /** The device hands over packets whose checksum is not filled in yet. */
    readonly checksum: boolean;
    /** It hands over and takes TCP super-packets of up to 64 KiB. */
    readonly tso: boolean;
    /** It hands over and takes runs of UDP datagrams as one. */
    readonly uso: boolean;
  };
}

/** The UDP socket. */
export interface SocketStats<Count extends number | bigint = number> {
  /** Address and port of this end, as `192.0.2.1:8000` or `[2001:db8::1]:8000`. */
  readonly local: string;
  /** Address and port of the peer. */
  readonly remote: string;
  /**
   * MTU of the route to the peer, in bytes: larger datagrams, outer headers included, are fragmented. `null` while there is
   * no route.
   */
  readonly pathMtu: number | null;
  /** Datagrams that one send may carry; 1 when the kernel cannot segment. */
  readonly segmentsPerSend: number;
  /** Whether one receive may bring many datagrams. */
  readonly gro: boolean;
  /** Size of the receive buffer in bytes, as getsockopt(2) tells: twice what was granted. */
  readonly receiveBuffer: number;
  /** Size of the send buffer in bytes, as getsockopt(2) tells: twice what was granted. */
  readonly sendBuffer: number;
  /** Datagrams lost because the receive buffer was full. A merged run counts once, so this is a lower bound. */
  readonly receiveOverflow: Count;
  /**
   * Errors that the socket reported, by name, such as `{ ECONNREFUSED: 3 }`. Among them are answers of the network (ICMP) to
   * datagrams that had been sent well: they show that the peer refuses, although no packet counts as dropped.
   */
  readonly errors: Readonly<Record<string, Count>>;
}

/** What became of packets from the device. */
export interface EncapStats<Count extends number | bigint = number> {
  /** Packets read from the device. */
  readonly received: Count;
  /** Inner IP packets sent; each is counted alone, however many were read or sent at once. */
  readonly packets: Count;
  /** Bytes of these packets, without outer headers. */
  readonly bytes: Count;
  /** System calls that read from the device. */
  readonly reads: Count;
  /** System calls that sent to the network. */
  readonly sends: Count;
  /** Packets among `packets` that were too big for the route and that the kernel sent in fragments. */
  readonly fragmented: Count;
  /** Packets not sent; the sum of `drops`. */
  readonly dropped: Count;
  /** The same, by reason. */
  readonly drops: Readonly<Record<EncapDropReason, Count>>;
}

/** What became of datagrams from the peer. */
export interface DecapStats<Count extends number | bigint = number> {
  /** Datagrams received from the peer. */
  readonly received: Count;
  /** Inner IP packets written to the device; each is counted alone, however many were received or written at once. */
  readonly packets: Count;
  /** Bytes of these packets, without outer headers. */
  readonly bytes: Count;
  /** System calls that received from the network. */
  readonly receives: Count;
  /** System calls that wrote to the device. */
  readonly writes: Count;
  /** Datagrams not written; the sum of `drops`. */
  readonly dropped: Count;
  /** The same, by reason. */
  readonly drops: Readonly<Record<DecapDropReason, Count>>;
  /** When the last datagram came, in ms since the epoch; `null` before the first. */
  readonly lastAt: number | null;
}
