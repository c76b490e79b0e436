//! Lowers the MSS option of TCP SYNs, so that both ends send segments that fit the tunnel.

use crate::bytes::{be16, put};
use crate::checksum;
use crate::ip::{self, Fragment, IPV4_HEADER_LEN, IPV6_HEADER_LEN, Version};
use crate::tcp::{self, flag, option};

/// No MSS is lowered further, because Linux sends no smaller segments whatever it is asked for
/// (`TCP_MIN_SND_MSS` in include/net/tcp.h).
const MIN_MSS: usize = 48;

/// Whether `packet` is a TCP SYN or SYN-ACK, the only packets that [`clamp_mss`] changes. Cheap for all others.
#[must_use]
pub fn is_tcp_syn(packet: &[u8]) -> bool {
    find_syn(packet).is_some()
}

/// Lowers the MSS option of a TCP SYN or SYN-ACK so that segments fit packets of `inner_mtu` bytes. Never raises it.
/// Returns whether the packet has changed. All other packets stay as they are.
///
/// The checksum must be complete (see [`Segments::new`](crate::Segments::new)). It is adjusted, not computed, so a
/// wrong one stays wrong. Super-packets are not for this: theirs is not complete, and
/// [`Segments`](crate::Segments) has already summed their options.
pub fn clamp_mss(packet: &mut [u8], inner_mtu: usize) -> bool {
    let Some((version, transport)) = find_syn(packet) else { return false };
    let Some(segment) = packet.get_mut(transport..) else { return false };
    let ip_header_len = match version {
        Version::V4 => IPV4_HEADER_LEN,
        Version::V6 => IPV6_HEADER_LEN,
    };
    // The MSS counts neither IP options nor TCP options: the sender takes those off itself (RFC 9293 section 3.7.1).
    let room = inner_mtu.saturating_sub(ip_header_len + tcp::MIN_HEADER_LEN).max(MIN_MSS);
    let Ok(mss) = u16::try_from(room) else { return false };
    let header_len = segment.get(tcp::field::DATA_OFFSET).map_or(0, |offset| usize::from(offset >> 4) * 4);
    segment.get_mut(..header_len).is_some_and(|header| lower_mss_options(header, mss))
}

/// The IP version of a packet with a TCP header with SYN, and where that header begins.
fn find_syn(packet: &[u8]) -> Option<(Version, usize)> {
    let found = ip::transport(packet)?;
    if found.protocol != ip::TCP || found.fragment == Fragment::Later {
        return None;
    }
    let flags = packet.get(found.offset + tcp::field::FLAGS)?;
    (flags & flag::SYN != 0).then_some((found.version, found.offset))
}

/// Lowers each MSS option in a TCP header: there should be one, but of several each system may choose another.
fn lower_mss_options(header: &mut [u8], mss: u16) -> bool {
    let mut changed = false;
    let mut at = tcp::MIN_HEADER_LEN;
    loop {
        at += match *header.get(at..).unwrap_or_default() {
            [] | [option::END, ..] => return changed,
            [option::NO_OPERATION, ..] => 1,
            [option::MSS, option::MSS_LEN, high, low, ..] => {
                let old = u16::from_be_bytes([high, low]);
                if mss < old {
                    replace(header, at + 2, old, mss);
                    changed = true;
                }
                usize::from(option::MSS_LEN)
            }
            [_, len, ..] if len >= 2 => usize::from(len),
            [_, ..] => return changed,
        };
    }
}

/// Replaces the 16 bits at `at`, and adjusts the TCP checksum: HC' = ~(~HC + ~m + m') (RFC 1624 section 3).
fn replace(header: &mut [u8], at: usize, old: u16, new: u16) {
    let Some(checksum) = be16(header, tcp::field::CHECKSUM) else { return };
    // Options are not aligned. At an odd offset the two bytes belong to two words of the sum, which comes to the same
    // as one word with its bytes swapped.
    let (m, m_new) = if at.is_multiple_of(2) { (old, new) } else { (old.swap_bytes(), new.swap_bytes()) };
    let sum = u64::from(!checksum) + u64::from(!m) + u64::from(m_new);
    put(header, tcp::field::CHECKSUM, checksum::finish(sum).to_be_bytes());
    put(header, at, new.to_be_bytes());
}
