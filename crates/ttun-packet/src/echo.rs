//! Echo requests as inner packets, and the replies to them (RFC 792; RFC 4443 sections 4.1 and 4.2).

use std::net::IpAddr;
use std::ops::Deref;

use crate::checksum::{finish, sum};
use crate::packet::{Fragment, IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpPacket, Version};

/// Bytes at the start of the data of a request that identify it; a reply repeats them.
pub const ECHO_COOKIE_LEN: usize = 16;

/// ICMP and ICMPv6: type, code, checksum, identifier, sequence number.
const ECHO_HEADER_LEN: usize = 8;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

const HOP_LIMIT: u8 = 64;

/// An echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoRequest {
    /// Its source.
    pub source: IpAddr,
    /// Its destination, of the same family.
    pub destination: IpAddr,
    /// The identifier of the sender.
    pub identifier: u16,
    /// The sequence number.
    pub sequence: u16,
    /// TOS of IPv4, traffic class of IPv6: DSCP and ECN.
    pub tos: u8,
    /// The first bytes of its data.
    pub cookie: [u8; ECHO_COOKIE_LEN],
}

impl EchoRequest {
    /// Length of the shortest request to `destination`, bytes: IP header, ICMP header and cookie.
    #[must_use]
    pub const fn min_len(destination: &IpAddr) -> usize {
        let ip_header_len = if destination.is_ipv4() { IPV4_HEADER_LEN } else { IPV6_HEADER_LEN };
        ip_header_len + ECHO_HEADER_LEN + ECHO_COOKIE_LEN
    }

    /// Writes the request as a packet that fills `packet`; the bytes after the cookie count up. `None` if there is too little room, more
    /// than an IP packet can have, or the addresses are of different families.
    #[must_use]
    pub fn write(&self, packet: &mut [u8]) -> Option<()> {
        if packet.len() < Self::min_len(&self.destination) {
            return None;
        }
        let (request_type, pseudo_header_sum) = self.write_ip_header(packet)?;
        let header_len = if self.destination.is_ipv4() { IPV4_HEADER_LEN } else { IPV6_HEADER_LEN };
        let message = packet.get_mut(header_len..)?;
        let (header, data) = message.split_first_chunk_mut::<ECHO_HEADER_LEN>()?;
        let ([i0, i1], [s0, s1]) = (self.identifier.to_be_bytes(), self.sequence.to_be_bytes());
        *header = [request_type, 0, 0, 0, i0, i1, s0, s1];
        let (cookie, padding) = data.split_first_chunk_mut::<ECHO_COOKIE_LEN>()?;
        *cookie = self.cookie;
        for (number, byte) in padding.iter_mut().enumerate() {
            *byte = number as u8;
        }
        let checksum = finish(pseudo_header_sum + sum(message));
        message.get_mut(2..4)?.copy_from_slice(&checksum.to_be_bytes());
        Some(())
    }

    /// Writes the IP header. Returns the type of an echo request, and the partial sum of the pseudo header.
    fn write_ip_header(&self, packet: &mut [u8]) -> Option<(u8, u64)> {
        const DONT_FRAGMENT: u8 = 0x40;
        let len = packet.len();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let [l0, l1] = u16::try_from(len).ok()?.to_be_bytes();
                let header = packet.first_chunk_mut::<IPV4_HEADER_LEN>()?;
                // An ID of 0, as a packet that is never fragmented needs none (RFC 6864 section 4.1).
                header[..12].copy_from_slice(&[
                    0x45,
                    self.tos,
                    l0,
                    l1,
                    0,
                    0,
                    DONT_FRAGMENT,
                    0,
                    HOP_LIMIT,
                    ICMP,
                    0,
                    0,
                ]);
                header[12..16].copy_from_slice(&source.octets());
                header[16..].copy_from_slice(&destination.octets());
                let checksum = finish(sum(header));
                header[10..12].copy_from_slice(&checksum.to_be_bytes());
                Some((8, 0))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let message_len = u16::try_from(len - IPV6_HEADER_LEN).ok()?;
                let [l0, l1] = message_len.to_be_bytes();
                let header = packet.first_chunk_mut::<IPV6_HEADER_LEN>()?;
                let [t0, t1] = [0x60 | self.tos >> 4, self.tos << 4];
                header[..8].copy_from_slice(&[t0, t1, 0, 0, l0, l1, ICMPV6, HOP_LIMIT]);
                header[8..24].copy_from_slice(&source.octets());
                header[24..].copy_from_slice(&destination.octets());
                let addresses = sum(&header[8..]);
                // RFC 8200 section 8.1.
                Some((128, addresses + u64::from(message_len) + u64::from(ICMPV6)))
            }
            _ => None,
        }
    }
}

/// The reply to an echo request. If it is a fragment, it is the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoReply {
    /// Its source: where the request went.
    pub source: IpAddr,
    /// Its destination: where the request came from.
    pub destination: IpAddr,
    /// The identifier of the request.
    pub identifier: u16,
    /// The sequence number of the request.
    pub sequence: u16,
    /// TOS of IPv4, traffic class of IPv6.
    pub tos: u8,
    /// The cookie of the request.
    pub cookie: [u8; ECHO_COOKIE_LEN],
    /// Length of this packet, bytes.
    pub len: usize,
    /// Whether the rest of the reply follows in other packets.
    pub is_fragment: bool,
}

impl EchoReply {
    /// Whether a datagram may hold an echo reply, or part of one, as hosts send them: ICMP, or in IPv6 a fragment, right after the IP header.
    /// For everything else this is all that is looked at.
    #[must_use]
    pub fn may_be_in(datagram: &[u8]) -> bool {
        const IPV6_FRAGMENT: u8 = 44;
        match datagram.first().map(|first| first >> 4) {
            Some(4) => datagram.get(9) == Some(&ICMP),
            Some(6) => matches!(datagram.get(6), Some(&(ICMPV6 | IPV6_FRAGMENT))),
            _ => false,
        }
    }

    /// The echo reply in `packet`; `None` if it is another packet, or a reply to a request without a cookie.
    #[must_use]
    pub fn read<Bytes: Deref<Target = [u8]>>(packet: &IpPacket<Bytes>) -> Option<Self> {
        let transport = packet.transport().filter(|transport| transport.fragment() != Fragment::Later)?;
        let expected_type = match (packet.version(), transport.protocol()) {
            (Version::V4, ICMP) => 0,
            (Version::V6, ICMPV6) => 129,
            _ => return None,
        };
        let [reply_type, 0, _, _, i0, i1, s0, s1] = packet.field(transport.offset())? else { return None };
        if reply_type != expected_type {
            return None;
        }
        Some(Self {
            source: packet.source()?,
            destination: packet.destination()?,
            identifier: u16::from_be_bytes([i0, i1]),
            sequence: u16::from_be_bytes([s0, s1]),
            tos: packet.tos(),
            cookie: packet.field(transport.offset() + ECHO_HEADER_LEN)?,
            len: packet.len(),
            is_fragment: transport.fragment() == Fragment::First,
        })
    }
}

/// What all fragments of one ICMP message have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpFragments {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
}

impl IcmpFragments {
    /// Of the fragment in `packet`; `None` if it is not a fragment of an ICMP message.
    #[must_use]
    pub fn of<Bytes: Deref<Target = [u8]>>(packet: &IpPacket<Bytes>) -> Option<Self> {
        let transport = packet.transport()?;
        if transport.fragment() == Fragment::Whole || !matches!(transport.protocol(), ICMP | ICMPV6) {
            return None;
        }
        let id = match packet.version() {
            Version::V4 => u16::from_be_bytes(packet.field(4)?).into(),
            // The fragment header is the last one before the message: nothing else can follow it in a later fragment, and an echo reply
            // has nothing between them.
            Version::V6 => u32::from_be_bytes(packet.field(transport.offset().checked_sub(4)?)?),
        };
        Some(Self { source: packet.source()?, destination: packet.destination()?, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: [&str; 2] = ["10.0.2.1", "10.0.2.2"];
    const V6: [&str; 2] = ["fd00:2::1", "fd00:2::2"];

    fn request([source, destination]: [&str; 2]) -> EchoRequest {
        EchoRequest {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            identifier: 0x1234,
            sequence: 7,
            tos: 0xB9,
            cookie: *b"0123456789abcdef",
        }
    }

    fn written(addresses: [&str; 2], len: usize) -> Vec<u8> {
        let mut packet = vec![0xEE; len];
        request(addresses).write(&mut packet).unwrap();
        packet
    }

    /// As a host replies: addresses exchanged, another type, the checksum adapted.
    fn reply(addresses: [&str; 2], len: usize) -> Vec<u8> {
        let [source, destination] = addresses;
        let mut packet = written([destination, source], len);
        let at = if source.contains('.') { 20 } else { 40 };
        packet[at] = if at == 20 { 0 } else { 129 };
        packet
    }

    #[test]
    fn a_request_has_correct_headers_and_checksums() {
        let packet = written(V4, 85);
        assert_eq!(packet[..10], [0x45, 0xB9, 0, 85, 0, 0, 0x40, 0, 64, 1]);
        assert_eq!(finish(sum(&packet[..20])), 0);
        assert_eq!(packet[20..22], [8, 0]);
        assert_eq!(finish(sum(&packet[20..])), 0);
        assert_eq!((&packet[24..28], &packet[28..44]), (&[0x12, 0x34, 0, 7][..], &b"0123456789abcdef"[..]));
        assert_eq!(packet[44..47], [0, 1, 2]);

        let packet = written(V6, 105);
        assert_eq!(packet[..8], [0x6B, 0x90, 0, 0, 0, 65, 58, 64]);
        assert_eq!(packet[40..42], [128, 0]);
        assert_eq!(finish(sum(&packet[8..40]) + 65 + 58 + sum(&packet[40..])), 0);
    }

    #[test]
    fn a_request_fills_its_room_from_the_shortest_to_the_longest() {
        for (addresses, shortest, longest) in [(V4, 44, 65_535), (V6, 64, 65_575)] {
            let destination = addresses[1].parse().unwrap();
            assert_eq!(EchoRequest::min_len(&destination), shortest);
            for len in [shortest, shortest + 1, 1500, longest] {
                let packet = written(addresses, len);
                assert_eq!(IpPacket::parse(&packet).unwrap().bytes().len(), len);
            }
            for len in [0, shortest - 1, longest + 1] {
                assert_eq!(request(addresses).write(&mut vec![0; len]), None, "{len}");
            }
        }
        assert_eq!(request([V4[0], V6[1]]).write(&mut [0; 100]), None);
    }

    #[test]
    fn a_reply_is_read_in_both_families() {
        for (addresses, len) in [(V4, 84), (V6, 104)] {
            let packet = reply(addresses, len);
            assert!(EchoReply::may_be_in(&packet));
            let EchoRequest { source, destination, identifier, sequence, tos, cookie } = request(addresses);
            let expected = EchoReply {
                source: destination,
                destination: source,
                identifier,
                sequence,
                tos,
                cookie,
                len,
                is_fragment: false,
            };
            assert_eq!(EchoReply::read(&IpPacket::parse(&packet).unwrap()), Some(expected));
        }
    }

    #[test]
    fn other_packets_are_not_replies() {
        for (addresses, at) in [(V4, 20), (V6, 40)] {
            let good = reply(addresses, at + 24);
            let changed = |place: usize, value: u8| {
                let mut packet = good.clone();
                packet[place] = value;
                packet
            };
            let protocol = if at == 20 { 9 } else { 6 };
            let other_icmp = if at == 20 { ICMPV6 } else { ICMP };
            for packet in [
                written(addresses, at + 24),
                changed(at, 3),
                changed(at + 1, 1),
                changed(protocol, 17),
                changed(protocol, other_icmp),
            ] {
                assert_eq!(EchoReply::read(&IpPacket::parse(&packet).unwrap()), None);
            }
            // Too short for a cookie.
            let mut short = good[..at + 23].to_vec();
            short[if at == 20 { 3 } else { 5 }] -= 1;
            assert_eq!(EchoReply::read(&IpPacket::parse(&short).unwrap()), None);
        }
    }

    /// The packet as two fragments: up to `at`, and the rest.
    fn fragments(addresses: [&str; 2]) -> [Vec<u8>; 2] {
        let whole = reply(addresses, 140);
        if addresses == V4 {
            let fragment = |message: &[u8], flags: [u8; 2]| {
                let mut packet = [&whole[..20], message].concat();
                packet[3] = packet.len() as u8;
                packet[4..8].copy_from_slice(&[0xAB, 0xCD, flags[0], flags[1]]);
                packet
            };
            [fragment(&whole[20..84], [0x20, 0]), fragment(&whole[84..], [0, 8])]
        } else {
            let fragment = |message: &[u8], offset: u8| {
                let header = [ICMPV6, 0, 0, offset, 0, 0, 0xAB, 0xCD];
                let mut packet = [&whole[..40], &header, message].concat();
                packet[5] = packet.len() as u8 - 40;
                packet[6] = 44;
                packet
            };
            [fragment(&whole[40..104], 1), fragment(&whole[104..], 64)]
        }
    }

    #[test]
    fn the_first_fragment_of_a_reply_is_read_and_the_others_belong_to_it() {
        for addresses in [V4, V6] {
            let [first, later] = fragments(addresses);
            let (first, later) = (IpPacket::parse(&first).unwrap(), IpPacket::parse(&later).unwrap());
            let reply = EchoReply::read(&first).unwrap();
            assert_eq!((reply.cookie, reply.is_fragment), (request(addresses).cookie, true));
            assert_eq!(EchoReply::read(&later), None);
            assert!([first.bytes(), later.bytes()].into_iter().all(EchoReply::may_be_in));
            let fragments = IcmpFragments::of(&first);
            assert!(fragments.is_some());
            assert_eq!(fragments, IcmpFragments::of(&later));
            let whole = self::reply(addresses, 140);
            assert_eq!(IcmpFragments::of(&IpPacket::parse(&whole).unwrap()), None);
        }
    }
}
