//! UDP checksums that compute to zero, which must be sent as 0xFFFF (RFC 768), and TCP's, which must not.

use ttun_packet::VirtioNetHeader;

use crate::device::{self, gso, read};
use crate::model::{self, Packet, Transport, all_kinds};

/// Changes the first two payload bytes so that the checksum computes to zero.
fn with_zero_checksum(packet: &Packet) -> Packet {
    let mut packet = packet.clone();
    packet.payload[..2].fill(0);
    let at = packet.transport_start() + packet.checksum_offset();
    let mut missing = [packet.bytes()[at], packet.bytes()[at + 1]];
    if missing == [0xFF, 0xFF] && matches!(packet.transport, Transport::Udp { .. }) {
        missing = [0, 0];
    }
    packet.payload[..2].copy_from_slice(&missing);
    let expected = if packet.protocol() == 17 { [0xFF, 0xFF] } else { [0, 0] };
    assert_eq!(packet.bytes()[at..at + 2], expected, "the test packet is wrong");
    packet
}

/// Three packets of one flow whose checksums all compute to zero.
fn flow(first: &Packet) -> Vec<Packet> {
    let first = with_zero_checksum(first);
    let second = with_zero_checksum(&first.followed_by(model::payload(100)));
    let third = with_zero_checksum(&second.followed_by(model::payload(50)));
    vec![first, second, third]
}

fn bytes(packets: &[Packet]) -> Vec<Vec<u8>> {
    packets.iter().map(Packet::bytes).collect()
}

#[test]
fn every_packet_cut_from_a_super_packet_has_the_right_form_of_zero() {
    for first in all_kinds() {
        let packets = flow(&first);
        let payload = packets.iter().flat_map(|packet| packet.payload.clone()).collect();
        let super_packet = Packet { payload, ..packets[0].clone() };
        assert_eq!(read(gso(&super_packet, 100), &super_packet.bytes()).unwrap(), bytes(&packets));
    }
}

#[test]
fn a_completed_checksum_has_the_right_form_of_zero() {
    for packet in all_kinds() {
        let packet = with_zero_checksum(&packet);
        let mut partial = packet.bytes();
        let at = packet.transport_start() + packet.checksum_offset();
        let sum = packet.ip.pseudo_header_sum(packet.protocol(), partial.len() - packet.transport_start());
        partial[at..at + 2].copy_from_slice(&model::fold(sum).to_be_bytes());
        let virtio = VirtioNetHeader { gso_type: VirtioNetHeader::GSO_NONE, gso_size: 0, ..gso(&packet, 0) };
        assert_eq!(read(virtio, &partial).unwrap(), [packet.bytes()]);
    }
}

#[test]
fn packets_with_such_checksums_merge_and_come_out_the_same() {
    for first in all_kinds() {
        let packets = bytes(&flow(&first));
        let writes = device::write(device::BOTH, &packets);
        assert_eq!(writes.len(), 1);
        assert_eq!(device::expand(&writes[0].1), packets);
    }
}

#[test]
fn the_other_form_of_zero_keeps_a_packet_alone() {
    for first in all_kinds() {
        let mut packets = bytes(&flow(&first));
        let at = first.transport_start() + first.checksum_offset();
        for byte in &mut packets[1][at..at + 2] {
            *byte = !*byte;
        }
        let writes = device::write(device::BOTH, &packets);
        assert_eq!(writes.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(writes.iter().flat_map(|(_, bytes)| device::expand(bytes)).collect::<Vec<_>>(), packets);
    }
}

#[test]
fn the_other_form_of_zero_in_the_ipv4_header_keeps_a_packet_alone() {
    let mut packets: Vec<Packet> = vec![model::tcp_over_v4()];
    packets.push(packets[0].followed_by(model::payload(100)));
    // Choose addresses of the flow so that the second header sums to zero.
    for packet in &mut packets {
        let model::Ip::V4 { source, .. } = &mut packet.ip else { unreachable!() };
        source[..2].fill(0);
    }
    let missing = [packets[1].bytes()[10], packets[1].bytes()[11]];
    for packet in &mut packets {
        let model::Ip::V4 { source, .. } = &mut packet.ip else { unreachable!() };
        source[..2].copy_from_slice(&missing);
    }
    let mut packets = bytes(&packets);
    assert_eq!(packets[1][10..12], [0, 0]);
    assert_eq!(device::write(device::BOTH, &packets).len(), 1);
    packets[1][10..12].fill(0xFF);
    assert_eq!(device::write(device::BOTH, &packets).len(), 2);
}
