//! Two directions in one thread: neither keeps the other from its turn.

use super::packet::{tcp_super_packet, udp_flow};
use super::site::{Site, running};

/// Packets that one direction may carry before the other has its turn.
const MOST_IN_A_ROW: usize = 4096;

#[test]
fn both_directions_continue_under_constant_load() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.device.hand_over(&udp_flow(20_000, 100));
        site.socket.arrive(&udp_flow(20_000, 100));
        site.settled().await;
    });
    assert!(ended.is_ok());
    let (reads, receives) = (site.device.longest_without_write(), site.socket.longest_without_send());
    assert!(reads <= MOST_IN_A_ROW, "{reads} packets were read while others waited to come in");
    assert!(receives <= MOST_IN_A_ROW, "{receives} datagrams were received while packets waited to go out");
}

#[test]
fn packets_are_received_while_the_device_always_has_super_packets() {
    let site = Site::alone();
    let (read, packets) = tcp_super_packet(60_000, 1400);
    let [ended] = running([&site], async {
        site.device.hand_over_reads(vec![read; 500]);
        site.socket.arrive(&udp_flow(20_000, 100));
        site.settled().await;
    });
    assert!(ended.is_ok());
    let reads = site.device.longest_without_write() * packets.len();
    assert!(reads <= MOST_IN_A_ROW, "{reads} packets were read while others waited to come in");
}
