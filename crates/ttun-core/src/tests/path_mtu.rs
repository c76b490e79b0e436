//! Packets that do not fit the route to the peer, and how TCP is kept from sending them.

use super::packet::{has_right_checksums, mss, syn, tcp_super_packet, udp, udp_flow};
use super::site::{Site, running};

/// The largest packet that fits a route of 1500 bytes behind outer IPv4 and UDP headers.
const FITS: usize = 1472;

#[test]
fn packets_that_fit_go_out_together_and_longer_ones_alone_to_be_fragmented() {
    let site = Site::alone();
    let packets = [udp_flow(3, FITS), udp_flow(3, FITS + 1)].concat();
    let [ended] = running([&site], async {
        site.device.hand_over(&packets);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), packets);
    assert_eq!(site.socket.sends(), [3, 1, 1, 1]);
    assert_eq!(site.context.encap.fragmented.get(), 3);
    assert!(site.context.errors.occurred().is_empty());
}

#[test]
fn a_route_that_has_become_narrower_costs_no_packet() {
    for refusal in [libc::EMSGSIZE, libc::EINVAL] {
        let site = Site::alone();
        site.socket.refuse_long_segments_with(refusal);
        let (read, packets) = tcp_super_packet(30 * 1400, 1400);
        let [ended] = running([&site], async {
            site.device.hand_over_reads([read.clone()]);
            site.settled().await;
            site.socket.set_path_mtu(Some(1280));
            site.device.hand_over_reads([read.clone()]);
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert_eq!(site.socket.sent(), vec![packets; 2].concat());
        assert_eq!(site.context.encap.fragmented.get(), 30);
        assert_eq!(site.context.errors.occurred(), [(refusal, 1)], "one attempt is enough to learn from");
    }
}

#[test]
fn segmentation_continues_for_packets_that_fit_the_narrower_route() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.set_path_mtu(Some(1280));
        site.device.hand_over(&udp_flow(10, 1400));
        site.settled().await;
        site.device.hand_over(&udp_flow(10, 1252));
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sends().last(), Some(&10));
}

#[test]
fn a_route_that_has_become_wider_is_used_in_full_again() {
    let site = Site::alone();
    site.socket.set_path_mtu(Some(1280));
    let [ended] = running([&site], async {
        site.device.hand_over(&udp_flow(4, 1400));
        site.settled().await;
        site.socket.set_path_mtu(Some(1500));
        site.context.clock.advance(1000);
        site.device.hand_over(&udp_flow(10, 1400));
        site.settled().await;
        site.device.hand_over(&udp_flow(10, 1400));
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.context.encap.fragmented.get(), 4);
    assert_eq!(site.socket.sends().last(), Some(&10));
}

#[test]
fn the_mtu_of_the_route_is_queried_once_a_second_and_not_for_each_packet() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        for second in 1..=3 {
            for number in 0..10 {
                site.device.hand_over(&[udp(number, 1400)]);
                site.settled().await;
            }
            assert_eq!(site.socket.path_mtu_questions(), second);
            site.context.clock.advance(1000);
        }
    });
    assert!(ended.is_ok());
}

#[test]
fn a_narrower_route_reported_by_icmp_is_learned_at_once() {
    for at_receive in [true, false] {
        let site = Site::alone();
        let [ended] = running([&site], async {
            site.device.hand_over(&[udp(0, 1400)]);
            site.settled().await;
            site.socket.set_path_mtu(Some(1280));
            if at_receive {
                site.socket.receive_faults().next([Some(libc::EMSGSIZE)]);
                site.settled().await;
            } else {
                site.socket.send_faults().next([Some(libc::EMSGSIZE)]);
            }
            site.device.hand_over(&[udp(1, 1400)]);
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert_eq!(site.socket.sent(), [udp(0, 1400), udp(1, 1400)]);
        assert_eq!(site.context.encap.fragmented.get(), 1);
    }
}

#[test]
fn packets_are_sent_as_they_are_while_the_route_is_not_known() {
    let site = Site::alone();
    site.socket.set_path_mtu(None);
    let packets = [vec![syn(1460)], udp_flow(3, 1400)].concat();
    let [ended] = running([&site], async {
        site.device.hand_over(&packets);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), packets);
}

#[test]
fn a_packet_longer_than_a_datagram_is_dropped_as_too_big() {
    let site = Site::alone();
    let good = udp(1, 65_507);
    let [ended] = running([&site], async {
        site.device.hand_over(&[udp(0, 65_508), good.clone()]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), [good]);
    assert_eq!(site.encap_drops(crate::EncapDrop::TooBig), 1);
}

#[test]
fn the_mss_of_connections_is_lowered_to_fit_in_both_directions() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.device.hand_over(&[syn(1460)]);
        site.socket.arrive(&[syn(1460)]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    for packet in [&site.socket.sent()[0], &site.device.taken()[0]] {
        assert_eq!(mss(packet), FITS as u16 - 40);
        assert!(has_right_checksums(packet));
    }
}

#[test]
fn the_mss_of_connections_fits_the_smaller_of_route_and_device_in_both_directions() {
    for (device, route, fits) in [
        (1300, Some(1500), 1300),
        (1500, Some(1300), 1300 - 28),
        (1500, Some(1500), FITS),
        (FITS - 1, Some(1500), FITS - 1),
        (1300, None, 1300),
    ] {
        let site = Site::alone();
        site.device.set_mtu(device);
        site.socket.set_path_mtu(route);
        let [ended] = running([&site], async {
            site.device.hand_over(&[syn(1460)]);
            site.socket.arrive(&[syn(1460)]);
            site.settled().await;
        });
        assert!(ended.is_ok());
        for packet in [&site.socket.sent()[0], &site.device.taken()[0]] {
            assert_eq!(usize::from(mss(packet)), fits - 40, "device {device}, route {route:?}");
        }
    }
}

#[test]
fn a_flood_of_connections_looks_up_route_and_device_once_a_millisecond() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        for _ in 0..3 {
            site.device.hand_over(&vec![syn(1460); 500]);
            site.socket.arrive(&vec![syn(1460); 500]);
            site.settled().await;
            site.context.clock.advance(1);
        }
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.route_lookups(), 3 * 2, "in each direction");
}

#[test]
fn the_mss_is_left_alone_where_it_fits_or_clamping_is_off() {
    for (clamp_mss, mss) in [(true, 1432), (true, 536), (false, 1460)] {
        let mut site = Site::alone();
        site.context.clamp_mss = clamp_mss;
        let [ended] = running([&site], async {
            site.device.hand_over(&[syn(mss)]);
            site.socket.arrive(&[syn(mss)]);
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert_eq!(site.socket.sent(), [syn(mss)]);
        assert_eq!(site.device.taken(), [syn(mss)]);
    }
}

#[test]
fn the_mss_follows_the_route() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.set_path_mtu(Some(1280));
        site.device.hand_over(&[syn(1460)]);
        site.socket.arrive(&[syn(1460)]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(mss(&site.socket.sent()[0]), 1280 - 28 - 40);
    assert_eq!(mss(&site.device.taken()[0]), 1280 - 28 - 40);
}

#[test]
fn the_first_connection_after_a_change_of_route_fits_the_new_one() {
    for (mtu, clamped) in [(Some(1280), 1280 - 28 - 40), (None, 1460)] {
        for outbound in [true, false] {
            let site = Site::alone();
            let [ended] = running([&site], async {
                site.socket.change_route(mtu);
                if outbound {
                    site.device.hand_over(&[syn(1460)]);
                } else {
                    site.socket.arrive(&[syn(1460)]);
                }
                site.settled().await;
            });
            assert!(ended.is_ok());
            let passed = if outbound { site.socket.sent() } else { site.device.taken() };
            assert_eq!(mss(&passed[0]), clamped);
        }
    }
}

#[test]
fn only_the_opening_of_a_connection_looks_up_the_route() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.device.hand_over(&udp_flow(100, 1000));
        site.socket.arrive(&udp_flow(100, 1000));
        site.settled().await;
        assert_eq!(site.socket.route_lookups(), 0);
        site.device.hand_over(&[syn(1460)]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.route_lookups(), 1);
}

#[test]
fn a_packet_too_long_for_the_route_is_sent_without_shorter_ones() {
    let site = Site::alone();
    let (read, packets) = tcp_super_packet(10 * 1460 + 500, 1460);
    let [ended] = running([&site], async {
        site.device.hand_over_reads([read]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), packets);
    assert!(site.context.errors.occurred().is_empty());
}

#[test]
fn a_full_tcp_packet_is_sent_twice_now_and_then_first_never_to_be_fragmented() {
    let site = Site::alone();
    let (read, packets) = tcp_super_packet(3 * 1432, 1432);
    let udp = udp(1, FITS - 1);
    let mut sent = Vec::new();
    let [ended] = running([&site], async {
        for _ in 0..70 {
            site.device.hand_over(std::slice::from_ref(&udp));
            site.device.hand_over_reads([read.clone()]);
            site.settled().await;
            sent.push(site.socket.sent());
            site.context.clock.advance(100);
        }
    });
    assert!(ended.is_ok());
    let once = [vec![udp], packets.clone()].concat();
    let twice = [&once[..1], &packets[..1], &packets].concat();
    let doubled: Vec<_> = (0..).zip(&sent).filter(|(_, sent)| **sent != once).collect();
    assert!(doubled == [(10, &twice), (60, &twice)], "after 1 s, and after another 5 s");
    assert_eq!(site.socket.sent_unfragmented(), vec![packets[0].clone(); 2]);
    assert_eq!(site.context.encap.trials.get(), 2);
}

#[test]
fn an_error_of_a_trial_costs_no_packet() {
    for errno in [libc::ECONNREFUSED, libc::EMSGSIZE, libc::ENOBUFS] {
        let site = Site::alone();
        let (read, packets) = tcp_super_packet(3 * 1432, 1432);
        site.context.clock.advance(1000);
        let [ended] = running([&site], async {
            site.context.clock.advance(1000);
            site.socket.send_faults().next([Some(errno)]);
            site.device.hand_over_reads([read]);
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert_eq!((site.socket.sent(), site.context.encap.trials.get()), (packets, 0));
        assert_eq!(site.context.errors.occurred(), [(errno, 1)]);
    }
}

#[test]
fn packets_known_not_to_fit_and_those_over_ipv6_are_not_tried() {
    for (outer_overhead, route) in [(28, 1400), (48, 1500)] {
        let site = Site::alone();
        site.context.outer_overhead.store(outer_overhead, std::sync::atomic::Ordering::Relaxed);
        site.socket.set_path_mtu(Some(route));
        let (read, packets) = tcp_super_packet(1400, 1400);
        let [ended] = running([&site], async {
            for _ in 0..3 {
                site.context.clock.advance(5000);
                site.device.hand_over_reads([read.clone()]);
                site.settled().await;
            }
        });
        assert!(ended.is_ok());
        assert_eq!((site.socket.sent().len(), site.socket.sent_unfragmented().len()), (3 * packets.len(), 0));
    }
}
