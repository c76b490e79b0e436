//! What becomes of a packet that does not fit the path: fragments, or an ICMP message to its sender with the MTU that fits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::checksum;
use crate::packet::{Fragment, IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpPacket, Version};

/// Longest message, bytes: what every IPv6 link carries (RFC 4443, section 2.4 (c)).
pub const MAX_TOO_BIG_LEN: usize = IPV6_MIN_MTU;

/// Every IPv6 link carries packets of this length (RFC 8200, section 5), so no sender has to send shorter ones.
const IPV6_MIN_MTU: usize = 1280;

/// Longest message in IPv4, bytes (RFC 1812, section 4.3.2.3).
const MAX_LEN_IPV4: usize = 576;

/// Type, code, checksum, and the field that carries the MTU.
const ICMP_HEADER_LEN: usize = 8;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Whether a packet of `len` bytes that does not fit the path is dropped and its sender told so, as a router does. Otherwise it travels in
/// fragments: an IPv4 packet without the DF bit, an IPv6 packet that every link must carry, and one about which no ICMP message may be
/// sent (RFC 1812, section 4.3.2.7; RFC 4443, section 2.4 (e)), so that its sender would never learn why it is lost.
///
/// `packet` is the one that was read, of which packets of `len` bytes may be cut.
#[must_use]
pub fn must_not_be_fragmented<Bytes: std::ops::Deref<Target = [u8]>>(
    packet: &IpPacket<Bytes>,
    len: usize,
) -> bool {
    let binds = match packet.version() {
        Version::V4 => packet.field(6).is_some_and(|[flags]| flags & DONT_FRAGMENT != 0),
        Version::V6 => len > IPV6_MIN_MTU,
    };
    binds && may_be_answered(packet)
}

const DONT_FRAGMENT: u8 = 0x40;

fn may_be_answered<Bytes: std::ops::Deref<Target = [u8]>>(packet: &IpPacket<Bytes>) -> bool {
    let (Some(source), Some(destination), Some(transport)) =
        (packet.source(), packet.destination(), packet.transport())
    else {
        return false;
    };
    let is_error = match (transport.protocol(), packet.field(transport.offset())) {
        (ICMP, Some([kind])) => is_icmp_error(kind),
        (ICMPV6, Some([kind])) => is_icmpv6_error(kind),
        _ => false,
    };
    transport.fragment() != Fragment::Later && !is_error && is_host(source) && is_host(destination)
}

/// Destination unreachable, source quench, redirect, time exceeded, parameter problem (RFC 1122, section 3.2.2).
fn is_icmp_error(kind: u8) -> bool {
    matches!(kind, 3 | 4 | 5 | 11 | 12)
}

/// All up to 127, and redirect (RFC 4443, section 2.4 (e)).
fn is_icmpv6_error(kind: u8) -> bool {
    const REDIRECT: u8 = 137;
    kind < 128 || kind == REDIRECT
}

/// Whether it is the address of a single host elsewhere than on the loopback interface.
fn is_host(ip: IpAddr) -> bool {
    match ip {
        // 0.0.0.0/8 is "this network", 240.0.0.0/4 includes the broadcast address (RFC 1122, section 3.2.1.3).
        IpAddr::V4(ip) => !matches!(ip.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast(),
    }
}

/// An ICMP message "fragmentation needed" (RFC 792, RFC 1191) or ICMPv6 message "packet too big" (RFC 4443).
#[derive(Clone, Copy, Debug)]
pub struct TooBig<'p> {
    /// The quoted packet, in two pieces.
    header: &'p [u8],
    payload: &'p [u8],
    mtu: usize,
    sender: IpAddr,
    destination: IpAddr,
}

impl<'p> TooBig<'p> {
    /// About a packet that [must not be fragmented](must_not_be_fragmented), given as a beginning and the rest. `mtu`: the longest packet
    /// that fits, bytes. `None` without an IP header.
    #[must_use]
    pub fn new(header: &'p [u8], payload: &'p [u8], mtu: usize) -> Option<Self> {
        let start = if header.is_empty() { payload } else { header };
        let (sender, destination): (IpAddr, IpAddr) = match start.first()? >> 4 {
            4 => (address::<4>(start, 12)?.into(), address::<4>(start, 16)?.into()),
            6 => (address::<16>(start, 8)?.into(), address::<16>(start, 24)?.into()),
            _ => return None,
        };
        let mtu = if sender.is_ipv6() { mtu.max(IPV6_MIN_MTU) } else { mtu };
        Some(Self { header, payload, mtu, sender, destination })
    }

    /// To whom the message goes: the sender of the packet.
    #[must_use]
    pub fn sender(&self) -> IpAddr {
        self.sender
    }

    /// Where the packet was to go.
    #[must_use]
    pub fn destination(&self) -> IpAddr {
        self.destination
    }

    /// Writes the message, a whole IP packet from `source` (of the sender's family), to `buffer` and returns it. It quotes as much of
    /// the packet as fits.
    #[must_use]
    pub fn write<'b>(&self, source: IpAddr, buffer: &'b mut [u8; MAX_TOO_BIG_LEN]) -> Option<&'b [u8]> {
        match (source, self.sender) {
            (IpAddr::V4(source), IpAddr::V4(sender)) => self.write_v4(source, sender, buffer),
            (IpAddr::V6(source), IpAddr::V6(sender)) => self.write_v6(source, sender, buffer),
            _ => None,
        }
    }

    fn write_v4<'b>(&self, source: Ipv4Addr, sender: Ipv4Addr, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        const UNREACHABLE: u8 = 3;
        const FRAGMENTATION_NEEDED: u8 = 4;
        // The precedence of network control (RFC 1812, section 4.3.2.5), as the kernel's own.
        const TOS: u8 = 0xC0;
        let quoted = IPV4_HEADER_LEN + ICMP_HEADER_LEN;
        let len = quoted + self.quote(buffer.get_mut(quoted..MAX_LEN_IPV4)?);
        let (header, icmp) = buffer.get_mut(..len)?.split_first_chunk_mut::<IPV4_HEADER_LEN>()?;
        let [len_high, len_low] = (len as u16).to_be_bytes();
        let [s0, s1, s2, s3] = source.octets();
        let [d0, d1, d2, d3] = sender.octets();
        *header =
            [0x45, TOS, len_high, len_low, 0, 0, 0, 0, HOP_LIMIT, ICMP, 0, 0, s0, s1, s2, s3, d0, d1, d2, d3];
        let [high, low] = checksum::finish(checksum::sum(header)).to_be_bytes();
        [header[10], header[11]] = [high, low];
        let [mtu_high, mtu_low] = u16::try_from(self.mtu).unwrap_or(u16::MAX).to_be_bytes();
        let icmp_header: &mut [u8; ICMP_HEADER_LEN] = icmp.first_chunk_mut()?;
        *icmp_header = [UNREACHABLE, FRAGMENTATION_NEEDED, 0, 0, 0, 0, mtu_high, mtu_low];
        let [high, low] = checksum::finish(checksum::sum(icmp)).to_be_bytes();
        icmp.get_mut(2..4)?.copy_from_slice(&[high, low]);
        buffer.get(..len)
    }

    fn write_v6<'b>(&self, source: Ipv6Addr, sender: Ipv6Addr, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        const PACKET_TOO_BIG: u8 = 2;
        let quoted = IPV6_HEADER_LEN + ICMP_HEADER_LEN;
        let len = quoted + self.quote(buffer.get_mut(quoted..)?);
        let (header, icmp) = buffer.get_mut(..len)?.split_first_chunk_mut::<IPV6_HEADER_LEN>()?;
        let icmp_len = icmp.len() as u16;
        *header = [0; IPV6_HEADER_LEN];
        header[0] = 0x60;
        header[4..6].copy_from_slice(&icmp_len.to_be_bytes());
        [header[6], header[7]] = [ICMPV6, HOP_LIMIT];
        header[8..24].copy_from_slice(&source.octets());
        header[24..40].copy_from_slice(&sender.octets());
        let [m0, m1, m2, m3] = u32::try_from(self.mtu).unwrap_or(u32::MAX).to_be_bytes();
        let icmp_header: &mut [u8; ICMP_HEADER_LEN] = icmp.first_chunk_mut()?;
        *icmp_header = [PACKET_TOO_BIG, 0, 0, 0, m0, m1, m2, m3];
        // The checksum covers a pseudo header (RFC 8200, section 8.1).
        let pseudo_header = checksum::sum(&header[8..]) + u64::from(icmp_len) + u64::from(ICMPV6);
        let [high, low] = checksum::finish(checksum::sum(icmp) + pseudo_header).to_be_bytes();
        icmp.get_mut(2..4)?.copy_from_slice(&[high, low]);
        buffer.get(..len)
    }

    /// Copies as much of the packet as `room` takes, and returns how much that was.
    fn quote(&self, room: &mut [u8]) -> usize {
        let mut used = 0;
        for piece in [self.header, self.payload] {
            let taken = piece.len().min(room.len() - used);
            room[used..used + taken].copy_from_slice(&piece[..taken]);
            used += taken;
        }
        used
    }
}

const HOP_LIMIT: u8 = 64;

fn address<const N: usize>(start: &[u8], at: usize) -> Option<[u8; N]> {
    start.get(at..)?.first_chunk().copied()
}
