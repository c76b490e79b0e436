//! A full socket buffer, or device: waited for, without holding up the other direction or the end.

use super::packet::{tcp_super_packet, udp_flow};
use super::site::{Site, running};
use crate::{DecapDrop, EncapDrop};

#[test]
fn a_full_send_buffer_is_waited_for() {
    let site = Site::alone();
    let mut sent = vec![];
    let [ended] = running([&site], async {
        site.socket.limit(Some(1));
        site.device.hand_over(&udp_flow(300, 1000));
        while sent.len() < 300 {
            site.settled().await;
            let more = site.socket.sent();
            assert!((1..=64).contains(&more.len()), "one send at a time");
            sent.extend(more);
        }
    });
    assert!(ended.is_ok());
    assert_eq!(sent, udp_flow(300, 1000));
    assert!(site.context.errors.occurred().is_empty());
}

#[test]
fn a_full_send_buffer_does_not_hold_up_receiving() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.limit(Some(0));
        site.device.hand_over(&udp_flow(300, 1000));
        site.settled().await;
        site.socket.arrive(&udp_flow(500, 700));
        site.settled().await;
        assert_eq!(site.device.taken(), udp_flow(500, 700));
        site.socket.limit(None);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), udp_flow(300, 1000));
}

#[test]
fn a_device_that_accepts_nothing_does_not_hold_up_sending() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.device.fail_writes(Some(libc::EAGAIN));
        site.socket.arrive(&udp_flow(500, 700));
        site.settled().await;
        site.device.hand_over(&udp_flow(300, 1000));
        site.settled().await;
        assert_eq!(site.socket.sent(), udp_flow(300, 1000));
        site.device.fail_writes(None);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.device.taken(), udp_flow(500, 700));
}

#[test]
fn closing_does_not_wait_for_a_full_send_buffer_and_counts_abandoned_packets() {
    let site = Site::alone();
    let (read, packets) = tcp_super_packet(60_000, 1000);
    let [ended] = running([&site], async {
        site.socket.limit(Some(0));
        site.device.hand_over_reads([read]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert!(site.socket.sent().is_empty());
    assert_eq!(site.encap_drops(EncapDrop::Closed), packets.len() as u64);
}

#[test]
fn closing_does_not_wait_for_a_device_and_counts_abandoned_packets() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.device.fail_writes(Some(libc::EAGAIN));
        site.socket.arrive(&udp_flow(20, 500));
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert!(site.device.taken().is_empty());
    assert_eq!(site.decap_drops(DecapDrop::Closed), 20);
}

#[test]
fn a_tunnel_that_is_closed_reads_nothing_more() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.settled().await;
        site.context.shutdown.request();
        site.device.hand_over(&udp_flow(10, 100));
        site.socket.arrive(&udp_flow(10, 100));
    });
    assert!(ended.is_ok());
    assert_eq!(site.device.waiting(), 10);
    assert_eq!(site.socket.waiting(), 10);
}
