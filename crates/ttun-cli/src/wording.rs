//! The sentences of the Node program; a test compares them.

use nix::errno::Errno;
use ttun_core::{DecapDrop, DeviceStats, EncapDrop, TunnelStats};
use ttun_link::IPV6_MIN_MTU;
use ttun_packet::outer_overhead;

/// What it is attached to, and what to type when full packets do not fit the route to the peer.
pub(crate) fn beginning(TunnelStats { device, socket, .. }: &TunnelStats) -> Vec<String> {
    let DeviceStats { name, mtu, offload, .. } = device;
    let of_device = listed(&[("checksum", offload.checksum), ("TSO", offload.tso), ("USO", offload.uso)]);
    let of_socket = listed(&[("segmentation", socket.segments_per_send > 1), ("GRO", socket.gro)]);
    let (mtu, local, remote) = (*mtu as usize, socket.local, socket.remote);
    let mut lines = vec![format!(
        "attached to {name} (mtu {mtu}, offload: {of_device}), socket {local} -> {remote} (offload: {of_socket})"
    )];
    let fits = socket.path_mtu.map_or(mtu, |path| path.saturating_sub(outer_overhead(&remote)));
    if mtu > fits {
        let drawback = if fits < IPV6_MIN_MTU as usize { " (too small for IPv6 in the tunnel)" } else { "" };
        let advice = format!("ip link set {name} mtu {fits}{drawback}");
        lines.push(format!("packets of more than {fits} bytes travel in fragments; to avoid that: {advice}"));
    }
    lines
}

/// What the tunnel carried, and what it did not.
pub(crate) fn summary(
    TunnelStats { device, socket, encap, decap, uptime_ms, .. }: &TunnelStats,
) -> Vec<String> {
    let out: Vec<_> =
        EncapDrop::ALL.map(|reason| reason.name().to_owned()).into_iter().zip(encap.drops).collect();
    let back: Vec<_> =
        DecapDrop::ALL.map(|reason| reason.name().to_owned()).into_iter().zip(decap.drops).collect();
    let mut lines = vec![
        format!("{} closed after {:.1} s", device.name, uptime_ms / 1000.0),
        format!("out: {}", direction(encap.packets, encap.bytes, &out)),
        format!("in: {}", direction(decap.packets, decap.bytes, &back)),
    ];
    if encap.fragmented > 0 {
        lines.push(format!("{} packets left in fragments", grouped(encap.fragmented)));
    }
    let name = |(number, count): &(i32, u64)| (format!("{:?}", Errno::from_raw(*number)), *count);
    let errors: Vec<_> = socket.errors.iter().map(name).collect();
    if !errors.is_empty() {
        lines.push(format!("socket errors: {}", counted(&errors)));
    }
    if socket.receive_overflow > 0 {
        let count = grouped(socket.receive_overflow.into());
        lines.push(format!("lost to a full receive buffer: at least {count} datagrams"));
    }
    lines
}

fn direction(packets: u64, bytes: u64, drops: &[(String, u64)]) -> String {
    let dropped = match drops.iter().map(|(_, count)| count).sum() {
        0 => "none dropped".to_owned(),
        sum => format!("{} dropped: {}", grouped(sum), counted(drops)),
    };
    format!("{} packets, {} bytes, {dropped}", grouped(packets), grouped(bytes))
}

/// `2 malformed, 1 empty`
fn counted(counts: &[(String, u64)]) -> String {
    let told = counts.iter().filter(|(_, count)| *count > 0);
    told.map(|(name, count)| format!("{} {name}", grouped(*count))).collect::<Vec<_>>().join(", ")
}

/// `1,234,567`
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
}

/// What there is of several: `checksum, TSO`.
fn listed(offload: &[(&str, bool)]) -> String {
    let names: Vec<_> = offload.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
