//! Packets as they pass, one a line.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use ttun_core::{Direction, PacketTap, TapOptions, TappedPacket, grouped};

use crate::say;

/// Few, so that bulk traffic costs nothing; of each the IP header.
pub(crate) const SHARE: TapOptions =
    TapOptions { snap_length: 40, capacity: 64, packets_per_second: Some(10), direction: None };

/// Prints what has passed. Nothing is watched any more when nobody reads it.
pub(crate) fn print(tap: PacketTap) -> Option<PacketTap> {
    let tapped = tap.take();
    let lines: String = tapped.packets.iter().map(line).collect();
    if io::stdout().write_all(lines.as_bytes()).is_err() {
        say(&["standard output was closed; packets are no longer printed, the tunnel continues"]);
        return None;
    }
    if tapped.left_out > 0 {
        say(&[format!("{} more packets", grouped(tapped.left_out))]);
    }
    Some(tap)
}

fn line(TappedPacket { direction, data, len, .. }: &TappedPacket) -> String {
    let way = if *direction == Direction::Outbound { "Out" } else { "In " };
    format!("{way} {}, length {len}\n", ipv4(data).or_else(|| ipv6(data)).unwrap_or_default())
}

/// RFC 791, section 3.1.
fn ipv4(data: &[u8]) -> Option<String> {
    let [0x40..0x50, .., protocol, _, _, s1, s2, s3, s4, d1, d2, d3, d4] = data.first_chunk::<20>()? else {
        return None;
    };
    let [source, destination] =
        [[s1, s2, s3, s4], [d1, d2, d3, d4]].map(|bytes| Ipv4Addr::from(bytes.map(|b| *b)));
    Some(format!("IP {source} > {destination}: protocol {protocol}"))
}

/// RFC 8200, section 3.
fn ipv6(data: &[u8]) -> Option<String> {
    let ([0x60..0x70, _, _, _, _, _, protocol, _], addresses) = data.split_first_chunk::<8>()? else {
        return None;
    };
    let [source, destination] =
        [addresses.first_chunk::<16>()?, addresses.last_chunk::<16>()?].map(|b| Ipv6Addr::from(*b));
    Some(format!("IP6 {source} > {destination}: protocol {protocol}"))
}
