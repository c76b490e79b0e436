//! The queue before the socket: packets that wait for it.

use ttun_packet::{IpPacket, VirtioNetHeader};

use super::packet::{by_flow, tcp_super_packet, udp, udp_flow};
use super::site::{Site, running};
use crate::EncapDrop;
use crate::io::DatagramSocket;
use crate::options::QueueOptions;
use crate::queue::Queue;

/// A UDP packet of another flow than those of [`udp`].
fn other_flow(len: usize) -> Vec<u8> {
    let mut packet = udp(0, len);
    packet[20] ^= 0x10;
    packet
}

/// The packet with this ECN field, and the right checksum.
fn with_ecn(mut packet: Vec<u8>, ecn: u8) -> Vec<u8> {
    packet[1] = ecn;
    packet[10..12].fill(0);
    let sum =
        packet[..20].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum::<u32>();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    packet[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    packet
}

#[test]
fn the_device_is_read_on_and_a_flow_that_sends_little_does_not_wait_behind_one_that_sends_much() {
    let site = Site::alone();
    let mut sent = vec![];
    let [ended] = running([&site], async {
        site.socket.limit(Some(0));
        site.device.hand_over(&udp_flow(300, 1000));
        site.device.hand_over(&[other_flow(84)]);
        site.settled().await;
        assert_eq!(site.device.waiting(), 0);
        let queued = site.context.queue.snapshot();
        assert!(queued.packets > 200 && queued.bytes > 200_000, "{queued:?}");
        site.socket.limit(Some(1));
        while sent.len() < 301 {
            site.settled().await;
            sent.extend(site.socket.sent());
        }
    });
    assert!(ended.is_ok());
    let at = sent.iter().position(|packet| *packet == other_flow(84)).unwrap();
    // What was sent together when the socket became full, and what the other flow sends in its turn.
    assert!(at <= 64 + 2, "after {at} packets");
    let mut all = udp_flow(300, 1000);
    all.push(other_flow(84));
    assert!(by_flow(&sent) == by_flow(&all));
    let queue = site.context.queue.snapshot();
    assert_eq!(queue.packets, 0);
    assert!(queue.delayed > 200, "{queue:?}");
}

#[test]
fn packets_that_wait_too_long_are_marked_if_their_sender_understands_that_and_dropped_if_not() {
    for ecn in [0b10, 0b01, 0] {
        let mut site = Site::alone();
        site.segments_per_send = 1;
        let mut sent = vec![];
        let [ended] = running([&site], async {
            site.socket.limit(Some(0));
            for number in 0..500 {
                site.device.hand_over(&[with_ecn(udp(number, 1000), ecn)]);
            }
            site.settled().await;
            site.socket.limit(Some(1));
            for _ in 0..500 {
                site.context.clock.advance(5);
                site.settled().await;
                sent.extend(site.socket.sent());
            }
        });
        assert!(ended.is_ok());
        let is_marked = |packet: &&Vec<u8>| packet[1] & 0b11 == 0b11;
        let (marked, dropped) = (sent.iter().filter(is_marked).count(), site.encap_drops(EncapDrop::Queue));
        if ecn == 0 {
            assert!(marked == 0 && dropped > 5, "{marked} marked, {dropped} dropped");
        } else {
            assert!(marked > 5 && dropped == 0, "{marked} marked, {dropped} dropped");
        }
        assert_eq!(site.context.queue.snapshot().marked, marked as u64);
        assert_eq!(sent.len() as u64 + dropped, 500);
        for packet in sent {
            assert_eq!(packet, with_ecn(packet.clone(), packet[1]), "the checksum of the header is right");
        }
    }
}

#[test]
fn the_packets_of_a_super_packet_are_marked_one_by_one() {
    let mut site = Site::alone();
    site.segments_per_send = 1;
    let ((mut header, mut read), _) = tcp_super_packet(60_000, 1000);
    read = with_ecn(read, 0b10);
    header = VirtioNetHeader { ..header };
    let mut sent = vec![];
    let [ended] = running([&site], async {
        site.socket.limit(Some(0));
        site.device.hand_over_reads([(header, read.clone()), (header, read.clone())]);
        site.settled().await;
        site.context.clock.advance(1000);
        site.socket.limit(Some(1));
        for _ in 0..200 {
            site.context.clock.advance(10);
            site.settled().await;
            sent.extend(site.socket.sent());
        }
    });
    assert!(ended.is_ok());
    let marked = sent.iter().filter(|packet| packet[1] & 0b11 == 0b11).count();
    assert!(marked > 0 && marked < sent.len(), "{marked} of {}", sent.len());
    for packet in sent {
        assert!(IpPacket::parse(&packet).is_ok());
        assert_eq!(packet, with_ecn(packet.clone(), packet[1]));
    }
}

#[test]
fn a_flood_is_bounded_and_every_packet_is_counted() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.limit(Some(0));
        site.device.hand_over(&[other_flow(84)]);
        site.settled().await;
        for _ in 0..100 {
            site.device.hand_over(&udp_flow(500, 1400));
            site.settled().await;
        }
        assert!(site.context.queue.snapshot().bytes < 9 << 20);
        assert!(site.encap_drops(EncapDrop::QueueFull) > 40_000);
    });
    assert!(ended.is_ok());
    assert!(site.encap_drops(EncapDrop::Closed) > 1000);
    let left = site.context.queue.snapshot();
    assert_eq!((left.packets, left.bytes), (0, 0));
}

/// A link of `per_ms` bytes per millisecond is saturated for a second with packets of 1,000 bytes. Returns the most that waited in the
/// socket in its last tenth, and what the link took in that time, bytes.
async fn saturate(site: &Site, per_ms: usize) -> (usize, usize) {
    const STEP_US: usize = 20;
    const STEPS: usize = 1_000_000 / STEP_US;
    let (mut most, mut taken, mut credit) = (0, 0, 0);
    for step in 0..STEPS {
        if site.context.queue.snapshot().packets < 100 {
            site.device.hand_over(&udp_flow(200, 1000));
        }
        site.settled().await;
        site.context.clock.advance_us(STEP_US as u64);
        let before = site.socket.unsent().unwrap();
        credit = site.socket.leave(credit + per_ms * STEP_US / 1000);
        if step >= STEPS - STEPS / 10 {
            most = most.max(before);
            taken += before - site.socket.unsent().unwrap();
        }
    }
    (most, taken)
}

#[test]
fn in_the_socket_waits_what_the_link_takes_in_a_millisecond_also_when_its_rate_changes() {
    let site = Site::alone();
    site.socket.keep_to_limits();
    let [ended] = running([&site], async {
        for per_ms in [12_500, 2_500, 50_000, 5_000] {
            let (most, taken) = saturate(&site, per_ms).await;
            // Never less than two packets of 1,500 bytes; and a send of half a millisecond is accepted while there is any room.
            let allowed = per_ms * 3 / 2 + 4_500;
            assert!(
                most <= allowed,
                "{most} bytes wait in the socket of a link of {per_ms} bytes per millisecond"
            );
            assert!(taken >= per_ms * 97, "a link of {per_ms} bytes per millisecond took {taken} in 100");
        }
    });
    assert!(ended.is_ok());
}

#[test]
fn without_the_queue_packets_wait_at_the_device_and_in_their_order() {
    let mut site = Site::alone();
    site.context.queue = Queue::new(&QueueOptions { fair: false, ..QueueOptions::default() }, 4 << 20);
    let (read, packets) = tcp_super_packet(60_000, 1000);
    let mut all = udp_flow(300, 1000);
    all.splice(0..0, packets);
    let mut sent = vec![];
    let [ended] = running([&site], async {
        site.socket.limit(Some(0));
        site.device.hand_over_reads([read]);
        site.device.hand_over(&udp_flow(300, 1000));
        site.settled().await;
        assert!(site.device.waiting() >= 300 - 65, "{} wait", site.device.waiting());
        site.context.clock.advance(900);
        site.socket.limit(Some(1));
        while sent.len() < all.len() {
            site.settled().await;
            sent.extend(site.socket.sent());
        }
    });
    assert!(ended.is_ok());
    assert_eq!(sent.len(), all.len());
    assert!(sent == all);
}

#[test]
fn a_datagram_whose_fragments_are_longer_than_the_send_buffer_is_sent_at_once() {
    let site = Site::alone();
    let long = udp(1, 40_000);
    let [ended] = running([&site], async {
        site.socket.send_faults().next([Some(libc::ENOBUFS), None]);
        site.device.hand_over(std::slice::from_ref(&long));
        site.settled().await;
        assert!(site.socket.sent() == std::slice::from_ref(&long));
        // Memory is short, and a short packet would fit.
        site.socket.send_faults().next([Some(libc::ENOBUFS); 2]);
        site.device.hand_over(&[udp(2, 100)]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    let limits = site.socket.limits();
    assert_eq!(limits.len(), 3);
    assert!(limits[0] < limits[1] && limits[2] == limits[0], "{limits:?}");
    assert_eq!(site.encap_drops(EncapDrop::NoBufferSpace), 1);
}

#[test]
fn no_send_of_several_packets_is_longer_than_the_send_buffer() {
    let mut site = Site::alone();
    let small = QueueOptions { send_buffer: Some(4096), ..QueueOptions::default() };
    site.context.queue = Queue::new(&small, 8192);
    let (read, packets) = tcp_super_packet(60_000, 1000);
    let [ended] = running([&site], async {
        site.device.hand_over_reads([read]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent().len(), packets.len());
    assert!(site.socket.sends().into_iter().all(|datagrams| datagrams <= 8), "{:?}", site.socket.sends());
    assert!(site.socket.limits().is_empty());
}
