//! Hostile bytes: nothing panics, nothing refers to bytes outside the packet, and nothing is changed in transit.

use std::net::SocketAddr;

use proptest::prelude::*;
use ttun_packet::{
    EchoReply, IcmpFragments, Invalid, IpPacket, LoopGuard, MAX_SEGMENT_HEADER_LEN, SourceFilter, Verdict,
    VirtioNetHeader, clamp_mss,
};

use crate::device::{BOTH, expand, gso, segments, without_atomic_ids, write};
use crate::model::{all_kinds, fold, payload, sum};
use crate::strategy;

fn random_bytes() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(any::<u8>(), 0..200), prop_oneof![Just(None), Just(Some(0x45)), Just(Some(0x60))])
        .prop_map(|(mut bytes, first)| {
            if let (Some(to), Some(first)) = (bytes.first_mut(), first) {
                *to = first;
            }
            bytes
        })
}

/// A valid packet with some bytes changed, most of them in the header, and perhaps cut short.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let mutations = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let cut = prop_oneof![3 => Just(usize::MAX), 1 => 0..200_usize];
    (strategy::super_packet(), mutations, cut).prop_map(|(packet, mutations, cut)| {
        let mut bytes = packet.bytes();
        let header_len = packet.header_len();
        for (index, byte) in mutations {
            bytes[index.index(header_len)] = byte;
        }
        bytes.truncate(cut);
        bytes
    })
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![random_bytes(), mutated()]
}

fn any_virtio() -> impl Strategy<Value = VirtioNetHeader> {
    let gso_type =
        prop_oneof![4 => prop::sample::select(vec![0_u8, 1, 3, 4, 5, 0x81, 0x84]), 1 => any::<u8>()];
    let small = || prop_oneof![0..100_u16, any::<u16>()];
    (0..4_u8, gso_type, any::<u16>(), small(), small(), small()).prop_map(
        |(flags, gso_type, hdr_len, gso_size, csum_start, csum_offset)| VirtioNetHeader {
            flags,
            gso_type,
            hdr_len,
            gso_size,
            csum_start,
            csum_offset,
        },
    )
}

/// Makes the checksums of a packet right, if it has any, so that changes elsewhere reach the rules after them.
fn repair_checksums(bytes: &mut [u8]) {
    if bytes.len() < 48 {
        return;
    }
    let (protocol, transport, addresses) = if bytes[0] == 0x45 {
        bytes[10..12].fill(0);
        let checksum = !fold(sum(&bytes[..20]));
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
        (bytes[9], 20, sum(&bytes[12..20]))
    } else {
        (bytes[6], 40, sum(&bytes[8..40]))
    };
    let at = transport + if protocol == 6 { 16 } else { 6 };
    if at + 2 <= bytes.len() {
        bytes[at..at + 2].fill(0);
        let total =
            sum(&bytes[transport..]) + addresses + u64::from(protocol) + (bytes.len() - transport) as u64;
        let checksum = if fold(total) == 0xFFFF { 0xFFFF } else { !fold(total) };
        bytes[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Two packets of one flow, one of them or both changed somewhere, with or without repaired checksums.
fn changed_neighbours() -> impl Strategy<Value = [Vec<u8>; 2]> {
    (0..4_usize, any::<prop::sample::Index>(), 1..=255_u8, 1..=3_u8, any::<bool>()).prop_map(
        |(kind, index, bits, which, repaired)| {
            let first = &all_kinds()[kind];
            let mut packets = [first.bytes(), first.followed_by(payload(100)).bytes()];
            for (i, packet) in packets.iter_mut().enumerate() {
                if which & (1 << i) != 0 {
                    packet[index.index(first.header_len() + 4)] ^= bits;
                }
                if repaired {
                    repair_checksums(packet);
                }
            }
            packets
        },
    )
}

/// Those of `packets` that are valid, without the bytes after them.
fn valid(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let packets = packets.iter().filter_map(|bytes| IpPacket::parse(bytes).ok());
    packets.map(|packet| packet.bytes().to_vec()).collect()
}

proptest! {
    #[test]
    fn echo_replies_are_looked_for_in_anything(bytes in any_bytes()) {
        let Ok(packet) = IpPacket::parse(&bytes) else { return Ok(()) };
        if EchoReply::read(&packet).is_some_and(|reply| reply.len != packet.bytes().len()) {
            return Err(TestCaseError::fail("another length"));
        }
        let _ = (EchoReply::may_be_in(&bytes), IcmpFragments::of(&packet));
    }

    #[test]
    fn segments_stay_inside_the_packet(bytes in any_bytes(), virtio in any_virtio(), index: usize) {
        let mut bytes = bytes;
        let len = bytes.len();
        let Ok(segments) = segments(virtio, &mut bytes) else { return Ok(()) };
        prop_assert_eq!(bytes.len(), len);
        let count = segments.count();
        prop_assert!((1..=65_536).contains(&count));
        prop_assert!(segments.header_len() <= MAX_SEGMENT_HEADER_LEN);
        let mut end = segments.header_len();
        for i in 0..count {
            let payload = segments.payload(i);
            prop_assert_eq!(payload.start, end);
            prop_assert!(payload.start <= payload.end && payload.end <= len);
            end = payload.end;
        }
        prop_assert_eq!(IpPacket::parse(&bytes).unwrap().bytes().len(), end);
        let mut out = [0; MAX_SEGMENT_HEADER_LEN];
        for i in [0, 1, count / 2, count - 1, count, index] {
            prop_assert_eq!(segments.write_header(i, &bytes, &mut out).is_some(), i < count);
            let _ = segments.write_header(i, &bytes[..len / 2], &mut out[..30]);
            prop_assert!(segments.payload(i).end <= len);
            prop_assert!(segments.packet_len(i) <= len);
        }
    }

    #[test]
    fn a_packet_that_is_refused_or_ordinary_is_not_changed(bytes in any_bytes(), virtio in any_virtio()) {
        let mut after = bytes.clone();
        let outcome = segments(virtio, &mut after);
        if outcome.is_err() || virtio.flags & VirtioNetHeader::FLAG_NEEDS_CSUM == 0 {
            prop_assert_eq!(after, bytes);
        }
    }

    #[test]
    fn every_valid_packet_comes_out_as_it_was(packets in prop::collection::vec(any_bytes(), 1..6)) {
        let packets = valid(&packets);
        let writes = write(BOTH, &packets);
        let came_out: Vec<_> = writes.iter().flat_map(|(_, write)| expand(write)).collect();
        prop_assert_eq!(without_atomic_ids(&came_out), without_atomic_ids(&packets));
    }

    #[test]
    fn neighbours_changed_anywhere_come_out_as_they_were(packets in changed_neighbours()) {
        let packets = valid(&packets);
        let writes = write(BOTH, &packets);
        let came_out: Vec<_> = writes.iter().flat_map(|(_, write)| expand(write)).collect();
        prop_assert_eq!(without_atomic_ids(&came_out), without_atomic_ids(&packets));
    }

    #[test]
    fn filters_and_clamp_accept_any_bytes(bytes in any_bytes(), mtu: usize, small_mtu in 0..2000_usize) {
        let mut bytes = bytes;
        let filter = SourceFilter::new(&[([10, 0, 0, 0].into(), 8)]).unwrap();
        let first_of_source = bytes.get(12).copied();
        let Ok(mut packet) = IpPacket::parse_mut(&mut bytes) else { return Ok(()) };
        prop_assert!(!filter.allows(&packet) || first_of_source == Some(10));
        let [local, remote] = [1, 2].map(|host| SocketAddr::from(([192, 0, 2, host], 8000)));
        for is_super_packet in [true, false] {
            let verdict = LoopGuard::new(local, remote).examine(&packet, is_super_packet);
            prop_assert_ne!(verdict, Verdict::Loops);
        }
        let syn = packet.is_tcp_syn();
        for mtu in [mtu, small_mtu] {
            prop_assert!(!clamp_mss(&mut packet, mtu) || syn);
        }
    }
}

#[test]
fn an_endless_chain_of_extension_headers_ends_with_the_packet() {
    for number in [0, 43, 60, 44] {
        let mut bytes = vec![number; 65_535];
        bytes[0] = 0x60;
        bytes[4..6].copy_from_slice(&(65_535_u16 - 40).to_be_bytes());
        for header in bytes[40..].chunks_mut(8).filter(|header| header.len() > 3) {
            header[1..4].fill(0);
        }
        let packet = IpPacket::parse(&bytes).unwrap();
        assert!(!packet.is_tcp_syn());
        let peer: SocketAddr = "[2c2c:2c2c:2c2c:2c2c:2c2c:2c2c:2c2c:2c2c]:1".parse().unwrap();
        assert_eq!(LoopGuard::new(peer, peer).examine(&packet, false), Verdict::Passes);
        assert!(segments(gso(&all_kinds()[1], 100), &mut bytes).is_err());
    }
}

#[test]
fn a_truncated_packet_is_neither_segmented_nor_coalesced() {
    for whole in all_kinds() {
        let bytes = whole.bytes();
        for len in 0..=bytes.len() {
            let mut short = bytes[..len].to_vec();
            assert_eq!(segments(gso(&whole, 30), &mut short).is_ok(), len == bytes.len());
            if len < bytes.len() {
                let expected = if len == 0 { Invalid::Empty } else { Invalid::Malformed };
                assert_eq!(IpPacket::parse(&short).err(), Some(expected));
            }
        }
    }
}
