//! How many packets share a system call.

use super::packet::{tcp_super_packet, udp, udp_flow};
use super::site::{Site, running};

/// Hands `packets` to a tunnel all at once; says how many went by each send.
fn sends(site: &Site, packets: &[Vec<u8>]) -> Vec<usize> {
    let [ended] = running([site], async {
        site.device.hand_over(packets);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), packets);
    site.socket.sends()
}

#[test]
fn a_run_of_equal_packets_takes_one_send() {
    assert_eq!(sends(&Site::alone(), &udp_flow(40, 100)), [40]);
}

#[test]
fn a_send_carries_at_most_64_packets() {
    let sends = sends(&Site::alone(), &udp_flow(150, 100));
    assert!(sends.iter().all(|&count| count <= 64), "{sends:?}");
    assert_eq!(sends[0], 64);
}

#[test]
fn a_send_carries_at_most_what_a_datagram_may_hold() {
    let site = Site::alone();
    site.socket.set_path_mtu(Some(9000));
    // 65,507 / 8,000
    assert_eq!(sends(&site, &udp_flow(10, 8000)), [8, 2]);
}

#[test]
fn a_shorter_packet_ends_a_send_and_a_longer_one_begins_the_next() {
    let sizes = [500, 500, 300, 300, 400, 400, 400];
    let packets: Vec<_> = (0..).zip(sizes).map(|(number, len)| udp(number, len)).collect();
    assert_eq!(sends(&Site::alone(), &packets), [3, 1, 3]);
}

#[test]
fn a_packet_is_not_held_back_for_later_ones() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        for number in 0..3 {
            site.device.hand_over(&[udp(number, 100)]);
            site.settled().await;
            assert_eq!(site.socket.sent(), [udp(number, 100)]);
        }
    });
    assert!(ended.is_ok());
}

#[test]
fn after_a_single_packet_the_next_leaves_before_the_device_is_asked_for_more() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        for count in [1, 1, 40, 40] {
            site.device.hand_over(&udp_flow(count, 100));
            site.settled().await;
            assert_eq!(site.socket.sent(), udp_flow(count, 100));
        }
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sends(), [1, 1, 1, 39, 40]);
}

#[test]
fn after_a_single_super_packet_the_rest_of_the_next_one_still_shares_a_send() {
    let site = Site::alone();
    let (read, packets) = tcp_super_packet(46 * 1400, 1400);
    let [ended] = running([&site], async {
        site.device.hand_over_reads([read.clone()]);
        site.settled().await;
        assert_eq!(site.socket.sent(), packets);
        site.device.hand_over_reads(vec![read; 2]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sends(), [45, 1, 45, 45, 2]);
}

#[test]
fn the_rest_of_a_super_packet_shares_a_send_with_the_next_one() {
    let site = Site::alone();
    let (read, packets) = tcp_super_packet(46 * 1400, 1400);
    let [ended] = running([&site], async {
        site.device.hand_over_reads(vec![read; 3]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), vec![packets; 3].concat());
    // 65,507 / 1,440 = 45
    assert_eq!(site.socket.sends(), [45, 45, 45, 3]);
}

#[test]
fn a_super_packet_of_many_tiny_packets_goes_out_whole() {
    let site = Site::alone();
    let (read, packets) = tcp_super_packet(5_000, 1);
    let [ended] = running([&site], async {
        site.device.hand_over_reads([read]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), packets);
    assert_eq!(site.socket.sends().len(), 5_000_usize.div_ceil(64));
}

#[test]
fn datagrams_received_together_are_written_together() {
    let site = Site::alone();
    let packets = udp_flow(64, 500);
    let [ended] = running([&site], async {
        site.socket.arrive(&packets);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.device.taken(), packets);
    assert_eq!(site.device.writes(), [64]);
}

#[test]
fn single_datagrams_are_received_by_one_call_each_and_others_meanwhile_as_well() {
    let site = Site::alone();
    let mut expected = vec![];
    let [ended] = running([&site], async {
        for number in 0..20 {
            // The rare ones come in pairs, and many at once.
            let count = [1, 1, 1, 2, 1, 1, 1, 70][number % 8];
            let packets: Vec<_> = (0..count).map(|index| udp(index, 100 + number)).collect();
            let before = site.socket.receive_faults().calls();
            site.socket.arrive(&packets);
            site.settled().await;
            // One by one, the fake counts two calls for a receive of two.
            assert!(count > 2 || site.socket.receive_faults().calls() - before <= 2);
            expected.extend(packets);
        }
    });
    assert!(ended.is_ok());
    assert_eq!(site.device.taken(), expected);
}

#[test]
fn an_error_behind_a_single_datagram_is_reported_and_what_follows_it_is_received() {
    let site = Site::alone();
    site.socket.receive_singly();
    let [ended] = running([&site], async {
        site.socket.arrive(&[udp(0, 100)]);
        site.settled().await;
        site.socket.receive_faults().next([None, Some(libc::ECONNREFUSED)]);
        site.socket.arrive(&[udp(1, 100), udp(2, 100), udp(3, 100)]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.device.taken(), [udp(0, 100), udp(1, 100), udp(2, 100), udp(3, 100)]);
    assert_eq!(site.context.errors.occurred(), [(libc::ECONNREFUSED, 1)]);
}
