//! Packet taps: each gets what it asked for, and none affects the others.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::packet::{tcp_super_packet, udp, udp_flow};
use super::site::{Site, running};
use crate::tap::{Direction, PacketTap, TapOptions, Tapped};
use crate::{Error, ErrorKind};

const EVERYTHING: TapOptions =
    TapOptions { snap_length: 65_535, capacity: 1000, packets_per_second: None, direction: None };

fn try_watch(site: &Site, options: TapOptions) -> Result<PacketTap, Error> {
    PacketTap::start(Arc::clone(&site.context.taps), options, Box::new(|| {}))
}

fn watch(site: &Site, options: TapOptions) -> PacketTap {
    try_watch(site, options).unwrap()
}

fn data(watched: &Tapped) -> Vec<&[u8]> {
    watched.packets.iter().map(|packet| &packet.data[..]).collect()
}

#[test]
fn each_watcher_sees_the_direction_it_asked_for_and_counts_only_that() {
    let site = Site::alone();
    let only = |direction| TapOptions { direction: Some(direction), capacity: 2, ..EVERYTHING };
    let all = watch(&site, EVERYTHING);
    let outbound = watch(&site, only(Direction::Outbound));
    let inbound = watch(&site, only(Direction::Inbound));
    let [ended] = running([&site], async {
        site.device.hand_over(&udp_flow(5, 100));
        site.socket.arrive(&udp_flow(3, 200));
        site.settled().await;
    });
    assert!(ended.is_ok());
    let [all, outbound, inbound] = [all, outbound, inbound].map(|watch| watch.take());
    assert_eq!((all.packets.len(), all.left_out), (8, 0));
    assert_eq!((data(&outbound), outbound.left_out), (udp_flow(2, 100).iter().map(|p| &p[..]).collect(), 3));
    assert_eq!((data(&inbound), inbound.left_out), (udp_flow(2, 200).iter().map(|p| &p[..]).collect(), 1));
    assert!(outbound.packets.iter().all(|packet| packet.direction == Direction::Outbound));
    assert!(inbound.packets.iter().all(|packet| packet.direction == Direction::Inbound));
}

#[test]
fn packets_of_both_directions_come_in_the_order_in_which_they_passed() {
    let site = Site::alone();
    let all = watch(&site, EVERYTHING);
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
fn a_super_packet_is_seen_as_the_packets_it_stands_for_each_cut_to_the_watchers_length() {
    let site = Site::alone();
    let (read, packets) = tcp_super_packet(10 * 1000, 1000);
    let [long, short, none] =
        [1040, 60, 0].map(|snap_length| watch(&site, TapOptions { snap_length, ..EVERYTHING }));
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
fn one_that_takes_nothing_costs_the_others_no_packet() {
    let site = Site::alone();
    let slow = watch(&site, TapOptions { capacity: 3, ..EVERYTHING });
    let quick = watch(&site, TapOptions { capacity: 10, ..EVERYTHING });
    let seen = Cell::new(0);
    let [ended] = running([&site], async {
        for _ in 0..20 {
            site.device.hand_over(&udp_flow(10, 100));
            site.settled().await;
            let watched = quick.take();
            assert_eq!(watched.left_out, 0);
            seen.set(seen.get() + watched.packets.len());
        }
    });
    assert!(ended.is_ok());
    assert_eq!(seen.get(), 200);
    let slow = slow.take();
    assert_eq!((slow.packets.len(), slow.left_out), (3, 197));
}

#[test]
fn one_whose_share_is_used_up_counts_what_passes() {
    let site = Site::alone();
    let none = watch(&site, TapOptions { packets_per_second: Some(0), ..EVERYTHING });
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
fn a_watcher_is_woken_once_until_it_takes() {
    let site = Site::alone();
    let wakes = Arc::new(AtomicUsize::new(0));
    let wake = {
        let wakes = Arc::clone(&wakes);
        Box::new(move || {
            wakes.fetch_add(1, Ordering::Relaxed);
        })
    };
    let watch = PacketTap::start(Arc::clone(&site.context.taps), EVERYTHING, wake).unwrap();
    let [ended] = running([&site], async {
        for round in 1..=3 {
            site.device.hand_over(&udp_flow(10, 100));
            site.settled().await;
            site.socket.arrive(&udp_flow(10, 100));
            site.settled().await;
            assert_eq!(wakes.load(Ordering::Relaxed), round);
            assert_eq!(watch.take().packets.len(), 20);
        }
    });
    assert!(ended.is_ok());
}

#[test]
fn sixteen_may_watch_and_the_next_one_when_one_has_gone() {
    let site = Site::alone();
    let mut watches: Vec<_> = (0..16).map(|_| watch(&site, EVERYTHING)).collect();
    let Err(error) = try_watch(&site, EVERYTHING) else { panic!("a seventeenth watches") };
    assert_eq!(error.kind(), ErrorKind::TooManyTaps);
    assert!(error.message().contains("16"));
    drop(watches.remove(5));
    watches.push(watch(&site, TapOptions { direction: Some(Direction::Inbound), ..EVERYTHING }));
    let [ended] = running([&site], async {
        site.device.hand_over(&udp_flow(3, 100));
        site.settled().await;
    });
    assert!(ended.is_ok());
    let seen: Vec<_> = watches.iter().map(|watch| watch.take().packets.len()).collect();
    assert_eq!(seen, [vec![3; 15], vec![0]].concat());
}

#[test]
fn who_has_gone_leaves_nothing_behind() {
    let site = Site::alone();
    let first = watch(&site, TapOptions { capacity: 1, ..EVERYTHING });
    let [ended] = running([&site], async {
        site.device.hand_over(&udp_flow(10, 100));
        site.settled().await;
        drop(first);
        let second = watch(&site, EVERYTHING);
        let nothing = second.take();
        assert_eq!((nothing.packets.len(), nothing.left_out), (0, 0));
    });
    assert!(ended.is_ok());
}
