//! What merges, and what is then written to the device.

use ttun_packet::{CoalesceOptions, IpPacket, Run, VIRTIO_NET_HEADER_LEN, VirtioNetHeader};

use crate::device::{BOTH, decode, expand, gso, runs, write, written};
use crate::model::{
    self, ACK, DF, Ip, PSH, Packet, Transport, all_kinds, payload, tcp_over_v4, tcp_over_v6, udp_over_v4,
    udp_over_v6,
};

/// Packets that follow each other, with payloads of these lengths.
fn flow(first: &Packet, lens: &[usize]) -> Vec<Packet> {
    let mut packets: Vec<Packet> = vec![];
    for len in lens {
        packets.push(match packets.last() {
            None => Packet { payload: payload(*len), ..first.clone() },
            Some(packet) => packet.followed_by(payload(*len)),
        });
    }
    packets
}

fn parsed(bytes: &[u8]) -> IpPacket<&[u8]> {
    IpPacket::parse(bytes).unwrap()
}

fn bytes(packets: &[Packet]) -> Vec<Vec<u8>> {
    packets.iter().map(Packet::bytes).collect()
}

/// What the kernel expects of a super-packet: everything right but the transport checksum, which is the sum of
/// the pseudo header.
fn as_super_packet(packets: &[Packet]) -> Vec<u8> {
    let mut merged = packets[0].clone();
    merged.payload = packets.iter().flat_map(|packet| packet.payload.clone()).collect();
    if let (
        Transport::Tcp { flags, .. },
        Some(Packet { transport: Transport::Tcp { flags: last_flags, .. }, .. }),
    ) = (&mut merged.transport, packets.last())
    {
        *flags = *last_flags;
    }
    let mut bytes = merged.bytes();
    let transport = merged.transport_start();
    let sum = merged.ip.pseudo_header_sum(merged.protocol(), bytes.len() - transport);
    let at = transport + merged.checksum_offset();
    bytes[at..at + 2].copy_from_slice(&model::fold(sum).to_be_bytes());
    bytes
}

#[test]
fn neighbours_of_one_flow_become_one_super_packet() {
    for first in all_kinds() {
        let packets = flow(&first, &[1000, 1000, 1000, 10]);
        let writes = write(BOTH, &bytes(&packets));
        let [(4, bytes)] = &writes[..] else { unreachable!("{} writes", writes.len()) };
        assert_eq!(decode(bytes), gso(&first, 1000));
        assert_eq!(bytes[VIRTIO_NET_HEADER_LEN..], as_super_packet(&packets));
    }
}

#[test]
fn a_single_packet_is_written_unchanged() {
    for packet in all_kinds() {
        let writes = write(BOTH, &[packet.bytes()]);
        assert_eq!(writes, [(1, [vec![0; VIRTIO_NET_HEADER_LEN], packet.bytes()].concat())]);
    }
}

#[test]
fn an_empty_run_is_only_a_virtio_header() {
    let mut run = Run::new(BOTH);
    assert!(run.is_empty());
    assert_eq!(written(&mut run), VirtioNetHeader::NONE.encode());
}

#[test]
fn a_cleared_run_starts_a_new_flow() {
    let packets = bytes(&flow(&tcp_over_v4(), &[10, 10]));
    let mut run = Run::new(BOTH);
    assert!(run.push(&parsed(&packets[0])));
    run.clear();
    assert!(run.push(&parsed(&packets[1])));
    assert_eq!(written(&mut run), [&VirtioNetHeader::NONE.encode()[..], &packets[1]].concat());
}

#[test]
fn a_refused_packet_leaves_the_run_as_it_was() {
    for first in all_kinds() {
        let packets = bytes(&flow(&first, &[10, 10, 10]));
        let mut stray = packets[2].clone();
        *stray.last_mut().unwrap() ^= 1;
        let mut run = Run::new(BOTH);
        assert!(run.push(&parsed(&packets[0])) && run.push(&parsed(&packets[1])));
        let before = written(&mut run);
        assert!(!run.push(&parsed(&stray)));
        assert_eq!((run.len(), written(&mut run)), (2, before));
        assert!(run.push(&parsed(&packets[2])));
        assert!(run.packets().eq(&packets));
    }
}

#[test]
fn a_shorter_packet_ends_the_run() {
    for first in all_kinds() {
        assert_eq!(runs(&flow(&first, &[100, 100, 99, 99, 99, 1, 1])), [3, 3, 1]);
    }
}

#[test]
fn a_longer_packet_begins_a_new_run() {
    for first in all_kinds() {
        assert_eq!(runs(&flow(&first, &[100, 100, 101, 101])), [2, 2]);
    }
}

#[test]
fn a_run_holds_at_most_64_packets() {
    for first in all_kinds() {
        assert_eq!(runs(&flow(&first, &[10; 130])), [64, 64, 2]);
    }
}

#[test]
fn a_super_packet_is_at_most_65535_bytes_long() {
    for first in all_kinds() {
        let size = (65_535 - first.header_len()) / 40;
        let rest = 65_535 - first.header_len() - size * 40;
        assert_eq!(runs(&flow(&first, &[size; 42])), [40, 2]);
        let mut lens = [size; 41];
        lens[40] = rest;
        assert_eq!(runs(&flow(&first, &lens)), [41], "exactly 65,535 bytes fit");
        lens[40] = rest + 1;
        assert_eq!(runs(&flow(&first, &lens)), [40, 1]);
    }
}

#[test]
fn psh_ends_the_run_and_is_kept() {
    for first in [tcp_over_v4(), tcp_over_v6()] {
        let mut packets = flow(&first, &[100; 5]);
        for i in [1, 3] {
            let Transport::Tcp { flags, .. } = &mut packets[i].transport else { unreachable!() };
            *flags = ACK | PSH;
        }
        let writes = write(BOTH, &bytes(&packets));
        assert_eq!(writes.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(writes[0].1[VIRTIO_NET_HEADER_LEN..], as_super_packet(&packets[..2]));
        assert_eq!(writes.iter().flat_map(|(_, bytes)| expand(bytes)).collect::<Vec<_>>(), bytes(&packets));
    }
}

#[test]
fn sequence_numbers_and_ids_wrap_inside_a_run() {
    for mut first in all_kinds() {
        if let Ip::V4 { id, .. } = &mut first.ip {
            *id = 0xFFFF;
        }
        if let Transport::Tcp { sequence, .. } = &mut first.transport {
            *sequence = u32::MAX - 50;
        }
        let packets = flow(&first, &[100, 100, 100]);
        let writes = write(BOTH, &bytes(&packets));
        assert_eq!(writes.len(), 1);
        assert_eq!(expand(&writes[0].1), bytes(&packets));
    }
}

/// RFC 6864 section 4.1: such IDs carry no meaning.
#[test]
fn ipv4_ids_do_not_matter_with_df() {
    for first in [tcp_over_v4(), udp_over_v4()] {
        let mut packets = flow(&first, &[100, 100, 100]);
        for (packet, new_id) in packets.iter_mut().zip([7, 7, 0]) {
            let Ip::V4 { id, flags_and_offset, .. } = &mut packet.ip else { unreachable!() };
            (*id, *flags_and_offset) = (new_id, DF);
        }
        assert_eq!(runs(&packets), [3]);
    }
}

#[test]
fn packets_with_the_same_congestion_mark_merge() {
    for mut first in all_kinds() {
        match &mut first.ip {
            Ip::V4 { tos, .. } => *tos = 3,
            Ip::V6 { traffic_class, .. } => *traffic_class = 3,
        }
        let packets = flow(&first, &[100, 100]);
        let writes = write(BOTH, &bytes(&packets));
        assert_eq!(writes.len(), 1);
        assert_eq!(expand(&writes[0].1), bytes(&packets));
    }
}

#[test]
fn tcp_merges_without_options_and_with_40_bytes_of_them() {
    for first in [tcp_over_v4(), tcp_over_v6()] {
        for len in [0, 40] {
            let mut first = first.clone();
            let Transport::Tcp { options, .. } = &mut first.transport else { unreachable!() };
            *options = vec![1; len];
            let packets = flow(&first, &[100, 100]);
            let writes = write(BOTH, &bytes(&packets));
            assert_eq!(writes[0].1[VIRTIO_NET_HEADER_LEN..], as_super_packet(&packets));
        }
    }
}

#[test]
fn only_what_the_device_accepts_is_merged() {
    let tcp = [tcp_over_v4(), tcp_over_v6()].map(|first| bytes(&flow(&first, &[10, 10])));
    let udp = [udp_over_v4(), udp_over_v6()].map(|first| bytes(&flow(&first, &[10, 10])));
    for packets in tcp {
        assert_eq!(write(CoalesceOptions { tcp: true, udp: false }, &packets).len(), 1);
        assert_eq!(write(CoalesceOptions { tcp: false, udp: true }, &packets).len(), 2);
    }
    for packets in udp {
        assert_eq!(write(CoalesceOptions { tcp: true, udp: false }, &packets).len(), 2);
        assert_eq!(write(CoalesceOptions { tcp: false, udp: true }, &packets).len(), 1);
    }
}

#[test]
fn bytes_after_the_packets_are_cut_off_before_they_merge() {
    for first in all_kinds() {
        let packets = bytes(&flow(&first, &[100, 100]));
        let padded: Vec<_> = packets.iter().map(|packet| [&packet[..], &[0; 2]].concat()).collect();
        let writes = write(BOTH, &padded);
        assert_eq!(writes.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [2]);
        assert_eq!(expand(&writes[0].1), packets);
    }
}

#[test]
fn interleaved_flows_keep_their_order_and_do_not_merge() {
    let one = flow(&tcp_over_v4(), &[10, 10]);
    let two = flow(&udp_over_v4(), &[10, 10]);
    let packets = [&one[0], &two[0], &one[1], &two[1]].map(Packet::bytes);
    let writes = write(BOTH, &packets);
    assert_eq!(writes.len(), 4);
    assert!(writes.iter().zip(&packets).all(|((_, bytes), packet)| bytes.ends_with(packet)));
}
