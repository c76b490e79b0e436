//! The checked view: what it accepts and rejects, and what it reports.

use proptest::prelude::*;
use ttun_packet::{Fragment, Invalid, IpPacket, Transport, Version};

use crate::model::{ACK, SYN};

const TCP: u8 = 6;
const UDP: u8 = 17;

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
fn a_truncated_ip_header_is_malformed() {
    for len in 1..20 {
        assert_eq!(parsed_len(&ipv4(5, 20, 20)[..len]), Err(Invalid::Malformed));
    }
    for len in 1..40 {
        assert_eq!(parsed_len(&ipv6(59, 0, 40)[..len]), Err(Invalid::Malformed));
    }
}

fn transport(bytes: &[u8]) -> Option<Transport> {
    IpPacket::parse(bytes).unwrap().transport()
}

fn ports(bytes: &[u8]) -> Option<(u16, u16)> {
    IpPacket::parse(bytes).unwrap().ports()
}

/// IPv4 with `transport` after it.
fn ipv4_with(protocol: u8, flags_and_offset: u16, transport: &[u8]) -> Vec<u8> {
    let len = 20 + transport.len();
    let mut bytes = ipv4(5, len as u16, 20);
    bytes[6..8].copy_from_slice(&flags_and_offset.to_be_bytes());
    bytes[9] = protocol;
    [&bytes, transport].concat()
}

/// IPv6 with `rest` after it.
fn ipv6_with(next_header: u8, rest: &[u8]) -> Vec<u8> {
    [&ipv6(next_header, rest.len() as u16, 40), rest].concat()
}

/// 20 bytes: ports 0x0102 and 0x0304, SYN.
fn tcp() -> Vec<u8> {
    let mut header = vec![1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, SYN];
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
    let expected =
        |offset, protocol, header_len| Some((offset, protocol, Some(header_len), Fragment::Whole, false));
    let found = |bytes: &[u8]| {
        let found = transport(bytes)?;
        Some((
            found.offset(),
            found.protocol(),
            found.header_len(),
            found.fragment(),
            found.is_source_routed(),
        ))
    };
    assert_eq!(found(&ipv4_with(TCP, 0x4000, &tcp())), expected(20, TCP, 20));
    assert_eq!(found(&ipv6_with(TCP, &tcp())), expected(40, TCP, 20));
    assert_eq!(found(&ipv4_with(UDP, 0, &UDP_HEADER)), expected(20, UDP, 8));
    assert_eq!(found(&ipv6_with(UDP, &UDP_HEADER)), expected(40, UDP, 8));
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
    ack[13] = ACK;
    assert!(!IpPacket::parse(&ipv4_with(TCP, 0, &ack)).unwrap().is_tcp_syn());
}

#[test]
fn other_protocols_have_neither_ports_nor_a_header_length() {
    let bytes = ipv4_with(1, 0, &tcp());
    let found = transport(&bytes).unwrap();
    assert_eq!((found.protocol(), found.header_len(), ports(&bytes)), (1, None, None));
}

#[test]
fn a_truncated_transport_header_has_no_length() {
    for len in 0..20 {
        let bytes = ipv4_with(TCP, 0, &tcp()[..len]);
        assert_eq!(transport(&bytes).unwrap().header_len(), None, "{len} bytes of TCP");
        assert_eq!(ports(&bytes).is_some(), len >= 4, "{len} bytes of TCP");
    }
    for len in 0..8 {
        let bytes = ipv4_with(UDP, 0, &UDP_HEADER[..len]);
        assert_eq!(transport(&bytes).unwrap().header_len(), None, "{len} bytes of UDP");
        assert_eq!(ports(&bytes).is_some(), len >= 4, "{len} bytes of UDP");
    }
}

#[test]
fn a_tcp_header_shorter_than_five_words_or_longer_than_the_packet_has_no_length() {
    for words in 0..16 {
        let mut header = tcp();
        header[12] = words << 4;
        header.resize(32, 0);
        let expected = (5..=8).contains(&words).then_some(usize::from(words) * 4);
        assert_eq!(transport(&ipv4_with(TCP, 0, &header)).unwrap().header_len(), expected, "{words} words");
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
        assert_eq!((found.fragment(), found.header_len().is_none()), (fragment, fragment == Fragment::Later));
        assert_eq!(ports(&bytes).is_none(), fragment == Fragment::Later);
    }
    // An atomic fragment is not whole.
    for (low, fragment) in
        [(0, Fragment::First), (1, Fragment::First), (8, Fragment::Later), (9, Fragment::Later)]
    {
        let header = [TCP, 0, 0, low, 0, 0, 0, 1];
        let bytes = ipv6_with(44, &[&header[..], &tcp()].concat());
        let found = transport(&bytes).unwrap();
        assert_eq!((found.fragment(), found.offset()), (fragment, 48));
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
    assert_eq!((found.protocol(), found.offset(), ports(&bytes)), (UDP, 72, Some((0x0102, 0x0304))));
    assert!(!found.is_source_routed());
}

#[test]
fn truncated_extension_headers_hide_the_transport() {
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
        transport(&[&bytes[..], &options].concat()).unwrap().is_source_routed()
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
    assert!(transport(&ipv6_with(43, &routing(1))).unwrap().is_source_routed());
    assert!(!transport(&ipv6_with(43, &routing(0))).unwrap().is_source_routed());
}

#[test]
fn each_reason_for_rejection_has_a_message() {
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
            prop_assert!(found.offset() + found.header_len().unwrap_or(0) <= packet.bytes().len());
        }
    }
}
