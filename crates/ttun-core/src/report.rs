//! Texts about a tunnel that the programs print: the same with and without Node.

use std::fmt::{self, Display};

use nix::errno::Errno;
use ttun_link::IPV6_MIN_MTU;
use ttun_packet::outer_overhead;

use crate::stats::{DecapDrop, DeviceStats, EncapDrop, Kind, ProbeStats, QueueStats, TunnelStats, table};

/// Advice about a setting that makes the tunnel slower than necessary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The problem; shown before a colon and the command.
    pub text: String,
    /// The command to type.
    pub command: String,
}

impl Display for Advice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.text, self.command)
    }
}

impl TunnelStats {
    /// The device and both ends of the tunnel, in one line.
    #[must_use]
    pub fn attached(&self) -> String {
        let Self { device: DeviceStats { name, mtu, offload, .. }, socket, .. } = self;
        let of_device = listed(&[("checksum", offload.checksum), ("TSO", offload.tso), ("USO", offload.uso)]);
        let of_socket = listed(&[("segmentation", socket.segments_per_send > 1), ("GRO", socket.gro)]);
        let local = socket.local;
        let ends = match socket.remote {
            Some(remote) => format!("socket {local} -> {remote}"),
            None => format!("socket {local}, no peer yet"),
        };
        // It is not known if the device was deleted or moved just now.
        let mtu = if *mtu == 0 { String::new() } else { format!("mtu {mtu}, ") };
        format!("attached to {name} ({mtu}offload: {of_device}), {ends} (offload: {of_socket})")
    }

    /// The remedy when full packets of the device do not fit the route to the peer, and are sent in fragments; `None` when they fit.
    #[must_use]
    pub fn advice(&self) -> Option<Advice> {
        let DeviceStats { name, mtu, .. } = &self.device;
        let fits = self.socket.path_mtu?.saturating_sub(outer_overhead(&self.socket.local));
        let drawback = if fits < IPV6_MIN_MTU as usize { " (too small for IPv6 in the tunnel)" } else { "" };
        (*mtu as usize > fits).then(|| Advice {
            text: format!("packets of more than {fits} bytes are sent in fragments; to avoid that{drawback}"),
            command: format!("ip link set {name} mtu {fits}"),
        })
    }

    /// A summary of the tunnel's traffic and drops, line by line.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let Self { device, encap, decap, .. } = self;
        let sent = EncapDrop::ALL.map(EncapDrop::name).into_iter().zip(encap.drops);
        let received = DecapDrop::ALL.map(DecapDrop::name).into_iter().zip(decap.drops);
        let mut lines = vec![
            format!("{} closed after {:.1} s", device.name, self.uptime_ms / 1000.0),
            format!("sent: {}", direction(encap.packets, encap.bytes, encap.dropped(), sent)),
            format!("received: {}", direction(decap.packets, decap.bytes, decap.dropped(), received)),
        ];
        lines.extend(self.queued());
        lines.extend(self.probed());
        for stat in table().filter(|stat| !stat.label.is_empty()) {
            let value = match stat.kind {
                Kind::Counter(read) if read(self) > 0 => quantity(read(self), stat.unit),
                Kind::Errors if !self.socket.errors.is_empty() => {
                    let name =
                        |&(number, count): &(i32, u64)| (format!("{:?}", Errno::from_raw(number)), count);
                    counted(self.socket.errors.iter().map(name))
                }
                _ => continue,
            };
            lines.push(format!("{}: {value}", stat.label));
        }
        lines
    }
}

impl TunnelStats {
    /// How many packets have waited in the queue before the socket, how long, and what became of the others.
    #[expect(clippy::cast_precision_loss, reason = "times in a queue are far below 2^53 µs")]
    fn queued(&self) -> Option<String> {
        let QueueStats { delayed, delay_sum, sojourn_max_ms, .. } = self.queue;
        let dropped = |reason: EncapDrop| self.encap.drops[reason as usize];
        let (by_codel, full) = (dropped(EncapDrop::Queue), dropped(EncapDrop::QueueFull));
        if delayed + by_codel + full == 0 {
            return None;
        }
        let mean = delay_sum as f64 / 1e3 / delayed.max(1) as f64;
        let [mean, longest] = [mean, sojourn_max_ms.unwrap_or(0.0)].map(digits);
        let waited = format!(", {mean} ms on average, {longest} ms at most");
        let waited = if delayed > 0 { waited } else { String::new() };
        let mut parts = vec![format!("waited for the link: {}{waited}", quantity(delayed, "packets"))];
        for (count, why) in [(by_codel, "after waiting too long"), (full, "because the queue was full")] {
            if count > 0 {
                parts.push(format!("{} dropped {why}", grouped(count)));
            }
        }
        Some(parts.join("; "))
    }

    /// What the probe has measured; the times are those of its window.
    fn probed(&self) -> Option<String> {
        let ProbeStats { address, sent, received, lost, rtt_ms, .. } = &self.probe;
        let address = (*address)?;
        let counts =
            format!("{} sent, {} answered, {} lost", grouped(*sent), grouped(*received), grouped(*lost));
        let times =
            [rtt_ms.min, rtt_ms.mean, rtt_ms.p50, rtt_ms.p99, rtt_ms.max].map(|time| time.map(digits));
        let round_trip = match times {
            [Some(min), Some(mean), Some(median), Some(p99), Some(max)] => {
                format!("; round trip min/mean/median/99 %/max {min}/{mean}/{median}/{p99}/{max} ms")
            }
            _ => String::new(),
        };
        Some(format!("probe of {address}: {counts}{round_trip}"))
    }
}

/// Three significant digits: `0.251`, `12.3`, `1500`.
fn digits(ms: f64) -> String {
    let decimals = if ms >= 99.95 {
        0
    } else if ms >= 9.995 {
        1
    } else {
        3
    };
    format!("{ms:.decimals$}")
}

fn direction<'r>(
    packets: u64,
    bytes: u64,
    dropped: u64,
    reasons: impl Iterator<Item = (&'r str, u64)>,
) -> String {
    let drops = match dropped {
        0 => "none dropped".to_owned(),
        sum => format!("{} dropped: {}", grouped(sum), counted(reasons)),
    };
    format!("{}, {}, {drops}", quantity(packets, "packets"), quantity(bytes, "bytes"))
}

/// `1,234 packets`, `1 packet`
fn quantity(count: u64, unit: &str) -> String {
    match (count, unit.strip_suffix("ies"), unit.strip_suffix('s')) {
        (1, Some(start), _) => format!("1 {start}y"),
        (1, None, Some(singular)) => format!("1 {singular}"),
        _ => format!("{} {unit}", grouped(count)),
    }
}

/// `2 malformed, 1 empty`
fn counted<Name: Display>(counts: impl Iterator<Item = (Name, u64)>) -> String {
    let occurred = counts.filter(|(_, count)| *count > 0);
    occurred.map(|(name, count)| format!("{} {name}", grouped(count))).collect::<Vec<_>>().join(", ")
}

/// `1,234,567`
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
}

/// Those that are on: `checksum, TSO`.
fn listed(offload: &[(&str, bool)]) -> String {
    let names: Vec<_> = offload.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{DecapStats, EncapStats, OffloadStats, RttStats, SocketStats, TunnelState};

    fn stats() -> TunnelStats {
        TunnelStats {
            timestamp: 12_345.0,
            opened_at: 0.0,
            uptime_ms: 12_345.0,
            state: TunnelState::Closed,
            device: DeviceStats {
                name: "tun0".to_owned(),
                index: 7,
                mtu: 1500,
                offload: OffloadStats { checksum: true, tso: true, uso: true },
            },
            socket: SocketStats {
                local: "10.0.1.1:9000".parse().unwrap(),
                remote: Some("10.0.1.2:9000".parse().unwrap()),
                path_mtu: Some(1500),
                segments_per_send: 64,
                gro: true,
                receive_buffer: 0,
                send_buffer: 0,
                receive_overflow: 0,
                peer_changes: 0,
                reconnects: 0,
                errors: Vec::new(),
            },
            encap: EncapStats::default(),
            decap: DecapStats::default(),
            queue: QueueStats::default(),
            probe: ProbeStats::default(),
            last_at: None,
        }
    }

    fn advice(device_mtu: u32, path_mtu: Option<usize>, local: &str) -> Option<String> {
        let mut stats = stats();
        stats.device.mtu = device_mtu;
        stats.socket.path_mtu = path_mtu;
        stats.socket.local = local.parse().unwrap();
        stats.advice().map(|advice| advice.to_string())
    }

    #[test]
    fn the_first_line_names_the_device_its_mtu_the_offloads_in_use_and_both_ends() {
        let mut stats = stats();
        assert_eq!(
            stats.attached(),
            "attached to tun0 (mtu 1500, offload: checksum, TSO, USO), \
             socket 10.0.1.1:9000 -> 10.0.1.2:9000 (offload: segmentation, GRO)"
        );
        stats.device.offload = OffloadStats::default();
        (stats.socket.segments_per_send, stats.socket.gro) = (1, false);
        assert_eq!(
            stats.attached(),
            "attached to tun0 (mtu 1500, offload: none), socket 10.0.1.1:9000 -> 10.0.1.2:9000 (offload: none)"
        );
    }

    #[test]
    fn the_mtu_of_a_device_that_has_just_gone_is_left_out() {
        let mut stats = stats();
        stats.device.mtu = 0;
        assert!(stats.attached().starts_with("attached to tun0 (offload: checksum, TSO, USO), socket "));
    }

    #[test]
    fn a_peer_that_is_not_known_yet_is_not_named() {
        let mut stats = stats();
        stats.socket.remote = None;
        assert!(
            stats.attached().contains("), socket 10.0.1.1:9000, no peer yet (offload: "),
            "{}",
            stats.attached()
        );
    }

    #[test]
    fn a_device_mtu_that_does_not_fit_the_route_is_advised_against_with_a_command() {
        let sentence =
            "packets of more than 1472 bytes are sent in fragments; to avoid that: ip link set tun0 mtu 1472";
        assert_eq!(advice(1500, Some(1500), "10.0.1.2:9000").unwrap(), sentence);
        let over_ipv6 = advice(1500, Some(1500), "[fd00::2]:9000").unwrap();
        assert!(over_ipv6.ends_with(": ip link set tun0 mtu 1452"));
    }

    #[test]
    fn a_device_mtu_that_fits_or_a_route_that_is_not_known_needs_no_advice() {
        assert_eq!(advice(1472, Some(1500), "10.0.1.2:9000"), None);
        assert_eq!(advice(1500, None, "10.0.1.2:9000"), None);
    }

    #[test]
    fn an_advised_mtu_that_would_end_ipv6_in_the_tunnel_says_so() {
        let advice = advice(1500, Some(1280), "10.0.1.2:9000").unwrap();
        assert!(
            advice.ends_with("(too small for IPv6 in the tunnel): ip link set tun0 mtu 1252"),
            "{advice}"
        );
    }

    #[test]
    fn the_summary_of_a_tunnel_without_faults_has_packets_and_bytes_of_both_directions() {
        let mut stats = stats();
        (stats.encap.packets, stats.encap.bytes) = (1234, 1_234_567);
        (stats.decap.packets, stats.decap.bytes) = (1, 84);
        assert_eq!(
            stats.summary(),
            [
                "tun0 closed after 12.3 s",
                "sent: 1,234 packets, 1,234,567 bytes, none dropped",
                "received: 1 packet, 84 bytes, none dropped",
            ]
        );
    }

    #[test]
    fn the_summary_gives_drops_by_reason_socket_errors_by_name_fragments_and_overflow() {
        let mut stats = stats();
        stats.socket.errors = vec![(libc::EPERM, 1), (libc::ECONNREFUSED, 2)];
        stats.socket.receive_overflow = 5000;
        stats.encap.fragmented = 9;
        stats.encap.drops[EncapDrop::PeerUnreachable as usize] = 1000;
        stats.encap.drops[EncapDrop::TooBig as usize] = 3;
        stats.decap.drops[DecapDrop::Malformed as usize] = 4;
        assert_eq!(
            stats.summary()[1..],
            [
                "sent: 0 packets, 0 bytes, 1,003 dropped: 1,000 peer-unreachable, 3 too-big",
                "received: 0 packets, 0 bytes, 4 dropped: 4 malformed",
                "sent in fragments: 9 packets",
                "lost to a full receive buffer (at least): 5,000 datagrams",
                "socket errors: 1 EPERM, 2 ECONNREFUSED",
            ]
        );
    }

    #[test]
    fn the_summary_has_what_the_probe_measured() {
        let mut stats = stats();
        stats.probe = ProbeStats {
            address: Some("10.0.2.2".parse().unwrap()),
            sent: 1234,
            received: 1230,
            lost: 3,
            late: 1,
            ..ProbeStats::default()
        };
        let counts = "probe of 10.0.2.2: 1,234 sent, 1,230 answered, 3 lost";
        assert_eq!(stats.summary()[3..], [counts, "late or duplicate probe replies: 1 reply"]);
        let [min, mean, p50, p99, max] = [0.2514, 9.999, 12.25, 150.4, 1500.0].map(Some);
        stats.probe.rtt_ms = RttStats { last: min, min, mean, p50, p99, max };
        let round_trip = "; round trip min/mean/median/99 %/max 0.251/10.0/12.2/150/1500 ms";
        assert_eq!(stats.summary()[3], format!("{counts}{round_trip}"));
    }

    #[test]
    fn the_summary_has_how_long_packets_waited_and_what_the_queue_dropped() {
        let mut stats = stats();
        stats.queue = QueueStats {
            delayed: 12_345,
            delay_sum: 12_345 * 5_200,
            sojourn_max_ms: Some(66.54),
            marked: 2,
            ..QueueStats::default()
        };
        let waited = "waited for the link: 12,345 packets, 5.200 ms on average, 66.5 ms at most";
        assert_eq!(stats.summary()[3..], [waited, "marked by the queue (CE): 2 packets"]);
        stats.encap.drops[EncapDrop::Queue as usize] = 1000;
        stats.encap.drops[EncapDrop::QueueFull as usize] = 1;
        let dropped = "; 1,000 dropped after waiting too long; 1 dropped because the queue was full";
        assert_eq!(stats.summary()[3], format!("{waited}{dropped}"));
    }

    #[test]
    fn digits_are_grouped_by_three() {
        let numbers = [0, 999, 1000, 1_234_567, 12_345_678];
        assert_eq!(numbers.map(grouped), ["0", "999", "1,000", "1,234,567", "12,345,678"]);
    }
}
