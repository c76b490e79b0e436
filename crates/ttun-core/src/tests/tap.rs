//! Packet taps: each gets the requested packets, and none affects the others.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::packet::{tcp_super_packet, udp, udp_flow};
use super::site::{Site, running};
use crate::tap::{Direction, PacketTap, TapOptions, Tapped};
use crate::{EncapDrop, Error, ErrorKind};

const EVERYTHING: TapOptions =
    TapOptions { snap_length: 65_535, capacity: 1000, packets_per_second: None, direction: None };

fn try_start(site: &Site, options: TapOptions) -> Result<PacketTap, Error> {
    PacketTap::start(Arc::clone(&site.context.taps), options, Box::new(|| {}))
}

fn start(site: &Site, options: TapOptions) -> PacketTap {
    try_start(site, options).unwrap()
}

fn data(tapped: &Tapped) -> Vec<&[u8]> {
    tapped.packets.iter().map(|packet| &packet.data[..]).collect()
}

#[test]
fn each_tap_copies_and_counts_only_the_requested_direction() {
    let site = Site::alone();
    let only = |direction| TapOptions { direction: Some(direction), capacity: 2, ..EVERYTHING };
    let all = start(&site, EVERYTHING);
    let outbound = start(&site, only(Direction::Outbound));
    let inbound = start(&site, only(Direction::Inbound));
    let [ended] = running([&site], async {
        site.device.hand_over(&udp_flow(5, 100));
        site.socket.arrive(&udp_flow(3, 200));
        site.settled().await;
    });
    assert!(ended.is_ok());
    let [all, outbound, inbound] = [all, outbound, inbound].map(|tap| tap.take());
    assert_eq!((all.packets.len(), all.left_out), (8, 0));
    assert_eq!((data(&outbound), outbound.left_out), (udp_flow(2, 100).iter().map(|p| &p[..]).collect(), 3));
    assert_eq!((data(&inbound), inbound.left_out), (udp_flow(2, 200).iter().map(|p| &p[..]).collect(), 1));
    assert!(outbound.packets.iter().all(|packet| packet.direction == Direction::Outbound));
    assert!(inbound.packets.iter().all(|packet| packet.direction == Direction::Inbound));
}

#[test]
fn packets_of_both_directions_are_in_the_order_in_which_they_passed() {
    let site = Site::alone();
    let all = start(&site, EVERYTHING);
    let [ended] = running([&site], async {
        for number in 0..5 {
            site.device.hand_over(&[udp(number, 100)]);
            site.settled().await;
            site.socket.arrive(&[udp(number, 200)]);
            site.settled().await;
        }
    });
    assert!(ended.is_ok());
    let all = all.take();
    let lens: Vec<_> = all.packets.iter().map(|packet| packet.len).collect();
    assert_eq!(lens, [100, 200].repeat(5));
    assert!(all.packets.is_sorted_by_key(|packet| packet.at));
}

#[test]
fn a_super_packet_is_copied_as_its_packets_each_cut_to_the_length_of_the_tap() {
    let site = Site::alone();
    let (read, packets) = tcp_super_packet(10 * 1000, 1000);
    let [long, short, none] =
        [1040, 60, 0].map(|snap_length| start(&site, TapOptions { snap_length, ..EVERYTHING }));
    let [ended] = running([&site], async {
        site.device.hand_over_reads([read]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    let start = |len: usize| packets.iter().map(|packet| &packet[..len]).collect::<Vec<_>>();
    assert_eq!(data(&long.take()), start(1040));
    assert_eq!(data(&short.take()), start(60));
    let none = none.take();
    assert_eq!(data(&none), start(0));
    assert!(none.packets.iter().all(|packet| packet.len == 1040));
}

#[test]
fn packets_that_wait_in_the_queue_are_copied_when_they_leave_it_and_those_that_are_dropped_are_not() {
    let mut site = Site::alone();
    site.segments_per_send = 1;
    let tap = start(&site, EVERYTHING);
    let (mut sent, mut copied) = (vec![], vec![]);
    let [ended] = running([&site], async {
        site.socket.limit(Some(0));
        site.device.hand_over(&udp_flow(500, 1000));
        site.settled().await;
        let waiting = site.context.queue.snapshot().packets;
        assert!(waiting > 400);
        // Those that were in a batch when the socket became full were copied before.
        copied.extend(tap.take().packets);
        assert!(copied.len() <= 500 - waiting);
        site.socket.limit(Some(1));
        // The last ones may be in a batch that is not sent yet.
        while site.context.queue.snapshot().packets > 0 || sent.len() < copied.len() {
            site.context.clock.advance(5);
            site.settled().await;
            sent.extend(site.socket.sent());
            copied.extend(tap.take().packets);
        }
    });
    assert!(ended.is_ok());
    assert!(site.encap_drops(EncapDrop::Queue) > 0);
    assert!(copied.iter().map(|packet| &packet.data).eq(&sent));
}

#[test]
fn packets_of_a_super_packet_that_has_to_wait_halfway_are_offered_once() {
    let mut site = Site::alone();
    site.segments_per_send = 8;
    // ECN-capable packets, so that those that wait too long are marked.
    let ((header, mut read), _) = tcp_super_packet(60_000, 1000);
    read[1] |= 0b10;
    let quotas = [None, Some(70), Some(0)];
    let taps = quotas.map(|packets_per_second| start(&site, TapOptions { packets_per_second, ..EVERYTHING }));
    let small = start(&site, TapOptions { capacity: 30, ..EVERYTHING });
    let mut sent = vec![];
    let [ended] = running([&site], async {
        // One send is accepted, and the next one is not, in the middle of the first read.
        site.socket.limit(Some(1));
        site.device.hand_over_reads(vec![(header, read); 5]);
        site.settled().await;
        assert!(site.context.queue.snapshot().packets > 100);
        for _ in 0..300 {
            sent.extend(site.socket.sent());
            site.context.clock.advance(5);
            site.settled().await;
        }
    });
    assert!(ended.is_ok());
    assert_eq!(sent.len(), 5 * 60);
    assert!(site.context.queue.snapshot().marked > 0);
    assert_eq!(site.context.encap.snapshot().packets, 300);
    let [all, some, none] = taps.map(|tap| tap.take());
    assert_eq!(data(&all), sent);
    assert_eq!(all.left_out, 0);
    assert_eq!(some.packets.len() as u64 + some.left_out, 300);
    assert!(some.packets.len() >= 70, "{}", some.packets.len());
    assert_eq!((none.packets.len(), none.left_out), (0, 300));
    let small = small.take();
    assert_eq!((data(&small), small.left_out), (sent[..30].iter().map(|packet| &packet[..]).collect(), 270));
}

#[test]
fn a_tap_that_takes_nothing_does_not_affect_the_others() {
    let site = Site::alone();
    let slow = start(&site, TapOptions { capacity: 3, ..EVERYTHING });
    let quick = start(&site, TapOptions { capacity: 10, ..EVERYTHING });
    let seen = Cell::new(0);
    let [ended] = running([&site], async {
        for _ in 0..20 {
            site.device.hand_over(&udp_flow(10, 100));
            site.settled().await;
            let tapped = quick.take();
            assert_eq!(tapped.left_out, 0);
            seen.set(seen.get() + tapped.packets.len());
        }
    });
    assert!(ended.is_ok());
    assert_eq!(seen.get(), 200);
    let slow = slow.take();
    assert_eq!((slow.packets.len(), slow.left_out), (3, 197));
}

#[test]
fn a_tap_whose_quota_is_used_up_counts_passing_packets() {
    let site = Site::alone();
    let none = start(&site, TapOptions { packets_per_second: Some(0), ..EVERYTHING });
    let [ended] = running([&site], async {
        site.device.hand_over(&udp_flow(100, 100));
        site.socket.arrive(&udp_flow(100, 100));
        site.settled().await;
    });
    assert!(ended.is_ok());
    let none = none.take();
    assert_eq!((none.packets.len(), none.left_out), (0, 200));
}

#[test]
fn the_owner_of_a_tap_is_woken_once_until_it_takes() {
    let site = Site::alone();
    let wakes = Arc::new(AtomicUsize::new(0));
    let wake = {
        let wakes = Arc::clone(&wakes);
        Box::new(move || {
            wakes.fetch_add(1, Ordering::Relaxed);
        })
    };
    let tap = PacketTap::start(Arc::clone(&site.context.taps), EVERYTHING, wake).unwrap();
    let [ended] = running([&site], async {
        for round in 1..=3 {
            site.device.hand_over(&udp_flow(10, 100));
            site.settled().await;
            site.socket.arrive(&udp_flow(10, 100));
            site.settled().await;
            assert_eq!(wakes.load(Ordering::Relaxed), round);
            assert_eq!(tap.take().packets.len(), 20);
        }
    });
    assert!(ended.is_ok());
}

#[test]
fn sixteen_taps_are_allowed_and_another_when_one_has_stopped() {
    let site = Site::alone();
    let mut taps: Vec<_> = (0..16).map(|_| start(&site, EVERYTHING)).collect();
    let Err(error) = try_start(&site, EVERYTHING) else { panic!("a seventeenth tap starts") };
    assert_eq!(error.kind(), ErrorKind::TooManyTaps);
    assert!(error.message().contains("16"));
    drop(taps.remove(5));
    taps.push(start(&site, TapOptions { direction: Some(Direction::Inbound), ..EVERYTHING }));
    let [ended] = running([&site], async {
        site.device.hand_over(&udp_flow(3, 100));
        site.settled().await;
    });
    assert!(ended.is_ok());
    let seen: Vec<_> = taps.iter().map(|tap| tap.take().packets.len()).collect();
    assert_eq!(seen, [vec![3; 15], vec![0]].concat());
}

#[test]
fn a_stopped_tap_leaves_nothing_behind() {
    let site = Site::alone();
    let first = start(&site, TapOptions { capacity: 1, ..EVERYTHING });
    let [ended] = running([&site], async {
        site.device.hand_over(&udp_flow(10, 100));
        site.settled().await;
        drop(first);
        let second = start(&site, EVERYTHING);
        let nothing = second.take();
        assert_eq!((nothing.packets.len(), nothing.left_out), (0, 0));
    });
    assert!(ended.is_ok());
}
