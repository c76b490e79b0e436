//! Packets that enter at one end come out at the other: all of them, unchanged, in order.

use ttun_packet::CoalesceOptions;

use super::packet::{Read, tcp_super_packet, udp, udp_flow, udp_from};
use super::site::{Site, running};

/// Sends `reads` from one end of a tunnel to the other; returns the packets that arrive, and the number of packets in each write.
fn carried(near: &Site, far: &Site, reads: Vec<Read>) -> (Vec<Vec<u8>>, Vec<usize>) {
    let ended = running([near, far], async {
        near.device.hand_over_reads(reads);
        near.settled().await;
        far.settled().await;
    });
    assert!(ended.iter().all(Result::is_ok));
    assert!(near.context.errors.occurred().is_empty() && far.context.errors.occurred().is_empty());
    (far.device.taken(), far.device.writes())
}

#[test]
fn packets_of_both_families_and_all_sizes_pass_in_both_directions() {
    let (near, far) = Site::pair();
    let there = [udp(1, 28), udp(2, 1400), udp_from("10.0.2.7"), udp_from("fd00::7"), udp(3, 9000)];
    let back = [udp(4, 65_507), udp_from("fd00::8"), udp(5, 100)];
    let ended = running([&near, &far], async {
        near.device.hand_over(&there);
        far.device.hand_over(&back);
        near.settled().await;
        far.settled().await;
    });
    assert!(ended.iter().all(Result::is_ok));
    assert_eq!(far.device.taken(), there);
    assert_eq!(near.device.taken(), back);
}

#[test]
fn a_tcp_super_packet_crosses_as_datagrams_and_becomes_a_super_packet_again() {
    let (near, far) = Site::pair();
    let (read, packets) = tcp_super_packet(60_000, 1400);
    let (taken, writes) = carried(&near, &far, vec![read]);
    assert_eq!(taken, packets);
    assert_eq!(writes, [packets.len()]);
}

#[test]
fn the_order_of_packets_of_all_kinds_is_kept() {
    let (near, far) = Site::pair();
    let mut reads = vec![];
    let mut packets = vec![];
    for round in 0..20 {
        let (read, cut) = tcp_super_packet(9_000 + usize::from(round) * 700, 1300);
        reads.push(read);
        packets.extend(cut);
        for packet in [udp(round, 400), udp(round, 400), udp(round, 90), udp_from("fd00::7")] {
            reads.push((ttun_packet::VirtioNetHeader::NONE, packet.clone()));
            packets.push(packet);
        }
    }
    assert_eq!(carried(&near, &far, reads).0, packets);
}

#[test]
fn a_device_without_super_packets_gets_packets_one_by_one() {
    let (near, mut far) = Site::pair();
    far.coalesce = CoalesceOptions { tcp: false, udp: false };
    let (read, packets) = tcp_super_packet(20_000, 1000);
    assert_eq!(carried(&near, &far, vec![read]), (packets, vec![1; 20]));
}

#[test]
fn a_device_that_unexpectedly_refuses_super_packets_gets_packets_one_by_one() {
    let (near, far) = Site::pair();
    far.device.refuse_super_packets();
    let (read, packets) = tcp_super_packet(20_000, 1000);
    assert_eq!(carried(&near, &far, vec![read]), (packets, vec![1; 20]));
}

#[test]
fn a_socket_that_cannot_segment_sends_packets_one_by_one() {
    let (mut near, far) = Site::pair();
    near.segments_per_send = 1;
    near.socket.lose_segmentation();
    let (read, packets) = tcp_super_packet(20_000, 1000);
    assert_eq!(carried(&near, &far, vec![read]).0, packets);
    assert_eq!(near.socket.sends(), [1; 20]);
}

#[test]
fn a_socket_that_cannot_join_receives_packets_one_by_one() {
    let (near, far) = Site::pair();
    far.socket.receive_singly();
    let packets = udp_flow(20, 500);
    let reads = packets.iter().map(|packet| (ttun_packet::VirtioNetHeader::NONE, packet.clone())).collect();
    assert_eq!(carried(&near, &far, reads), (packets, vec![1; 20]));
    assert_eq!(far.context.decap.receives.get(), 20);
}

#[test]
fn losses_of_the_receive_buffer_are_reported_as_by_the_kernel() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.set_overflow(7);
        site.socket.arrive(&[udp(0, 100)]);
        site.settled().await;
        site.socket.set_overflow(9);
        site.socket.arrive(&[udp(1, 100)]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.context.receive_overflow.load(std::sync::atomic::Ordering::Relaxed), 9);
}
