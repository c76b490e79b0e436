//! Lowering the MSS of TCP SYNs.

use proptest::prelude::*;
use ttun_packet::{IpPacket, clamp_mss};

use crate::model::{
    ACK, DF, FIN, Ip, PSH, Packet, RST, SYN, Transport, all_kinds, fold, sum, tcp_over_v4, tcp_over_v6,
};

const MTU: usize = 1472;

fn syn(mut packet: Packet, new_options: &[u8]) -> Packet {
    let Transport::Tcp { flags, options, .. } = &mut packet.transport else { unreachable!() };
    *flags = SYN;
    *options = new_options.to_vec();
    packet.payload.clear();
    packet
}

fn mss(value: u16) -> Vec<u8> {
    [[2, 4], value.to_be_bytes()].concat()
}

fn is_tcp_syn(bytes: &[u8]) -> bool {
    IpPacket::parse(bytes).unwrap().is_tcp_syn()
}

fn clamp(bytes: &mut [u8], inner_mtu: usize) -> bool {
    clamp_mss(&mut IpPacket::parse_mut(bytes).unwrap(), inner_mtu)
}

/// The packet after clamping, if that changed it.
fn clamped(packet: &Packet, inner_mtu: usize) -> Option<Vec<u8>> {
    let mut bytes = packet.bytes();
    let changed = clamp(&mut bytes, inner_mtu);
    assert_eq!(changed, bytes != packet.bytes());
    changed.then_some(bytes)
}

#[test]
fn a_larger_mss_is_lowered_and_the_checksum_kept_right() {
    let v4 = syn(tcp_over_v4(), &mss(1460));
    assert_eq!(clamped(&v4, MTU), Some(syn(tcp_over_v4(), &mss(1432)).bytes()));
    let v6 = syn(tcp_over_v6(), &mss(1440));
    assert_eq!(clamped(&v6, MTU), Some(syn(tcp_over_v6(), &mss(1412)).bytes()));
}

#[test]
fn an_mss_that_fits_is_left_alone() {
    for fits in [1432, 1431, 536, 1, 0] {
        assert_eq!(clamped(&syn(tcp_over_v4(), &mss(fits)), MTU), None);
    }
    assert_eq!(clamped(&syn(tcp_over_v6(), &mss(1412)), MTU), None);
}

#[test]
fn a_syn_ack_is_clamped_too() {
    let mut packet = syn(tcp_over_v4(), &mss(1460));
    let Transport::Tcp { flags, .. } = &mut packet.transport else { unreachable!() };
    *flags = SYN | ACK;
    assert!(clamped(&packet, MTU).is_some());
}

#[test]
fn only_a_syn_is_clamped() {
    for other in [0, ACK, ACK | PSH, FIN | ACK, RST] {
        let mut packet = syn(tcp_over_v4(), &mss(1460));
        let Transport::Tcp { flags, .. } = &mut packet.transport else { unreachable!() };
        *flags = other;
        assert!(!is_tcp_syn(&packet.bytes()));
        assert_eq!(clamped(&packet, MTU), None);
    }
    for packet in all_kinds() {
        assert!(!is_tcp_syn(&packet.bytes()));
        assert_eq!(clamped(&packet, MTU), None);
    }
}

#[test]
fn the_option_is_found_behind_others_at_even_and_odd_offsets() {
    for packet in [tcp_over_v4(), tcp_over_v6()] {
        for before in 0..8 {
            let with = |value| {
                let mut options = [vec![1; before], mss(value), vec![4, 2]].concat();
                options.resize(options.len().next_multiple_of(4), 0);
                syn(packet.clone(), &options)
            };
            assert_eq!(clamped(&with(9000), 1000 + packet.ip_len() + 20), Some(with(1000).bytes()));
        }
    }
}

impl Packet {
    fn ip_len(&self) -> usize {
        if matches!(self.ip, Ip::V4 { .. }) { 20 } else { 40 }
    }
}

#[test]
fn several_mss_options_are_all_lowered() {
    let before = syn(tcp_over_v4(), &[mss(1460), mss(100), mss(9000)].concat());
    let after = syn(tcp_over_v4(), &[mss(1432), mss(100), mss(1432)].concat());
    assert_eq!(clamped(&before, MTU), Some(after.bytes()));
}

#[test]
fn a_wrong_checksum_stays_wrong() {
    for error in [0x0001, 0x1200, 0xFFFE] {
        let packet = Packet { checksum_error: error, ..syn(tcp_over_v4(), &mss(1460)) };
        let after = clamped(&packet, MTU).unwrap();
        let total = sum(&after[20..]) + packet.ip.pseudo_header_sum(6, after.len() - 20);
        assert_ne!(fold(total), 0xFFFF);
    }
}

#[test]
fn headers_before_tcp_are_skipped() {
    let mut v4 = syn(tcp_over_v4(), &mss(1460));
    let Ip::V4 { options, .. } = &mut v4.ip else { unreachable!() };
    *options = vec![1; 12];
    assert!(clamped(&v4, MTU).is_some());
    let mut v6 = syn(tcp_over_v6(), &mss(1440));
    let Ip::V6 { extensions, .. } = &mut v6.ip else { unreachable!() };
    *extensions = vec![(0, vec![0; 8]), (60, [vec![0, 1], vec![0; 14]].concat())];
    assert!(clamped(&v6, MTU).is_some());
}

/// AH covers the segment: the receiver would drop a changed one.
#[test]
fn an_authenticated_segment_is_left_alone() {
    let mut packet = syn(tcp_over_v6(), &mss(1440));
    let Ip::V6 { extensions, .. } = &mut packet.ip else { unreachable!() };
    *extensions = vec![(51, vec![0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])];
    assert_eq!(clamped(&packet, MTU), None);
}

#[test]
fn a_first_fragment_is_clamped_and_a_later_one_is_not() {
    let mut packet = syn(tcp_over_v4(), &mss(1460));
    let mut with_fragment = |fragment| {
        let Ip::V4 { flags_and_offset, .. } = &mut packet.ip else { unreachable!() };
        *flags_and_offset = fragment;
        clamped(&packet, MTU).is_some()
    };
    assert!(with_fragment(0x2000));
    assert!(with_fragment(DF));
    assert!(!with_fragment(0x0001));
    assert!(!with_fragment(0x2001));
    let mut packet = syn(tcp_over_v6(), &mss(1440));
    let mut with_fragment = |low| {
        let Ip::V6 { extensions, .. } = &mut packet.ip else { unreachable!() };
        *extensions = vec![(44, vec![0, 0, 0, low, 0, 0, 0, 1])];
        clamped(&packet, MTU).is_some()
    };
    assert!(with_fragment(1));
    assert!(!with_fragment(8));
}

#[test]
fn malformed_options_end_the_search() {
    for options in [
        vec![3, 0, 2, 4, 0xFF, 0xFF, 0, 0],
        vec![3, 1, 2, 4, 0xFF, 0xFF, 0, 0],
        vec![0, 0, 2, 4, 0xFF, 0xFF, 0, 0],
        vec![8, 200, 2, 4, 0xFF, 0xFF, 0, 0],
        vec![2, 3, 0xFF, 1],
        vec![1, 1, 1, 2],
        vec![1, 1, 2, 4],
        vec![1, 2, 4, 0xFF],
        vec![2, 0, 0xFF, 0xFF],
    ] {
        assert_eq!(clamped(&syn(tcp_over_v4(), &options), MTU), None, "{options:?}");
    }
}

#[test]
fn a_header_longer_than_the_packet_is_left_alone() {
    let mut bytes = syn(tcp_over_v4(), &mss(1460)).bytes();
    bytes[32] = 0xF0;
    assert!(is_tcp_syn(&bytes));
    assert!(!clamp(&mut bytes, MTU));
}

#[test]
fn a_tiny_mtu_leaves_the_smallest_mss_that_linux_uses() {
    for mtu in [0, 1, 39, 40, 60, 87, 88] {
        assert_eq!(clamped(&syn(tcp_over_v4(), &mss(1460)), mtu), Some(syn(tcp_over_v4(), &mss(48)).bytes()));
    }
    assert_eq!(clamped(&syn(tcp_over_v4(), &mss(1460)), 89), Some(syn(tcp_over_v4(), &mss(49)).bytes()));
}

#[test]
fn a_huge_mtu_changes_nothing() {
    for mtu in [65_575, 65_576, 100_000, usize::MAX] {
        assert_eq!(clamped(&syn(tcp_over_v4(), &mss(65_535)), mtu), None);
    }
}

proptest! {
    #[test]
    fn any_options_keep_their_length_and_a_right_checksum(
        options in prop::collection::vec(prop_oneof![Just(1_u8), Just(2), Just(4), any::<u8>()], 0..=10)
            .prop_map(|words| words.iter().flat_map(|byte| [*byte, 2, 4, *byte]).collect::<Vec<_>>()),
        mtu in 0..3000_usize,
        v6: bool,
    ) {
        let packet = syn(if v6 { tcp_over_v6() } else { tcp_over_v4() }, &options);
        let mut bytes = packet.bytes();
        clamp(&mut bytes, mtu);
        let transport = &bytes[packet.transport_start()..];
        let total = sum(transport) + packet.ip.pseudo_header_sum(6, transport.len());
        prop_assert_eq!(fold(total), 0xFFFF);
        let again = bytes.clone();
        prop_assert!(!clamp(&mut bytes, mtu), "clamping twice changes nothing more");
        prop_assert_eq!(bytes, again);
    }
}
