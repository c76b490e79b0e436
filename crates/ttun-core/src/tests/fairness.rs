//! Two directions in one thread: neither keeps the other from its turn.

use std::cell::Cell;

use super::packet::{tcp_super_packet, udp_flow};
use super::site::{Site, running};

/// What one direction may do before the other has its turn, packets.
const PATIENCE: usize = 64 * 64;

#[test]
fn packets_come_in_while_the_device_always_has_more() {
    let site = Site::alone();
    let seen = Cell::new(0);
    let [ended] = running([&site], async {
        site.device.hand_over(&udp_flow(20_000, 100));
        site.socket.arrive(&udp_flow(100, 100));
        while site.device.taken().len() < 100 {
            seen.set(site.device.reads());
            tokio::task::yield_now().await;
        }
    });
    assert!(ended.is_ok());
    assert!(seen.get() <= PATIENCE, "{} reads before the first write", seen.get());
}

#[test]
fn packets_come_in_while_the_device_always_has_super_packets() {
    let site = Site::alone();
    let seen = Cell::new(0);
    let (read, packets) = tcp_super_packet(64_000, 1400);
    let [ended] = running([&site], async {
        site.device.hand_over_reads(vec![read; 500]);
        site.socket.arrive(&udp_flow(100, 100));
        while site.device.taken().len() < 100 {
            seen.set(site.device.reads() * packets.len());
            tokio::task::yield_now().await;
        }
    });
    assert!(ended.is_ok());
    assert!(seen.get() <= PATIENCE, "{} packets read before the first write", seen.get());
}

#[test]
fn packets_go_out_while_the_socket_always_has_more() {
    let site = Site::alone();
    let seen = Cell::new(0);
    let [ended] = running([&site], async {
        site.socket.arrive(&udp_flow(20_000, 100));
        site.device.hand_over(&udp_flow(100, 100));
        while site.socket.bytes_sent() < 100 * 100 {
            seen.set(site.socket.received());
            tokio::task::yield_now().await;
        }
    });
    assert!(ended.is_ok());
    assert!(seen.get() <= PATIENCE, "{} datagrams received before the first send", seen.get());
}
