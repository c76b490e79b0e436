//! Segmenting super-packets.

use proptest::prelude::*;
use ttun_packet::{
    Invalid::{self, Malformed},
    MAX_SEGMENT_HEADER_LEN, VirtioNetHeader,
};

use crate::device::{gso, read, segments};
use crate::model::{
    self, ACK, CWR, FIN, Ip, PSH, Packet, Transport, all_kinds, tcp_over_v4, tcp_over_v6, udp_over_v4,
    udp_over_v6,
};
use crate::strategy;

fn cut(packet: &Packet, size: u16) -> Vec<Vec<u8>> {
    read(gso(packet, size), &packet.bytes()).unwrap_or_default()
}

fn expected(packet: &Packet, size: u16) -> Vec<Vec<u8>> {
    packet.cut(size.into()).iter().map(Packet::bytes).collect()
}

fn is_malformed(virtio: VirtioNetHeader, packet: &Packet) -> bool {
    read(virtio, &packet.bytes()) == Err(Malformed)
}

proptest! {
    #[test]
    fn segmentation_gives_what_a_network_card_would_send(
        packet in strategy::super_packet(),
        size in prop_oneof![1..20_u16, 20..1500_u16, any::<u16>().prop_map(|size| size.max(1))],
        hdr_len: u16,
        left_in_checksum_fields in prop_oneof![Just([0; 2]), any::<[u8; 2]>()],
        left_in_udp_length: [u8; 2],
        ecn_bit: bool,
    ) {
        let mut bytes = packet.bytes();
        let transport = packet.transport_start();
        let checksum = transport + packet.checksum_offset();
        bytes[checksum..checksum + 2].copy_from_slice(&left_in_checksum_fields);
        if let Ip::V4 { .. } = packet.ip {
            bytes[10..12].copy_from_slice(&left_in_checksum_fields);
        }
        if let Transport::Udp { .. } = packet.transport {
            bytes[transport + 4..transport + 6].copy_from_slice(&left_in_udp_length);
        }
        let mut virtio = VirtioNetHeader { hdr_len, ..gso(&packet, size) };
        if ecn_bit {
            virtio.gso_type |= VirtioNetHeader::GSO_ECN;
        }
        prop_assert_eq!(read(virtio, &bytes).unwrap(), expected(&packet, size));
    }

    #[test]
    fn a_partial_checksum_is_completed_where_the_virtio_header_says(
        packet in strategy::super_packet(),
        tunnel in strategy::payload(0..40),
    ) {
        // The payload of an outer packet: any bytes, and after them what the checksum covers.
        let mut covered = packet.bytes().split_off(packet.transport_start());
        let partial = model::fold(packet.ip.pseudo_header_sum(packet.protocol(), covered.len()));
        let at = packet.checksum_offset();
        let complete = covered.clone();
        covered[at..at + 2].copy_from_slice(&partial.to_be_bytes());
        let outer = |inner: &[u8]| {
            let payload = [&tunnel[..], inner].concat();
            Packet { payload, transport: udp_over_v4().transport, ..packet.clone() }
        };
        let start = outer(&[]).header_len() + tunnel.len();
        let mut bytes = outer(&covered).bytes();
        let virtio = VirtioNetHeader {
            flags: VirtioNetHeader::FLAG_NEEDS_CSUM,
            csum_start: start as u16,
            csum_offset: at as u16,
            ..VirtioNetHeader::NONE
        };
        let before = bytes[..start].to_vec();
        let packets = read(virtio, &bytes).unwrap();
        bytes.truncate(start);
        prop_assert_eq!(packets, vec![[before, complete].concat()]);
    }
}

#[test]
fn an_ordinary_packet_goes_out_as_it_is() {
    for packet in all_kinds() {
        let mut bytes = packet.bytes();
        let segments = segments(VirtioNetHeader::NONE, &mut bytes).unwrap();
        assert_eq!(bytes, packet.bytes());
        assert_eq!((segments.count(), segments.header_len()), (1, 0));
        assert_eq!((segments.payload(0), segments.packet_len(0)), (0..bytes.len(), bytes.len()));
        let mut out = [0x77; 4];
        assert_eq!(segments.write_header(0, &bytes, &mut out), Some(&bytes[..]));
        assert_eq!(out, [0x77; 4]);
    }
}

#[test]
fn a_wrong_checksum_of_an_ordinary_packet_stays_wrong() {
    let packet = Packet { checksum_error: 0x0100, ..tcp_over_v4() };
    assert_eq!(read(VirtioNetHeader::NONE, &packet.bytes()).unwrap(), [packet.bytes()]);
}

#[test]
fn bytes_after_the_packet_are_cut_off() {
    for packet in all_kinds() {
        let long = [packet.bytes(), vec![0xEE; 7]].concat();
        assert_eq!(read(VirtioNetHeader::NONE, &long).unwrap(), [packet.bytes()]);
        assert_eq!(read(gso(&packet, 30), &long).unwrap(), expected(&packet, 30));
        let virtio = VirtioNetHeader { gso_type: 0, gso_size: 0, ..gso(&packet, 1) };
        let mut partial = long.clone();
        let checksum = packet.transport_start() + packet.checksum_offset();
        let pseudo_header =
            packet.ip.pseudo_header_sum(packet.protocol(), packet.bytes().len() - packet.transport_start());
        partial[checksum..checksum + 2].copy_from_slice(&model::fold(pseudo_header).to_be_bytes());
        assert_eq!(read(virtio, &partial).unwrap(), [packet.bytes()]);
    }
}

#[test]
fn a_super_packet_of_one_packet_still_gets_its_header_rebuilt() {
    for packet in all_kinds() {
        let mut bytes = packet.bytes();
        let checksum = packet.transport_start() + packet.checksum_offset();
        bytes[checksum..checksum + 2].fill(0x55);
        for size in [100, 101, 65_535] {
            let segments = segments(gso(&packet, size), &mut bytes).unwrap();
            assert_eq!((segments.count(), segments.header_len()), (1, packet.header_len()));
            assert_eq!(read(gso(&packet, size), &bytes).unwrap(), [packet.bytes()]);
        }
    }
}

#[test]
fn a_super_packet_without_payload_is_one_packet() {
    for packet in all_kinds() {
        let packet = Packet { payload: vec![], ..packet };
        assert_eq!(cut(&packet, 1000), [packet.bytes()]);
    }
}

#[test]
fn ipv4_ids_count_up_and_wrap() {
    let mut packet = tcp_over_v4();
    let Ip::V4 { id, .. } = &mut packet.ip else { unreachable!() };
    *id = 0xFFFE;
    let ids: Vec<_> = cut(&packet, 30).iter().map(|packet| [packet[4], packet[5]]).collect();
    assert_eq!(ids, [[0xFF, 0xFE], [0xFF, 0xFF], [0, 0], [0, 1]]);
}

#[test]
fn sequence_numbers_wrap() {
    let mut packet = tcp_over_v6();
    let Transport::Tcp { sequence, .. } = &mut packet.transport else { unreachable!() };
    *sequence = u32::MAX - 29;
    let sequences: Vec<_> = cut(&packet, 30).iter().map(|packet| packet[44..48].to_vec()).collect();
    assert_eq!(sequences, [[0xFF, 0xFF, 0xFF, 0xE2], [0, 0, 0, 0], [0, 0, 0, 30], [0, 0, 0, 60]]);
}

#[test]
fn fin_and_psh_are_on_the_last_packet_only_and_cwr_on_the_first_only() {
    let mut packet = tcp_over_v4();
    let Transport::Tcp { flags, .. } = &mut packet.transport else { unreachable!() };
    *flags = ACK | FIN | PSH | CWR;
    let flags: Vec<_> = cut(&packet, 40).iter().map(|packet| packet[33]).collect();
    assert_eq!(flags, [ACK | CWR, ACK, ACK | FIN | PSH]);
}

#[test]
fn tiny_segments_come_in_thousands() {
    let packet = Packet { payload: model::payload(60_000), ..udp_over_v6() };
    let packets = cut(&packet, 8);
    assert_eq!(packets.len(), 7500);
    assert_eq!(packets, expected(&packet, 8));
}

#[test]
fn the_longest_packets_are_segmented() {
    for packet in all_kinds() {
        let longest = 65_535
            - if matches!(packet.ip, Ip::V4 { .. }) { packet.header_len() } else { packet.header_len() - 40 };
        let packet = Packet { payload: model::payload(longest), ..packet };
        assert_eq!(cut(&packet, 1448), expected(&packet, 1448));
    }
}

#[test]
fn a_udp_sender_that_chose_no_checksum_gets_none() {
    let mut packet = udp_over_v4();
    packet.transport = Transport::Udp { ports: [1, 2], checksum: false };
    let without_checksum = VirtioNetHeader { flags: 0, ..gso(&packet, 30) };
    assert_eq!(read(without_checksum, &packet.bytes()).unwrap(), expected(&packet, 30));
}

#[test]
fn a_super_packet_with_a_complete_checksum_is_cut_too() {
    for packet in all_kinds() {
        let complete = VirtioNetHeader { flags: 0, csum_start: 0, csum_offset: 0, ..gso(&packet, 30) };
        assert_eq!(read(complete, &packet.bytes()).unwrap(), expected(&packet, 30));
    }
}

/// The pseudo header has the final destination, and the kernel has left its sum in the checksum field.
fn keeps_its_final_destination(packet: &Packet) {
    let mut bytes = packet.bytes();
    let len = bytes.len() - packet.transport_start();
    let partial = model::fold(packet.ip.pseudo_header_sum(packet.protocol(), len));
    let checksum = packet.transport_start() + packet.checksum_offset();
    bytes[checksum..checksum + 2].copy_from_slice(&partial.to_be_bytes());
    assert_eq!(read(gso(packet, 30), &bytes), Ok(expected(packet, 30)));
}

/// RFC 8200 section 8.1.
#[test]
fn a_routing_header_with_stops_left_keeps_the_final_destination_in_the_checksum() {
    for mut packet in [tcp_over_v6(), udp_over_v6()] {
        let Ip::V6 { extensions, final_destination, .. } = &mut packet.ip else { unreachable!() };
        let mut routing = vec![0; 24];
        routing[1..4].copy_from_slice(&[2, 4, 1]);
        routing[8..].fill(0x2A);
        *final_destination = Some([0x2A; 16]);
        *extensions = vec![(43, routing)];
        keeps_its_final_destination(&packet);
        let complete = VirtioNetHeader { flags: 0, ..gso(&packet, 30) };
        assert!(is_malformed(complete, &packet), "there is no partial sum to use");
    }
}

#[test]
fn a_source_route_with_stops_left_keeps_the_final_destination_in_the_checksum() {
    for mut packet in [tcp_over_v4(), udp_over_v4()] {
        for kind in [131, 137] {
            let Ip::V4 { options, final_destination, .. } = &mut packet.ip else { unreachable!() };
            *options = vec![1, 7, 4, 5, 0, kind, 7, 4, 10, 9, 8, 7];
            options[1..5].copy_from_slice(&[148, 4, 0, 0]);
            *final_destination = Some([10, 9, 8, 7]);
            keeps_its_final_destination(&packet);
        }
    }
}

#[test]
fn a_source_route_at_its_end_has_the_destination_of_the_header() {
    let mut packet = tcp_over_v4();
    let Ip::V4 { options, .. } = &mut packet.ip else { unreachable!() };
    *options = vec![131, 7, 8, 10, 9, 8, 7, 0];
    assert_eq!(cut(&packet, 30), expected(&packet, 30));
    let complete = VirtioNetHeader { flags: 0, ..gso(&packet, 30) };
    assert_eq!(read(complete, &packet.bytes()), Ok(expected(&packet, 30)));
}

#[test]
fn a_segment_size_of_zero_is_malformed() {
    for packet in all_kinds() {
        assert!(is_malformed(gso(&packet, 0), &packet));
    }
}

#[test]
fn a_type_that_does_not_fit_the_protocol_is_malformed() {
    let kinds = all_kinds();
    for packet in &kinds {
        let right = gso(packet, 30).gso_type;
        for gso_type in (1..=0x7F_u8).filter(|gso_type| *gso_type != right) {
            assert!(is_malformed(VirtioNetHeader { gso_type, ..gso(packet, 30) }, packet), "type {gso_type}");
        }
    }
}

#[test]
fn fragments_are_not_super_packets() {
    for packet in [tcp_over_v4(), udp_over_v4()] {
        for fragment in [0x2000, 0x0001] {
            let mut packet = packet.clone();
            let Ip::V4 { flags_and_offset, .. } = &mut packet.ip else { unreachable!() };
            *flags_and_offset = fragment;
            assert!(is_malformed(gso(&packet, 30), &packet));
        }
    }
    for mut packet in [tcp_over_v6(), udp_over_v6()] {
        let Ip::V6 { extensions, .. } = &mut packet.ip else { unreachable!() };
        *extensions = vec![(44, vec![0; 8])];
        assert!(is_malformed(gso(&packet, 30), &packet));
    }
}

#[test]
fn headers_longer_than_the_side_buffer_are_malformed() {
    let with_extensions = |len: usize| {
        let mut packet = tcp_over_v6();
        let Ip::V6 { extensions, .. } = &mut packet.ip else { unreachable!() };
        let mut options = vec![0; len];
        options[1] = (len / 8 - 1) as u8;
        *extensions = vec![(60, options)];
        packet
    };
    let fits = with_extensions(MAX_SEGMENT_HEADER_LEN - 72);
    assert_eq!(fits.header_len(), MAX_SEGMENT_HEADER_LEN);
    assert_eq!(cut(&fits, 30), expected(&fits, 30));
    assert!(is_malformed(gso(&fits, 30), &with_extensions(MAX_SEGMENT_HEADER_LEN - 72 + 8)));
}

#[test]
fn a_tcp_header_shorter_than_five_words_or_longer_than_the_packet_is_malformed() {
    let packet = Packet { payload: vec![0; 8], ..tcp_over_v4() };
    for words in (0..5).chain(11..16) {
        let mut bytes = packet.bytes();
        bytes[32] = words << 4;
        assert_eq!(read(gso(&packet, 30), &bytes), Err(Malformed), "{words} words");
    }
}

#[test]
fn a_checksum_to_complete_outside_the_packet_is_malformed() {
    for packet in all_kinds() {
        let len = packet.bytes().len() as u16;
        for (csum_start, csum_offset) in
            [(0, 16), (19, 0), (len - 1, 0), (len, 0), (len - 16, 15), (40, len), (65_535, 0), (40, 65_535)]
        {
            let virtio = VirtioNetHeader {
                flags: VirtioNetHeader::FLAG_NEEDS_CSUM,
                csum_start,
                csum_offset,
                ..VirtioNetHeader::NONE
            };
            assert!(is_malformed(virtio, &packet), "{csum_start}+{csum_offset}");
        }
    }
}

#[test]
fn bytes_that_are_not_a_packet_are_malformed() {
    for bytes in
        [vec![0x45], vec![0x45; 19], vec![0; 100], vec![0x60; 39], tcp_over_v4().bytes()[..151].to_vec()]
    {
        assert_eq!(read(VirtioNetHeader::NONE, &bytes), Err(Malformed));
    }
    assert_eq!(read(VirtioNetHeader::NONE, &[]), Err(Invalid::Empty));
}

#[test]
fn past_the_last_packet_nothing_is_written() {
    let packet = tcp_over_v4();
    let mut bytes = packet.bytes();
    let segments = segments(gso(&packet, 30), &mut bytes).unwrap();
    for index in [4, 5, usize::MAX] {
        assert!(segments.payload(index).is_empty());
        let mut out = [0x77; 100];
        assert_eq!(segments.write_header(index, &bytes, &mut out), None);
        assert_eq!(out, [0x77; 100]);
    }
}

#[test]
fn a_buffer_that_is_too_short_is_not_written_to() {
    let packet = tcp_over_v4();
    let mut bytes = packet.bytes();
    let segments = segments(gso(&packet, 30), &mut bytes).unwrap();
    let mut out = [0x77; 51];
    assert_eq!(segments.write_header(0, &bytes, &mut out), None);
    assert_eq!(out, [0x77; 51]);
    let mut out = [0x77; 52];
    assert_eq!(segments.write_header(3, &bytes[..151], &mut out), None);
    assert_eq!(out, [0x77; 52]);
}
