//! A checked view of an IP packet.
//!
//! The headers of each packet are read once, in [`IpPacket::parse`]. The source filter, the routing-loop check, the MSS
//! clamp, segmentation and coalescing take the view and never search for a header again.

use std::net::IpAddr;
use std::ops::Deref;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

pub(crate) const IPV4_HEADER_LEN: usize = 20;
pub(crate) const IPV6_HEADER_LEN: usize = 40;
/// Without options; with all of them it is [`TCP_MAX_HEADER_LEN`].
pub(crate) const TCP_HEADER_LEN: usize = 20;
pub(crate) const TCP_MAX_HEADER_LEN: usize = 60;
pub(crate) const UDP_HEADER_LEN: usize = 8;

/// Bits of byte 13 of the TCP header (RFC 9293 section 3.1; CWR: RFC 3168).
pub(crate) mod tcp_flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
    pub(crate) const CWR: u8 = 0x80;
}

/// IPv6 extension headers that can precede TCP or UDP. Others (AH, ESP) protect what follows them, so they count as
/// the transport protocol.
mod extension {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const DESTINATION_OPTIONS: u8 = 60;
}

/// An IP packet whose headers have been read and checked.
///
/// `Bytes` is `&[u8]` or `&mut [u8]`: exactly the packet, without anything that followed it.
#[derive(Clone, Copy, Debug)]
pub struct IpPacket<Bytes> {
    bytes: Bytes,
    version: Version,
    transport: Option<Transport>,
}

/// Why bytes are not an IP packet that can be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// There are no bytes.
    #[error("empty packet")]
    Empty,
    /// Not an IPv4 or IPv6 packet, or not all of it; or its virtio-net header does not fit it.
    #[error("malformed IP packet")]
    Malformed,
}

/// The IP version of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What follows the IP headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// IP protocol number.
    pub protocol: u8,
    /// Where it begins, bytes from the start of the packet; at most the packet's length.
    pub offset: usize,
    /// Length of the transport header, bytes; `None` unless it is a TCP or UDP header that is all in this packet.
    pub header_len: Option<u8>,
    /// Which part of a fragmented packet this is.
    pub fragment: Fragment,
    /// The IP header's destination is only the next hop of a source route, so it is not the one in the pseudo header
    /// of the transport checksum (RFC 8200 section 8.1).
    pub source_routed: bool,
}

/// Which part of a fragmented packet a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// Not a fragment.
    Whole,
    /// The first of several, with the transport header.
    First,
    /// Any other, without a transport header.
    Later,
}

impl<'p> IpPacket<&'p [u8]> {
    /// Reads and checks the headers of the packet at the start of `bytes`. What follows the packet is not part of the
    /// view, as an IP receiver ignores it too (RFC 1122 section 3.2.1).
    ///
    /// A broken chain of IPv6 extension headers and a transport header that is cut short are no errors: such packets
    /// are forwarded, but the view has no [`transport`](Self::transport), or no
    /// [`header_len`](Transport::header_len).
    ///
    /// # Errors
    /// [`Invalid::Empty`] without bytes. [`Invalid::Malformed`] when the version is neither 4 nor 6, the IP header is
    /// cut short or shorter than allowed, or the length it gives is shorter than itself or longer than `bytes`.
    #[inline]
    pub fn parse(bytes: &'p [u8]) -> Result<Self, Invalid> {
        let len = packet_len(bytes).ok_or_else(|| invalid(bytes))?;
        let bytes = bytes.get(..len).ok_or(Invalid::Malformed)?;
        let (version, transport) = read_headers(bytes).ok_or(Invalid::Malformed)?;
        Ok(Self { bytes, version, transport })
    }

    /// The bytes of the packet.
    #[must_use]
    pub fn bytes(&self) -> &'p [u8] {
        self.bytes
    }
}

impl<'p> IpPacket<&'p mut [u8]> {
    /// [`parse`](IpPacket::parse), for a packet that may be changed.
    ///
    /// # Errors
    /// As `parse`.
    #[inline]
    pub fn parse_mut(bytes: &'p mut [u8]) -> Result<Self, Invalid> {
        let len = packet_len(bytes).ok_or_else(|| invalid(bytes))?;
        let bytes = bytes.get_mut(..len).ok_or(Invalid::Malformed)?;
        let (version, transport) = read_headers(bytes).ok_or(Invalid::Malformed)?;
        Ok(Self { bytes, version, transport })
    }

    /// The same packet, not to be changed any more.
    #[must_use]
    #[inline]
    pub fn into_shared(self) -> IpPacket<&'p [u8]> {
        IpPacket { bytes: self.bytes, version: self.version, transport: self.transport }
    }

    /// The bytes of the packet. Whoever changes them keeps the headers as the view has them.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }
}

impl<Bytes: Deref<Target = [u8]>> IpPacket<Bytes> {
    /// The IP version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The source address. A packet always has one; those who decide by it refuse one without.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        match self.version {
            Version::V4 => self.field(12).map(<[u8; 4]>::into),
            Version::V6 => self.field(8).map(<[u8; 16]>::into),
        }
    }

    /// The destination address in the IP header. A packet always has one.
    #[must_use]
    pub fn destination(&self) -> Option<IpAddr> {
        match self.version {
            Version::V4 => self.field(16).map(<[u8; 4]>::into),
            Version::V6 => self.field(24).map(<[u8; 16]>::into),
        }
    }

    /// What follows IPv4 options or IPv6 extension headers; `None` where those are broken.
    #[must_use]
    pub fn transport(&self) -> Option<&Transport> {
        self.transport.as_ref()
    }

    /// Source and destination port of TCP and UDP, if both are in this packet.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        let transport = self.transport()?;
        let has_ports = matches!(transport.protocol, TCP | UDP) && transport.fragment != Fragment::Later;
        let [s0, s1, d0, d1] = self.field(transport.offset).filter(|_| has_ports)?;
        Some((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])))
    }

    /// Whether it is a TCP SYN or SYN-ACK.
    #[must_use]
    pub fn is_tcp_syn(&self) -> bool {
        self.transport().is_some_and(|transport| {
            transport.protocol == TCP
                && transport.fragment != Fragment::Later
                && self.field(transport.offset + 13).is_some_and(|[flags]| flags & tcp_flag::SYN != 0)
        })
    }

    fn field<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }
}

fn invalid(bytes: &[u8]) -> Invalid {
    if bytes.is_empty() { Invalid::Empty } else { Invalid::Malformed }
}

fn version(bytes: &[u8]) -> Option<Version> {
    match bytes.first()? >> 4 {
        4 => Some(Version::V4),
        6 => Some(Version::V6),
        _ => None,
    }
}

/// The length of the packet at the start of `bytes`, at most their own, if its IP header is valid and all of the packet
/// is there.
#[inline]
pub(crate) fn packet_len(bytes: &[u8]) -> Option<usize> {
    let len = match version(bytes)? {
        Version::V4 => {
            let header: &[u8; IPV4_HEADER_LEN] = bytes.first_chunk()?;
            let header_len = usize::from(header[0] & 0x0F) * 4;
            let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
            if header_len < IPV4_HEADER_LEN || len < header_len {
                return None;
            }
            len
        }
        Version::V6 => {
            let header: &[u8; IPV6_HEADER_LEN] = bytes.first_chunk()?;
            let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
            // A length of zero before hop-by-hop options is a jumbogram (RFC 2675), longer than a datagram can be,
            // or the options are missing. Before anything else it is just an empty packet.
            if payload_len == 0 && header[6] == extension::HOP_BY_HOP {
                return None;
            }
            IPV6_HEADER_LEN + payload_len
        }
    };
    (len <= bytes.len()).then_some(len)
}

/// `packet` ends where its IP header says.
#[inline]
fn read_headers(packet: &[u8]) -> Option<(Version, Option<Transport>)> {
    let version = version(packet)?;
    let transport = match version {
        Version::V4 => transport_v4(packet),
        Version::V6 => transport_v6(packet),
    };
    Some((version, transport))
}

#[inline]
fn transport_v4(packet: &[u8]) -> Option<Transport> {
    const MORE_FRAGMENTS: u16 = 0x2000;
    const FRAGMENT_OFFSET: u16 = 0x1FFF;
    let header: &[u8; IPV4_HEADER_LEN] = packet.first_chunk()?;
    let offset = usize::from(header[0] & 0x0F) * 4;
    let options = packet.get(IPV4_HEADER_LEN..offset)?;
    let flags_and_offset = u16::from_be_bytes([header[6], header[7]]);
    let fragment = if flags_and_offset & FRAGMENT_OFFSET != 0 {
        Fragment::Later
    } else if flags_and_offset & MORE_FRAGMENTS != 0 {
        Fragment::First
    } else {
        Fragment::Whole
    };
    Transport::read(packet, header[9], offset, fragment, has_unfinished_source_route(options))
}

/// Whether IPv4 options hold a loose or strict source route that is not at its end (RFC 791 section 3.1).
fn has_unfinished_source_route(mut options: &[u8]) -> bool {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const LOOSE_SOURCE_ROUTE: u8 = 131;
    const STRICT_SOURCE_ROUTE: u8 = 137;
    loop {
        let len = match *options {
            [] | [END, ..] => return false,
            [NO_OPERATION, ..] => 1,
            [LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE, len, pointer, ..] if pointer < len => return true,
            [_, len, ..] if len >= 2 => usize::from(len),
            [_, ..] => return false,
        };
        let Some((_, rest)) = options.split_at_checked(len) else { return false };
        options = rest;
    }
}

/// Finds the transport header after the extension headers; `None` where one of those is cut short.
fn transport_v6(packet: &[u8]) -> Option<Transport> {
    let header: &[u8; IPV6_HEADER_LEN] = packet.first_chunk()?;
    let mut protocol = header[6];
    let mut offset = IPV6_HEADER_LEN;
    let mut fragment = Fragment::Whole;
    let mut source_routed = false;
    // Each header is at least eight bytes long, so the walk ends with the packet.
    loop {
        let rest = packet.get(offset..)?;
        match protocol {
            extension::HOP_BY_HOP | extension::DESTINATION_OPTIONS => {}
            extension::ROUTING => source_routed |= *rest.get(3)? != 0,
            extension::FRAGMENT => {
                let header: &[u8; 8] = rest.first_chunk()?;
                protocol = header[0];
                offset += header.len();
                if u16::from_be_bytes([header[2], header[3]]) & 0xFFF8 != 0 {
                    return Transport::read(packet, protocol, offset, Fragment::Later, source_routed);
                }
                // An atomic fragment (RFC 6946), the first and the last one, does not count as whole: it can't be
                // segmented or coalesced either.
                fragment = Fragment::First;
                continue;
            }
            _ => return Transport::read(packet, protocol, offset, fragment, source_routed),
        }
        let &[next, len, ..] = rest else { return None };
        protocol = next;
        offset += (usize::from(len) + 1) * 8;
    }
}

impl Transport {
    #[inline]
    fn read(
        packet: &[u8],
        protocol: u8,
        offset: usize,
        fragment: Fragment,
        source_routed: bool,
    ) -> Option<Self> {
        let bytes = packet.get(offset..)?;
        let header_len = match protocol {
            _ if fragment == Fragment::Later => None,
            TCP => bytes
                .get(12)
                .map(|data_offset| (data_offset >> 4) * 4)
                .filter(|len| usize::from(*len) >= TCP_HEADER_LEN),
            UDP => Some(UDP_HEADER_LEN as u8),
            _ => None,
        };
        let header_len = header_len.filter(|len| usize::from(*len) <= bytes.len());
        Some(Self { protocol, offset, header_len, fragment, source_routed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The length of the packet at the start of `bytes`.
    fn parsed_len(bytes: &[u8]) -> Result<usize, Invalid> {
        let mut copy = bytes.to_vec();
        let len = IpPacket::parse(bytes).map(|packet| packet.bytes().len());
        assert_eq!(IpPacket::parse_mut(&mut copy).map(|packet| packet.into_shared().bytes().len()), len);
        len
    }

    fn ipv4(header_words: u8, total_len: u16, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        bytes[0] = 0x40 | header_words;
        bytes[2..4].copy_from_slice(&total_len.to_be_bytes());
        bytes
    }

    fn ipv6(next_header: u8, payload_len: u16, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        bytes[0] = 0x60;
        bytes[4..6].copy_from_slice(&payload_len.to_be_bytes());
        bytes[6] = next_header;
        bytes
    }

    #[test]
    fn no_bytes_are_empty() {
        assert_eq!(parsed_len(&[]), Err(Invalid::Empty));
    }

    #[test]
    fn a_complete_ipv4_packet_has_its_total_length() {
        assert_eq!(parsed_len(&ipv4(5, 20, 20)), Ok(20));
        assert_eq!(parsed_len(&ipv4(15, 60, 60)), Ok(60));
        assert_eq!(parsed_len(&ipv4(5, 65_507, 65_507)), Ok(65_507));
    }

    #[test]
    fn trailing_bytes_are_not_part_of_the_packet() {
        assert_eq!(parsed_len(&ipv4(5, 28, 60)), Ok(28));
        assert_eq!(parsed_len(&ipv6(17, 8, 60)), Ok(48));
    }

    #[test]
    fn an_ipv4_header_shorter_than_five_words_is_malformed() {
        for words in 0..5 {
            assert_eq!(parsed_len(&ipv4(words, 20, 20)), Err(Invalid::Malformed));
        }
    }

    #[test]
    fn an_ipv4_header_longer_than_the_packet_is_malformed() {
        assert_eq!(parsed_len(&ipv4(6, 20, 60)), Err(Invalid::Malformed));
        assert_eq!(parsed_len(&ipv4(15, 40, 40)), Err(Invalid::Malformed));
    }

    #[test]
    fn an_ipv4_total_length_shorter_than_the_header_or_past_the_end_is_malformed() {
        assert_eq!(parsed_len(&ipv4(5, 0, 20)), Err(Invalid::Malformed));
        assert_eq!(parsed_len(&ipv4(5, 19, 20)), Err(Invalid::Malformed));
        assert_eq!(parsed_len(&ipv4(5, 21, 20)), Err(Invalid::Malformed));
    }

    #[test]
    fn an_ipv6_payload_past_the_end_is_malformed() {
        assert_eq!(parsed_len(&ipv6(17, 9, 48)), Err(Invalid::Malformed));
        assert_eq!(parsed_len(&ipv6(17, 8, 48)), Ok(48));
    }

    #[test]
    fn an_ipv6_packet_without_payload_is_complete() {
        assert_eq!(parsed_len(&ipv6(59, 0, 40)), Ok(40));
        assert_eq!(parsed_len(&ipv6(59, 0, 99)), Ok(40));
    }

    #[test]
    fn an_ipv6_jumbogram_is_malformed() {
        let mut jumbo = ipv6(0, 0, 48);
        jumbo[40..48].copy_from_slice(&[59, 0, 0xC2, 4, 0, 1, 0, 0]);
        assert_eq!(parsed_len(&jumbo), Err(Invalid::Malformed));
    }

    #[test]
    fn every_other_version_is_malformed() {
        for version in (0..16).filter(|version| ![4, 6].contains(version)) {
            assert_eq!(parsed_len(&[version << 4 | 5; 100]), Err(Invalid::Malformed), "version {version}");
        }
    }

    #[test]
    fn an_ip_header_that_is_cut_short_is_malformed() {
        for len in 1..20 {
            assert_eq!(parsed_len(&ipv4(5, 20, 20)[..len]), Err(Invalid::Malformed));
        }
        for len in 1..40 {
            assert_eq!(parsed_len(&ipv6(59, 0, 40)[..len]), Err(Invalid::Malformed));
        }
    }

    fn transport(bytes: &[u8]) -> Option<Transport> {
        IpPacket::parse(bytes).unwrap().transport().copied()
    }

    fn ports(bytes: &[u8]) -> Option<(u16, u16)> {
        IpPacket::parse(bytes).unwrap().ports()
    }

    /// IPv4 with `transport` behind it.
    fn ipv4_with(protocol: u8, flags_and_offset: u16, transport: &[u8]) -> Vec<u8> {
        let len = 20 + transport.len();
        let mut bytes = ipv4(5, len as u16, 20);
        bytes[6..8].copy_from_slice(&flags_and_offset.to_be_bytes());
        bytes[9] = protocol;
        [&bytes, transport].concat()
    }

    /// IPv6 with `rest` behind it.
    fn ipv6_with(next_header: u8, rest: &[u8]) -> Vec<u8> {
        [&ipv6(next_header, rest.len() as u16, 40), rest].concat()
    }

    /// 20 bytes: ports 0x0102 and 0x0304, SYN.
    fn tcp() -> Vec<u8> {
        let mut header = vec![1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, tcp_flag::SYN];
        header.resize(20, 0);
        header
    }

    const UDP_HEADER: [u8; 8] = [1, 2, 3, 4, 0, 8, 0, 0];

    #[test]
    fn version_and_addresses_are_those_of_the_header() {
        let mut bytes = ipv4(5, 20, 20);
        bytes[12..20].copy_from_slice(&[10, 0, 2, 1, 10, 0, 2, 2]);
        let packet = IpPacket::parse(&bytes).unwrap();
        assert_eq!(packet.version(), Version::V4);
        assert_eq!(packet.source(), Some([10, 0, 2, 1].into()));
        assert_eq!(packet.destination(), Some([10, 0, 2, 2].into()));
        let mut bytes = ipv6(59, 0, 40);
        bytes[8..24].fill(0xA1);
        bytes[24..40].fill(0xB2);
        let packet = IpPacket::parse(&bytes).unwrap();
        assert_eq!(packet.version(), Version::V6);
        assert_eq!(packet.source(), Some([0xA1; 16].into()));
        assert_eq!(packet.destination(), Some([0xB2; 16].into()));
    }

    #[test]
    fn tcp_and_udp_headers_are_found() {
        let expected = Transport {
            protocol: TCP,
            offset: 20,
            header_len: Some(20),
            fragment: Fragment::Whole,
            source_routed: false,
        };
        assert_eq!(transport(&ipv4_with(TCP, 0x4000, &tcp())), Some(expected));
        assert_eq!(transport(&ipv6_with(TCP, &tcp())), Some(Transport { offset: 40, ..expected }));
        let expected = Transport { protocol: UDP, header_len: Some(8), ..expected };
        assert_eq!(transport(&ipv4_with(UDP, 0, &UDP_HEADER)), Some(expected));
        assert_eq!(transport(&ipv6_with(UDP, &UDP_HEADER)), Some(Transport { offset: 40, ..expected }));
        for bytes in [ipv4_with(TCP, 0, &tcp()), ipv6_with(TCP, &tcp()), ipv4_with(UDP, 0, &UDP_HEADER)] {
            assert_eq!(ports(&bytes), Some((0x0102, 0x0304)));
        }
    }

    #[test]
    fn only_tcp_with_syn_is_a_syn() {
        assert!(IpPacket::parse(&ipv4_with(TCP, 0, &tcp())).unwrap().is_tcp_syn());
        assert!(!IpPacket::parse(&ipv4_with(UDP, 0, &tcp())).unwrap().is_tcp_syn());
        assert!(!IpPacket::parse(&ipv4_with(TCP, 1, &tcp())).unwrap().is_tcp_syn());
        let mut ack = tcp();
        ack[13] = tcp_flag::ACK;
        assert!(!IpPacket::parse(&ipv4_with(TCP, 0, &ack)).unwrap().is_tcp_syn());
    }

    #[test]
    fn other_protocols_have_neither_ports_nor_a_header_length() {
        let bytes = ipv4_with(1, 0, &tcp());
        let found = transport(&bytes).unwrap();
        assert_eq!((found.protocol, found.header_len, ports(&bytes)), (1, None, None));
    }

    #[test]
    fn a_transport_header_that_is_cut_short_has_no_length() {
        for len in 0..20 {
            let bytes = ipv4_with(TCP, 0, &tcp()[..len]);
            assert_eq!(transport(&bytes).unwrap().header_len, None, "{len} bytes of TCP");
            assert_eq!(ports(&bytes).is_some(), len >= 4, "{len} bytes of TCP");
        }
        for len in 0..8 {
            let bytes = ipv4_with(UDP, 0, &UDP_HEADER[..len]);
            assert_eq!(transport(&bytes).unwrap().header_len, None, "{len} bytes of UDP");
            assert_eq!(ports(&bytes).is_some(), len >= 4, "{len} bytes of UDP");
        }
    }

    #[test]
    fn a_tcp_header_shorter_than_five_words_or_longer_than_the_packet_has_no_length() {
        for words in 0..16 {
            let mut header = tcp();
            header[12] = words << 4;
            header.resize(32, 0);
            let expected = (5..=8).contains(&words).then_some(words * 4);
            assert_eq!(transport(&ipv4_with(TCP, 0, &header)).unwrap().header_len, expected, "{words} words");
        }
    }

    #[test]
    fn later_fragments_have_no_transport_header() {
        for (flags_and_offset, fragment) in [
            (0x0000, Fragment::Whole),
            (0xC000, Fragment::Whole),
            (0x2000, Fragment::First),
            (0x2001, Fragment::Later),
            (0x0001, Fragment::Later),
            (0x1FFF, Fragment::Later),
        ] {
            let bytes = ipv4_with(TCP, flags_and_offset, &tcp());
            let found = transport(&bytes).unwrap();
            assert_eq!((found.fragment, found.header_len.is_none()), (fragment, fragment == Fragment::Later));
            assert_eq!(ports(&bytes).is_none(), fragment == Fragment::Later);
        }
        // An atomic fragment is not whole.
        for (low, fragment) in
            [(0, Fragment::First), (1, Fragment::First), (8, Fragment::Later), (9, Fragment::Later)]
        {
            let header = [TCP, 0, 0, low, 0, 0, 0, 1];
            let bytes = ipv6_with(44, &[&header[..], &tcp()].concat());
            let found = transport(&bytes).unwrap();
            assert_eq!((found.fragment, found.offset), (fragment, 48));
            assert_eq!(ports(&bytes).is_none(), fragment == Fragment::Later);
        }
    }

    #[test]
    fn extension_headers_precede_the_transport_header() {
        let hop_by_hop = [60, 0, 1, 4, 0, 0, 0, 0];
        let destination_options = [vec![43, 1], vec![0; 14]].concat();
        let routing_at_its_end = [UDP, 0, 4, 0, 0, 0, 0, 0];
        let rest = [&hop_by_hop[..], &destination_options, &routing_at_its_end, &UDP_HEADER].concat();
        let bytes = ipv6_with(0, &rest);
        let found = transport(&bytes).unwrap();
        assert_eq!((found.protocol, found.offset, ports(&bytes)), (UDP, 72, Some((0x0102, 0x0304))));
        assert!(!found.source_routed);
    }

    #[test]
    fn extension_headers_that_are_cut_short_hide_the_transport() {
        for (number, extension) in [
            (0, &[UDP, 1, 0, 0, 0, 0, 0, 0][..]),
            (60, &[UDP]),
            (60, &[]),
            (43, &[UDP, 0, 0]),
            (44, &[UDP, 0, 0, 0, 0, 0, 0]),
        ] {
            // A payload length of zero before hop-by-hop options is another matter.
            if number != 0 || !extension.is_empty() {
                assert_eq!(transport(&ipv6_with(number, extension)), None, "{number}");
            }
        }
    }

    #[test]
    fn a_source_route_with_hops_left_is_seen() {
        let with_options = |options: [u8; 8]| {
            let bytes = ipv4(7, 28, 20);
            transport(&[&bytes[..], &options].concat()).unwrap().source_routed
        };
        for kind in [131, 137] {
            assert!(with_options([kind, 7, 4, 10, 0, 0, 1, 0]));
            assert!(!with_options([kind, 7, 8, 10, 0, 0, 1, 0]), "at its end");
            assert!(with_options([1, kind, 7, 4, 10, 0, 0, 1]));
            assert!(!with_options([0, kind, 7, 4, 10, 0, 0, 1]), "after the end of the options");
            assert!(!with_options([7, 9, kind, 7, 4, 10, 0, 0]), "after an option that is cut short");
            assert!(!with_options([7, 1, kind, 7, 4, 10, 0, 0]), "after an option of an impossible length");
        }
        let routing = |segments_left| [UDP, 0, 4, segments_left, 0, 0, 0, 0];
        assert!(transport(&ipv6_with(43, &routing(1))).unwrap().source_routed);
        assert!(!transport(&ipv6_with(43, &routing(0))).unwrap().source_routed);
    }

    #[test]
    fn each_reason_for_rejection_has_its_words() {
        assert_eq!(Invalid::Empty.to_string(), "empty packet");
        assert_eq!(Invalid::Malformed.to_string(), "malformed IP packet");
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_error_or_a_length_within_them(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(len) = parsed_len(&bytes) {
                prop_assert!((20..=bytes.len()).contains(&len));
                prop_assert_eq!(parsed_len(&bytes[..len]), Ok(len));
                prop_assert_eq!(parsed_len(&bytes[..len - 1]), Err(Invalid::Malformed));
            }
        }

        #[test]
        fn what_the_view_points_at_is_inside_the_packet(
            first in prop::sample::select(vec![0x45_u8, 0x46, 0x60]),
            bytes in prop::collection::vec(prop_oneof![prop::sample::select(vec![0_u8, 6, 17, 43, 44, 60]), any::<u8>()], 60..200),
        ) {
            let mut bytes = bytes;
            bytes[0] = first;
            let len = bytes.len() as u16;
            let (at, len) = if first == 0x60 { (4, len - 40) } else { (2, len) };
            bytes[at..at + 2].copy_from_slice(&len.to_be_bytes());
            let packet = IpPacket::parse(&bytes).unwrap();
            if let Some(found) = packet.transport() {
                prop_assert!(found.offset + usize::from(found.header_len.unwrap_or(0)) <= packet.bytes().len());
            }
        }
    }
}
