//! The table of statistics: every counter, gauge and drop reason of a tunnel is declared here, once.
//!
//! Each line defines the counter that the packet path adds to, the snapshot, the position in the buffer that the binding fills,
//! and, by `scripts/stats-table.mjs`, the types, rates, checks, metrics and labels of TypeScript. So a new counter takes one line here
//! and the code that counts; so does a drop reason.

mod counters;
mod probe;
mod table;

use std::net::SocketAddr;

pub use counters::ERROR_NUMBERS;
pub(crate) use counters::{Counter, ErrnoCounters};
pub use probe::{PROBE_BOUNDS_NS, ProbeStats, RttStats};
pub use table::{Kind, Stat, Value};
use table::{direction, values};

use Kind::{Counter as Count, Errors, Flag, Gauge, GaugeIfKnown, Section, State, Text, TextIfKnown};

/// All entries, in the order in which the binding passes those that are numbers.
pub fn table() -> impl Iterator<Item = &'static Stat> {
    let sections = [
        TOP,
        EncapStats::TABLE,
        DecapStats::TABLE,
        SocketStats::TABLE,
        DeviceStats::TABLE,
        OffloadStats::TABLE,
        ProbeStats::TABLE,
        RttStats::TABLE,
        probe::BUCKETS,
        QueueStats::TABLE,
        TunnelStats::TABLE,
    ];
    sections.into_iter().flatten()
}

const TOP: &[Stat] = &[Stat::new(
    "",
    Section,
    "Statistics of a tunnel. Counters start at 0 when the tunnel opens. In each direction, `received` is the sum of `packets`, \
     `dropped` and the few packets that are still being processed; once the tunnel is closed, there are none of these.",
)];

direction! {
    /// Packets from the device.
    encap: EncapStats {
        /// Packets read from the device.
        received: "packets";
        /// Inner IP packets sent; each is counted individually, even if many were read or sent at once.
        packets: "packets";
        /// Bytes of these packets, without outer headers.
        bytes: "bytes";
        /// System calls that read from the device.
        reads: "calls", metric: "ttun_syscalls_total{call=\"read\"}";
        /// Reads from the device that failed. Reading continues; if it fails again and again, the tunnel reports a problem.
        read_errors: "errors", label: "failed reads from the device", metric: "ttun_device_read_errors_total";
        /// System calls that sent to the network.
        sends: "calls", metric: "ttun_syscalls_total{call=\"send\"}";
        /// Packets sent although they were too big for the path: the kernel sent them in fragments, or a router makes fragments of them.
        fragmented: "packets", label: "sent in fragments", metric: "ttun_fragmented_packets_total";
        /// Full TCP packets sent once more with the DF bit, so that a router that cannot forward them reports the path MTU; not
        /// counted in `packets`. If the device has an automatic MTU, also packets of that length that the peer's host discards.
        trials: "packets", label: "sent twice to learn the path MTU", metric: "ttun_mtu_trials_total";
        /// ICMP messages "fragmentation needed" and "packet too big", sent to the senders of packets that did not fit the path
        /// (`pathMtu = "discover"`). Fewer than packets dropped as `too-big` if these came too fast.
        too_big_answers: "messages", label: "ICMP messages about packets too big for the path", metric: "ttun_too_big_answers_total";
    }
    /// Packets not sent; the sum of `drops`.
    dropped;
    /// Why a packet from the device was not sent.
    drops: EncapDrop {
        /// The kernel had no route to the peer, or the network or the peer refused (`ECONNREFUSED`, `EHOSTUNREACH`, `ENETUNREACH`, …).
        PeerUnreachable: "peer-unreachable", "no route to the peer, or refused";
        /// Too large for a datagram to the peer, or for the path to it (`pathMtu = "discover"`), which its sender was told.
        TooBig: "too-big", "too large for a datagram or the path";
        /// The kernel had no memory for it, or no room in a queue (`ENOBUFS`, `ENOMEM`).
        NoBufferSpace: "no-buffer-space", "no memory in the kernel";
        /// Dropped by the queue before the socket, because packets had waited in it for too long (CoDel): so TCP learns how fast the link is.
        Queue: "queue", "dropped by the queue: the link is slower";
        /// Dropped by the queue before the socket, because too many were waiting in it.
        QueueFull: "queue-full", "the queue was full";
        /// The send failed in another way; `socket.errors` has the error: `EPERM` means a firewall of this host.
        SendError: "send-error", "refused: see socket errors";
        /// One of the tunnel's own datagrams, routed into its own device, alone or inside a datagram of another tunnel.
        RoutingLoop: "routing-loop", "the tunnel's own datagrams";
        /// The peer is not known yet: with `remote = "learn"`, it has to send first.
        NoPeer: "no-peer", "no peer yet";
        /// Not an IPv4 or IPv6 packet, or its lengths contradict each other.
        Malformed: "malformed", "not a valid IP packet";
        /// Read while the tunnel was being closed.
        Closed: "closed", "read while closing";
    }
}

direction! {
    /// Datagrams from the peer.
    decap: DecapStats {
        /// Datagrams received from the peer; with `remote = "learn"`, from anyone.
        received: "packets";
        /// Inner IP packets written to the device; each is counted individually, even if many were received or written at once.
        packets: "packets";
        /// Bytes of these packets, without outer headers.
        bytes: "bytes";
        /// System calls that received from the network.
        receives: "calls", metric: "ttun_syscalls_total{call=\"receive\"}";
        /// System calls that wrote to the device.
        writes: "calls", metric: "ttun_syscalls_total{call=\"write\"}";
        /// Packets that now carry a congestion mark (ECN's CE) because a router on the way put one on their datagram.
        congestion_marks: "packets", label: "marked by a congested router (ECN)", metric: "ttun_congestion_marks_total";
    }
    /// Datagrams not written; the sum of `drops`.
    dropped;
    /// Why a datagram from the peer was not written to the device.
    drops: DecapDrop {
        /// Not an IPv4 or IPv6 packet, or its lengths contradict each other.
        Malformed: "malformed", "not a valid IP packet";
        /// A datagram without a payload.
        Empty: "empty", "no payload";
        /// Larger than the receive buffer.
        Truncated: "truncated", "larger than the buffer";
        /// Its inner source address is not among `allowedSources`.
        SourceNotAllowed: "source-not-allowed", "not in allowedSources";
        /// A router put a congestion mark on its datagram, but its sender does not support ECN and would miss the mark (RFC 6040).
        EcnIllegal: "ecn-illegal", "congestion mark on a packet without ECN";
        /// With `remote = "learn"`: sent from an address that is not in `peers`.
        NotInPeers: "not-in-peers", "sender not in peers";
        /// With `remote = "learn"`: sent from an address in `peers` while another one is the peer, and was heard in the last 5 s; or from
        /// too many ports of the peer's address.
        NotThePeer: "not-the-peer", "another address is the peer";
        /// With `remote = "learn"`: nothing can be sent to its sender, so that it cannot be the peer.
        NoRouteBack: "no-route-back", "no route to the sender";
        /// The device was down, or deleted (with `reattach`).
        DeviceDown: "device-down", "the device was down";
        /// The device refused it in another way.
        DeviceError: "device-error", "refused by the device";
        /// Received while the tunnel was being closed.
        Closed: "closed", "received while closing";
    }
}

values! {
    /// A snapshot of all statistics of a tunnel.
    TunnelStats at "" {
        /// When the values were taken.
        timestamp: f64 => Gauge(|stats| stats.timestamp), unit: "ms since the epoch", metric: "-";
        /// When the tunnel was opened; stays the same for as long as the counters continue.
        opened_at: f64 => Gauge(|stats| stats.opened_at), unit: "ms since the epoch", metric: "-";
        /// How long the tunnel has been open, in monotonic time; stops when the tunnel ends.
        uptime_ms: f64 => Gauge(|stats| stats.uptime_ms), unit: "ms", metric: "ttun_uptime_seconds";
        /// Whether datagrams arrive from the peer: `up` if any did in the last 30 s, or in
        /// the last three intervals of the probe; `waiting` before the first one, if packets were
        /// sent in the last 30 s and nothing came back, and while the device is deleted (with `reattach`); `idle` if nothing arrived
        /// and nothing was sent in the last 30 s (`decap.lastAt` says when the peer was last heard); `closed` once the tunnel has ended.
        state: TunnelState => State(|stats| stats.state), metric: "-";
        /// The TUN device.
        device: DeviceStats => Section;
        /// The UDP socket.
        socket: SocketStats => Section;
        /// From the device to the network.
        encap: EncapStats => Section;
        /// From the network to the device.
        decap: DecapStats => Section;
        /// The queue before the socket.
        queue: QueueStats => Section;
        /// The probe.
        probe: ProbeStats => Section;
        /// When the last datagram was received from the peer; absent before the first.
        last_at: Option<f64> => GaugeIfKnown(|stats| stats.last_at), path: "decap.last_at", unit: "ms since the epoch",
            metric: "ttun_last_received_timestamp_seconds";
    }
}

values! {
    /// The queue before the socket: packets wait in it while the socket accepts no more, or to keep to the configured rate. Packets that it
    /// drops are in `encap.drops`, as `queue` and `queue-full`.
    #[derive(Copy, Default)]
    QueueStats at "queue." {
        /// Packets that wait in the queue before the socket.
        packets: usize => Gauge(|stats| number(stats.queue.packets)), unit: "packets", metric: "ttun_queue_packets";
        /// Bytes of the packets that wait in that queue, without outer headers.
        bytes: usize => Gauge(|stats| number(stats.queue.bytes)), unit: "bytes", metric: "ttun_queue_bytes";
        /// How long the packet that left the queue last had waited in it; absent if none has.
        sojourn_ms: Option<f64> => GaugeIfKnown(|stats| stats.queue.sojourn_ms), unit: "ms", metric: "ttun_queue_sojourn_seconds";
        /// The longest time that a packet has waited in the queue; absent if none has.
        sojourn_max_ms: Option<f64> => GaugeIfKnown(|stats| stats.queue.sojourn_max_ms), unit: "ms", metric: "ttun_queue_sojourn_max_seconds";
        /// Packets that have waited in the queue, however shortly, and were sent.
        delayed: u64 => Count(|stats| stats.queue.delayed), unit: "packets", metric: "ttun_queue_delayed_packets_total";
        /// Sum of the times for which packets have waited in the queue before they were sent.
        delay_sum: u64 => Count(|stats| stats.queue.delay_sum), unit: "us", metric: "ttun_queue_delay_seconds_total";
        /// Packets of ECN-capable connections that the queue has marked as having met congestion (CE) in place of dropping them.
        marked: u64 => Count(|stats| stats.queue.marked), unit: "packets", label: "marked by the queue (CE)",
            metric: "ttun_queue_marked_total";
        /// The configured rate, outer headers included; absent without one.
        rate: Option<u64> => GaugeIfKnown(|stats| stats.queue.rate.map(number64)), unit: "bit/s", metric: "ttun_rate_bytes_per_second";
        /// The rate at which the link took datagrams, outer headers included, the last time that packets had to wait for it for a tenth of
        /// a second; absent if they never had to.
        drain_rate: Option<u64> => GaugeIfKnown(|stats| stats.queue.drain_rate.map(number64)), unit: "bit/s",
            metric: "ttun_drain_rate_bytes_per_second";
    }
}

values! {
    /// The TUN device.
    DeviceStats at "device." {
        /// Its name.
        name: String => Text;
        /// Index of the interface; 0 while it is deleted (with `reattach`).
        index: u32 => Gauge(|stats| stats.device.index.into()), metric: "-";
        /// MTU of the device; 0 while it is deleted.
        mtu: u32 => Gauge(|stats| stats.device.mtu.into()), unit: "bytes", metric: "ttun_device_mtu_bytes";
        /// Offloads in use between the kernel and ttun.
        offload: OffloadStats => Section;
    }
}

values! {
    /// Offloads in use between the device and this program.
    #[derive(Copy, Default, PartialEq, Eq)]
    OffloadStats at "device.offload." {
        /// The device delivers packets whose checksum is not filled in yet.
        checksum: bool => Flag;
        /// It delivers and accepts TCP super-packets of up to 64 KiB.
        tso: bool => Flag;
        /// It delivers and accepts runs of UDP datagrams as one super-packet.
        uso: bool => Flag;
    }
}

values! {
    /// The UDP socket.
    SocketStats at "socket." {
        /// Address and port of this end: `192.0.2.1:8000` or `[2001:db8::1]:8000`.
        local: SocketAddr => Text;
        /// Address and port of the peer. Absent until it is learned, with `remote = "learn"`.
        remote: Option<SocketAddr> => TextIfKnown;
        /// MTU of the path to the peer, as far as it is known: larger datagrams, outer headers included, do not travel whole. Absent while there is no route.
        path_mtu: Option<usize> => GaugeIfKnown(|stats| stats.socket.path_mtu.map(number)), unit: "bytes",
            metric: "ttun_path_mtu_bytes";
        /// How often the address or port of the peer changed, because its host name resolves to another address, or because it was
        /// learned; also counts the first one that is learned.
        peer_changes: u64 => Count(|stats| stats.socket.peer_changes), unit: "times", label: "peer changed",
            metric: "ttun_peer_changes_total";
        /// How often the socket was reconnected: to another peer, from another local address or through another interface.
        reconnects: u64 => Count(|stats| stats.socket.reconnects), unit: "times", label: "socket reconnected",
            metric: "ttun_reconnects_total";
        /// Datagrams that one system call can send; 1 if the kernel or the interface cannot segment.
        segments_per_send: usize => Gauge(|stats| number(stats.socket.segments_per_send)), unit: "datagrams", metric: "-";
        /// Whether one system call can receive many datagrams (`UDP_GRO`).
        gro: bool => Flag;
        /// Size of the receive buffer as getsockopt(2) reports it: twice the granted size.
        receive_buffer: usize => Gauge(|stats| number(stats.socket.receive_buffer)), unit: "bytes",
            metric: "ttun_receive_buffer_bytes";
        /// Size of the send buffer as getsockopt(2) reports it: twice the granted size.
        send_buffer: usize => Gauge(|stats| number(stats.socket.send_buffer)), unit: "bytes",
            metric: "ttun_send_buffer_bytes";
        /// Datagrams lost because the receive buffer was full. A merged run counts once, so this is a lower bound.
        receive_overflow: u32 => Count(|stats| stats.socket.receive_overflow.into()), unit: "datagrams",
            label: "lost to a full receive buffer (at least)", metric: "ttun_receive_overflow_total";
        /// Errors that the socket reported, by name, such as `{ ECONNREFUSED: 3 }`. Each error counts once, however many packets it
        /// cost; lost packets are in `encap.drops`. They include ICMP errors for datagrams that had been sent successfully: these
        /// show that the peer refuses datagrams, although no packet counts as dropped.
        errors: Vec<(i32, u64)> => Errors, unit: "errors", label: "socket errors",
            metric: "ttun_socket_errors_total";
    }
}

/// Whether datagrams arrive from the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelState {
    /// Datagrams were received from the peer in the last 30 s.
    Up,
    /// No datagram was received from the peer yet, or none in the last 30 s although packets were sent to it; or the device is deleted, and
    /// the tunnel waits for it.
    Waiting,
    /// Nothing was received in the last 30 s, and nothing sent that the peer has had time to answer.
    Idle,
    /// The tunnel has ended.
    Closed,
}

impl TunnelState {
    /// All states, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Up, Self::Waiting, Self::Idle, Self::Closed];

    /// The name under which programs know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Waiting => "waiting",
            Self::Idle => "idle",
            Self::Closed => "closed",
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes of buffers and packets are far below 2^53")]
fn number(size: usize) -> f64 {
    size as f64
}

#[expect(clippy::cast_precision_loss, reason = "rates are far below 2^53")]
fn number64(rate: u64) -> f64 {
    rate as f64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_value_occurs_once_and_has_a_help_text() {
        let mut paths = HashSet::new();
        for Stat { path, help, .. } in table() {
            assert!(paths.insert(path), "{path} occurs twice");
            assert!(help.ends_with('.') && !help.contains("  "), "{path}: {help}");
        }
    }

    #[test]
    fn every_counter_and_reason_has_a_unit_and_every_section_its_values() {
        for Stat { path, kind, unit, label, .. } in table() {
            match kind {
                Count(_) | Kind::Bucket(_) | Errors => assert!(!unit.is_empty(), "{path}"),
                Kind::Drop(_) => assert!(!label.is_empty(), "{path}"),
                Section => {
                    let inside = |other: &str| other.strip_prefix(path).is_some_and(|rest| !rest.is_empty());
                    assert!(table().any(|stat| inside(stat.path)), "{path}");
                }
                _ => {}
            }
        }
    }
}
