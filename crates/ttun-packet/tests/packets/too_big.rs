//! Which packets are answered with an ICMP message rather than fragmented, and that message, byte by byte.

use std::net::IpAddr;

use proptest::prelude::*;
use ttun_packet::{IpPacket, MAX_TOO_BIG_LEN, TooBig, must_not_be_fragmented};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;

/// A packet of `len` bytes; `kind` is the first byte after the IP header.
fn ipv4(ends: [&str; 2], flags_and_offset: u16, protocol: u8, kind: u8, len: usize) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((len as u16).to_be_bytes());
    packet.extend([0, 7]);
    packet.extend(flags_and_offset.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(ends.concat_addresses());
    packet.push(kind);
    packet.extend((packet.len()..len).map(|at| at as u8));
    packet
}

fn ipv6(ends: [&str; 2], next_header: u8, kind: u8, len: usize) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(((len - 40) as u16).to_be_bytes());
    packet.extend([next_header, 64]);
    packet.extend(ends.concat_addresses());
    packet.push(kind);
    packet.extend((packet.len()..len).map(|at| at as u8));
    packet
}

trait Addresses {
    fn concat_addresses(&self) -> Vec<u8>;
}

impl Addresses for [&str; 2] {
    fn concat_addresses(&self) -> Vec<u8> {
        self.iter()
            .flat_map(|end| match end.parse().unwrap() {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            })
            .collect()
    }
}

const V4: [&str; 2] = ["10.0.2.1", "10.0.2.2"];
const V6: [&str; 2] = ["fd00:2::1", "fd00:2::2"];

fn is_answered(packet: &[u8]) -> bool {
    must_not_be_fragmented(&IpPacket::parse(packet).unwrap(), packet.len())
}

#[test]
fn packets_that_must_stay_whole_are_answered_and_others_fragmented() {
    for (packet, answered) in [
        (ipv4(V4, DONT_FRAGMENT, TCP, 0, 1400), true),
        (ipv4(V4, DONT_FRAGMENT, UDP, 0, 1400), true),
        (ipv4(V4, DONT_FRAGMENT, ICMP, 8, 1400), true),
        (ipv4(V4, DONT_FRAGMENT | MORE_FRAGMENTS, UDP, 0, 1400), true),
        (ipv4(V4, 0, TCP, 0, 1400), false),
        (ipv4(V4, MORE_FRAGMENTS, UDP, 0, 1400), false),
        (ipv6(V6, TCP, 0, 1281), true),
        (ipv6(V6, ICMPV6, 128, 1400), true),
        (ipv6(V6, TCP, 0, 1280), false),
    ] {
        assert_eq!(is_answered(&packet), answered, "{:02x?}", &packet[..48]);
    }
}

#[test]
fn nothing_is_said_about_errors_later_fragments_and_addresses_of_more_than_one_host() {
    let df = |ends, protocol, kind| ipv4(ends, DONT_FRAGMENT, protocol, kind, 1400);
    for kind in [3, 4, 5, 11, 12] {
        assert!(!is_answered(&df(V4, ICMP, kind)), "ICMP {kind}");
    }
    for kind in [1, 2, 3, 4, 100, 127, 137] {
        assert!(!is_answered(&ipv6(V6, ICMPV6, kind, 1400)), "ICMPv6 {kind}");
    }
    assert!(!is_answered(&ipv4(V4, DONT_FRAGMENT | 1, UDP, 0, 1400)), "a later fragment");
    let mut fragment = ipv6(V6, 44, UDP, 1400);
    fragment[41..44].copy_from_slice(&[0, 0x05, 0x01]);
    assert!(!is_answered(&fragment), "a later fragment");
    let mut broken = ipv6(V6, 0, UDP, 1400);
    broken[41] = 255;
    assert!(!is_answered(&broken), "headers that end past the packet");
    for source in ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255"] {
        assert!(!is_answered(&df([source, "10.0.2.2"], UDP, 0)), "from {source}");
    }
    for destination in ["224.0.0.251", "255.255.255.255", "0.0.0.0"] {
        assert!(!is_answered(&df(["10.0.2.1", destination], UDP, 0)), "to {destination}");
    }
    for source in ["::", "::1", "ff02::1"] {
        assert!(!is_answered(&ipv6([source, "fd00:2::2"], UDP, 0, 1400)), "from {source}");
    }
    assert!(!is_answered(&ipv6(["fd00:2::1", "ff02::fb"], UDP, 0, 1400)), "to a group");
}

/// The message about a packet in two pieces.
fn message(pieces: [&[u8]; 2], mtu: usize, source: &str) -> Vec<u8> {
    let message = TooBig::new(pieces[0], pieces[1], mtu).unwrap();
    message.write(source.parse().unwrap(), &mut [0xAA; MAX_TOO_BIG_LEN]).unwrap().to_vec()
}

/// Whether the 16-bit words add up to a complete checksum, added up one by one.
fn is_complete(bytes: &[u8]) -> bool {
    let words =
        bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | word.get(1).map_or(0, |&low| low.into()));
    let sum: u32 = words.sum();
    (sum & 0xFFFF) + (sum >> 16) == 0xFFFF
}

#[test]
fn an_ipv4_message_has_the_mtu_and_quotes_the_packet_up_to_576_bytes() {
    let packet = ipv4(V4, DONT_FRAGMENT, UDP, 0, 1400);
    for at in [0, 28, 1400] {
        let (header, payload) = packet.split_at(at);
        let bytes = message([header, payload], 1372, "10.0.2.9");
        assert_eq!(bytes.len(), 576);
        let (ip, icmp) = bytes.split_at(20);
        assert_eq!(ip[..10], [0x45, 0xC0, 0x02, 0x40, 0, 0, 0, 0, 64, ICMP]);
        assert_eq!(ip[12..], [10, 0, 2, 9, 10, 0, 2, 1]);
        assert_eq!([&icmp[..2], &icmp[4..8]].concat(), [3, 4, 0, 0, 0x05, 0x5C]);
        assert_eq!(icmp[8..], packet[..548]);
        assert!(is_complete(ip) && is_complete(icmp));
    }
}

#[test]
fn an_ipv6_message_has_an_mtu_of_at_least_1280_and_quotes_the_packet_up_to_1280_bytes() {
    let packet = ipv6(V6, TCP, 0, 1452);
    for (mtu, stated) in [(1352, [0x05, 0x48]), (1000, [0x05, 0x00])] {
        let bytes = message([&packet[..60], &packet[60..]], mtu, "fd00:2::9");
        assert_eq!(bytes.len(), 1280);
        let (ip, icmp) = bytes.split_at(40);
        assert_eq!(ip[..8], [0x60, 0, 0, 0, 0x04, 0xD8, ICMPV6, 64]);
        assert_eq!(ip[8..], ["fd00:2::9", "fd00:2::1"].concat_addresses());
        assert_eq!([&icmp[..2], &icmp[4..6], &icmp[6..8]].concat(), [&[2, 0, 0, 0], &stated[..]].concat());
        assert_eq!(icmp[8..], packet[..1232]);
        assert!(is_complete(&[&ip[8..], &[0, 0, 0x04, 0xD8, 0, 0, 0, ICMPV6], icmp].concat()));
    }
}

#[test]
fn a_short_packet_is_quoted_whole() {
    let packet = ipv4(V4, DONT_FRAGMENT, UDP, 0, 99);
    let bytes = message([&packet, &[]], 90, "10.0.2.9");
    assert_eq!((bytes.len(), &bytes[28..]), (28 + 99, &packet[..]));
    assert!(is_complete(&bytes[20..]), "with an odd length");
}

#[test]
fn a_message_has_a_source_of_the_senders_family() {
    let packet = ipv4(V4, DONT_FRAGMENT, UDP, 0, 1400);
    let message = TooBig::new(&[], &packet, 1372).unwrap();
    assert_eq!(message.sender(), "10.0.2.1".parse::<IpAddr>().unwrap());
    assert_eq!(message.destination(), "10.0.2.2".parse::<IpAddr>().unwrap());
    assert!(message.write("fd00::1".parse().unwrap(), &mut [0; MAX_TOO_BIG_LEN]).is_none());
    assert!(TooBig::new(&[], &[], 1372).is_none());
}

proptest! {
    #[test]
    fn no_packet_causes_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), six: bool, mtu: usize, at: usize) {
        if let Some(first) = bytes.first_mut() {
            *first = if six { 0x60 } else { 0x45 };
        }
        if let Ok(packet) = IpPacket::parse(&bytes) {
            let _ = must_not_be_fragmented(&packet, mtu);
        }
        let (header, payload) = bytes.split_at(at % (bytes.len() + 1));
        if let Some(message) = TooBig::new(header, payload, mtu) {
            for source in ["10.0.2.9", "fd00:2::9"] {
                let _ = message.write(source.parse().unwrap(), &mut [0; MAX_TOO_BIG_LEN]);
            }
        }
    }
}
