//! Packet sizes that fit the tunnel: the length of the outer headers, and the MSS of TCP connections.

use std::net::SocketAddr;

use crate::checksum;
use crate::packet::{IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpPacket, TCP_HEADER_LEN, Version};

/// Bytes added to each packet by outer IPv4 (20) and UDP (8).
pub const OUTER_OVERHEAD_IPV4: usize = 28;

/// Bytes added to each packet by outer IPv6 (40) and UDP (8).
pub const OUTER_OVERHEAD_IPV6: usize = 48;

/// No MSS is lowered further, because Linux never sends smaller segments
/// (`TCP_MIN_SND_MSS` in include/net/tcp.h).
const MIN_MSS: usize = 48;

/// Kinds of TCP options (RFC 9293 section 3.2).
mod option {
    pub(super) const END: u8 = 0;
    pub(super) const NO_OPERATION: u8 = 1;
    pub(super) const MSS: u8 = 2;
    /// Kind, length, and 16 bits.
    pub(super) const MSS_LEN: u8 = 4;
}

/// Bytes added to each packet on the way to `remote`.
///
/// An IPv4-mapped IPv6 address counts as IPv4, because the kernel sends IPv4.
#[must_use]
pub const fn outer_overhead(remote: &SocketAddr) -> usize {
    match remote {
        SocketAddr::V4(_) => OUTER_OVERHEAD_IPV4,
        SocketAddr::V6(address) if address.ip().to_ipv4_mapped().is_some() => OUTER_OVERHEAD_IPV4,
        SocketAddr::V6(_) => OUTER_OVERHEAD_IPV6,
    }
}

/// Lowers the MSS option of a TCP SYN or SYN-ACK so that segments fit packets of `inner_mtu` bytes. Never raises it.
/// Returns whether the packet has changed. All other packets stay as they are.
///
/// The checksum must be complete (see [`Segments::new`](crate::Segments::new)). It is adjusted, not computed, so a
/// wrong one stays wrong. Super-packets must not be clamped: their checksum is not complete, and
/// [`Segments`](crate::Segments) has already summed their options.
pub fn clamp_mss(packet: &mut IpPacket<&mut [u8]>, inner_mtu: usize) -> bool {
    if !packet.is_tcp_syn() {
        return false;
    }
    let ip_header_len = match packet.version() {
        Version::V4 => IPV4_HEADER_LEN,
        Version::V6 => IPV6_HEADER_LEN,
    };
    // The MSS counts neither IP options nor TCP options: the sender subtracts those itself (RFC 9293 section 3.7.1).
    let room = inner_mtu.saturating_sub(ip_header_len + TCP_HEADER_LEN).max(MIN_MSS);
    let Ok(mss) = u16::try_from(room) else { return false };
    lower_mss_options(packet, mss).unwrap_or(false)
}

/// Lowers each MSS option in the TCP header: there should be only one, but of several, systems may use different ones.
/// `None` if the packet has no complete TCP header.
fn lower_mss_options(packet: &mut IpPacket<&mut [u8]>, mss: u16) -> Option<bool> {
    let transport = packet.transport()?;
    let (_, bytes) = packet.bytes_mut().split_at_mut_checked(transport.offset())?;
    let header = bytes.get_mut(..transport.header_len()?)?;
    let (fixed, options) = header.split_first_chunk_mut::<TCP_HEADER_LEN>()?;
    let mut changed = false;
    let mut at = 0;
    while let Some(option) = options.get_mut(at..) {
        at += match option {
            [] | [option::END, ..] => break,
            [option::NO_OPERATION, ..] => 1,
            [option::MSS, option::MSS_LEN, high, low, ..] => {
                let old = u16::from_be_bytes([*high, *low]);
                if mss < old {
                    [*high, *low] = mss.to_be_bytes();
                    // Options are not aligned. At an odd offset the two bytes belong to two words of the sum, which is
                    // the same as one word with its bytes swapped.
                    let swapped = !at.is_multiple_of(2);
                    adjust_checksum(
                        fixed,
                        if swapped { [old, mss].map(u16::swap_bytes) } else { [old, mss] },
                    );
                    changed = true;
                }
                usize::from(option::MSS_LEN)
            }
            [_, len, ..] if *len >= 2 => usize::from(*len),
            [_, ..] => break,
        };
    }
    Some(changed)
}

/// Adjusts the TCP checksum to a changed word.
fn adjust_checksum(header: &mut [u8; TCP_HEADER_LEN], words: [u16; 2]) {
    let checksum = u16::from_be_bytes([header[16], header[17]]);
    [header[16], header[17]] = checksum::adjusted(checksum, words).to_be_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_headers_are_counted_by_the_family_on_the_wire() {
        assert_eq!(outer_overhead(&"192.0.2.1:8000".parse().unwrap()), 28);
        assert_eq!(outer_overhead(&"[2001:db8::1]:8000".parse().unwrap()), 48);
        assert_eq!(outer_overhead(&"[::ffff:192.0.2.1]:8000".parse().unwrap()), 28);
    }
}
