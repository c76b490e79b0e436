//! Every error that the socket may give, one at a time.
//!
//! Errors of a connected socket belong to datagrams sent earlier as often as to the call that reports them.

use std::sync::atomic::Ordering;

use super::packet::{udp, udp_flow};
use super::site::{Site, running};
use crate::{DecapDrop, EncapDrop};

/// All of Linux's error numbers.
const ERRNOS: std::ops::RangeInclusive<i32> = 1..=133;

/// Errors after which the call is simply repeated.
const AGAIN: [i32; 2] = [libc::EAGAIN, libc::EINTR];

/// Errors of a send that may have come of its being segmented.
const REFUSING_SEGMENTS: [i32; 3] = [libc::EMSGSIZE, libc::EINVAL, libc::EIO];

/// Errors that the network reports by ICMP; the routing table of this host has some of them as well.
const ANSWERS: [i32; 9] = [
    libc::ECONNREFUSED,
    libc::EHOSTUNREACH,
    libc::ENETUNREACH,
    libc::EHOSTDOWN,
    libc::ENONET,
    libc::ENOPROTOOPT,
    libc::EOPNOTSUPP,
    libc::EPROTO,
    libc::EACCES,
];

/// How many of these errors one send survives.
const FLOOD: usize = 63;

/// Passes `packets` to a tunnel whose next sends fail according to `script`; returns what was sent.
fn sent(site: &Site, packets: &[Vec<u8>], script: &[i32]) -> Vec<Vec<u8>> {
    let [ended] = running([site], async {
        site.socket.send_faults().next(script.iter().copied().map(Some));
        site.device.hand_over(packets);
        site.settled().await;
    });
    assert!(ended.is_ok());
    site.socket.sent()
}

#[test]
fn one_error_before_a_batch_does_not_cost_a_packet() {
    let packets = udp_flow(30, 1000);
    for errno in ERRNOS {
        let site = Site::alone();
        assert_eq!(sent(&site, &packets, &[errno]), packets, "errno {errno}");
        let counted = if AGAIN.contains(&errno) { vec![] } else { vec![(errno, 1)] };
        assert_eq!(site.context.errors.occurred(), counted);
    }
}

#[test]
fn one_error_before_a_single_packet_does_not_cost_it() {
    for errno in ERRNOS {
        assert_eq!(sent(&Site::alone(), &[udp(0, 1000)], &[errno]), [udp(0, 1000)], "errno {errno}");
    }
}

#[test]
fn a_batch_whose_segments_are_refused_is_sent_packet_by_packet() {
    let packets = udp_flow(30, 1000);
    for errno in REFUSING_SEGMENTS {
        let site = Site::alone();
        let errors = if errno == libc::EMSGSIZE { 5 } else { 2 };
        assert_eq!(sent(&site, &packets, &[errno].repeat(errors)), packets, "errno {errno}");
        assert_eq!(site.socket.sends(), [1; 30]);
    }
}

#[test]
fn a_flood_of_icmp_errors_costs_no_packet() {
    let packets = udp_flow(30, 1000);
    for errno in ANSWERS.into_iter().chain([libc::EMSGSIZE]) {
        let site = Site::alone();
        assert_eq!(sent(&site, &packets, &[errno; FLOOD]), packets, "errno {errno}");
        let sends = if errno == libc::EMSGSIZE { vec![1; 30] } else { vec![30] };
        assert_eq!(site.socket.sends(), sends);
        assert_eq!(site.context.errors.occurred(), [(errno, FLOOD as u64)]);
        let site = Site::alone();
        assert_eq!(sent(&site, &packets[..1], &[errno; FLOOD]), packets[..1], "errno {errno}");
    }
}

#[test]
fn a_refusal_among_icmp_errors_is_tried_twice_as_alone() {
    let site = Site::alone();
    let rejected = [libc::EPERM, libc::ECONNREFUSED, libc::ECONNREFUSED, libc::EPERM];
    assert_eq!(sent(&site, &udp_flow(2, 1000), &rejected), Vec::<Vec<u8>>::new());
    assert_eq!(site.encap_drops(EncapDrop::SendError), 2);
}

#[test]
fn only_the_packet_that_is_too_long_again_and_again_is_lost() {
    let packets = udp_flow(30, 1000);
    let site = Site::alone();
    assert_eq!(sent(&site, &packets, &[libc::EMSGSIZE; 4 + FLOOD + 1]), packets[1..]);
    assert_eq!(site.encap_drops(EncapDrop::TooBig), 1);
}

#[test]
fn without_a_route_errors_do_not_count_as_icmp_errors() {
    for errno in [libc::EHOSTUNREACH, libc::ENETUNREACH, libc::EACCES] {
        let site = Site::alone();
        site.socket.set_path_mtu(None);
        assert_eq!(sent(&site, &udp_flow(30, 1000), &[errno; 2]), Vec::<Vec<u8>>::new(), "errno {errno}");
        assert_eq!(site.encap_drops(EncapDrop::PeerUnreachable), 30);
    }
}

#[test]
fn while_there_is_no_route_few_packets_cost_a_lookup() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.set_path_mtu(None);
        site.socket.fail_sends(Some(libc::ENETUNREACH));
        for (packets, lookups) in [(20, 1), (20, 2)] {
            for index in 0..packets {
                site.device.hand_over(&[udp(index, 1000)]);
                site.settled().await;
            }
            assert_eq!(site.socket.route_lookups(), lookups);
            site.context.clock.advance(100);
        }
    });
    assert!(ended.is_ok());
    assert_eq!(site.encap_drops(EncapDrop::PeerUnreachable), 40);
}

#[test]
fn an_error_that_belongs_to_no_packet_costs_a_batch_few_calls() {
    let own = |errno: &i32| !AGAIN.contains(errno) && !ANSWERS.contains(errno) && *errno != libc::EMSGSIZE;
    for errno in ERRNOS.filter(own) {
        let site = Site::alone();
        let [ended] = running([&site], async {
            site.socket.fail_sends(Some(errno));
            site.device.hand_over(&udp_flow(64, 1000));
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert_eq!(site.context.encap.snapshot().dropped(), 64, "errno {errno}");
        let calls = site.socket.send_faults().calls();
        assert!(calls <= 4, "errno {errno}: {calls} calls");
        assert_eq!(site.context.errors.occurred(), [(errno, calls as u64)], "each report counts once");
    }
}

#[test]
fn a_lost_socket_is_recovered_at_once_and_then_at_most_once_a_second() {
    for errno in [libc::ENODEV, libc::ENETUNREACH, libc::EDESTADDRREQ] {
        let site = Site::alone();
        let [ended] = running([&site], async {
            for (errors, seconds, recoveries) in [(1, 0, 1), (2, 0, 1), (1, 1, 2)] {
                site.context.clock.advance(1000 * seconds);
                site.socket.send_faults().next([Some(errno)].repeat(errors));
                site.device.hand_over(&[udp(0, 1000)]);
                site.settled().await;
                assert_eq!(site.socket.recoveries(), recoveries, "errno {errno}");
            }
        });
        assert!(ended.is_ok());
    }
}

#[test]
fn while_every_send_fails_packets_are_counted_as_lost_and_then_they_flow_again() {
    for errno in ERRNOS.filter(|errno| !AGAIN.contains(errno)) {
        let site = Site::alone();
        let [ended] = running([&site], async {
            site.socket.fail_sends(Some(errno));
            site.device.hand_over(&udp_flow(10, 1000));
            site.settled().await;
            assert_eq!(site.context.encap.snapshot().dropped(), 10);
            site.socket.fail_sends(None);
            site.device.hand_over(&udp_flow(10, 1000));
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert_eq!(site.socket.sent(), udp_flow(10, 1000), "errno {errno}");
    }
}

#[test]
fn lost_packets_are_counted_under_the_reason_that_the_error_means() {
    use EncapDrop::{NoBufferSpace, PeerUnreachable, SendError, TooBig};
    let reasons = [
        (libc::ECONNREFUSED, PeerUnreachable),
        (libc::EHOSTUNREACH, PeerUnreachable),
        (libc::ENETUNREACH, PeerUnreachable),
        (libc::EHOSTDOWN, PeerUnreachable),
        (libc::EMSGSIZE, TooBig),
        (libc::ENOBUFS, NoBufferSpace),
        (libc::ENOMEM, NoBufferSpace),
        (libc::EPERM, SendError),
        (libc::EINVAL, SendError),
        (libc::EADDRNOTAVAIL, SendError),
    ];
    for (errno, reason) in reasons {
        let site = Site::alone();
        assert!(sent(&site, &[udp(0, 1000)], &[errno; FLOOD + 1]).is_empty());
        assert_eq!(site.encap_drops(reason), 1, "errno {errno}");
    }
}

#[test]
fn an_interface_that_cannot_segment_is_sent_single_packets_from_then_on() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.lose_segmentation();
        site.device.hand_over(&udp_flow(30, 1000));
        site.settled().await;
        site.device.hand_over(&udp_flow(30, 1000));
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), vec![udp_flow(30, 1000); 2].concat());
    assert_eq!(site.context.errors.occurred(), [(libc::EIO, 1)], "segmentation was tried once");
    assert_eq!(site.context.segments_per_send.load(Ordering::Relaxed), 1, "and is reported to be off");
}

/// An interface that cannot segment, then `event`, then one that can: the sizes of the sends, and the number that is reported.
fn after_segmentation_was_lost(event: impl FnOnce(&Site)) -> (Vec<usize>, usize) {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.send_faults().next([Some(libc::EIO)]);
        site.device.hand_over(&udp_flow(5, 1000));
        site.settled().await;
        event(&site);
        site.device.hand_over(&udp_flow(5, 1000));
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), vec![udp_flow(5, 1000); 2].concat());
    (site.socket.sends(), site.context.segments_per_send.load(Ordering::Relaxed))
}

#[test]
fn segmentation_is_tried_again_after_a_minute_or_a_change_of_the_network() {
    let later = |ms| move |site: &Site| site.context.clock.advance(ms);
    let changed = |site: &Site| {
        site.context.network_changed.store(true, Ordering::Relaxed);
        site.context.path_mtu_reported.store(true, Ordering::Relaxed);
    };
    assert_eq!(after_segmentation_was_lost(later(59_999)), (vec![1; 10], 1));
    assert_eq!(after_segmentation_was_lost(later(60_000)), (vec![1, 1, 1, 1, 1, 5], 64));
    assert_eq!(after_segmentation_was_lost(changed), (vec![1, 1, 1, 1, 1, 5], 64));
}

#[test]
fn an_interface_that_still_cannot_segment_costs_one_call_a_minute() {
    let (sends, segments) = after_segmentation_was_lost(|site| {
        site.context.clock.advance(60_000);
        site.socket.send_faults().next([Some(libc::EIO)]);
    });
    assert_eq!((sends, segments), (vec![1; 10], 1), "and is not reported to work meanwhile");
}

#[test]
fn an_error_in_place_of_a_receive_costs_no_datagram() {
    let packets = udp_flow(30, 1000);
    for errno in ERRNOS {
        let site = Site::alone();
        let [ended] = running([&site], async {
            site.socket.receive_faults().next([Some(errno), Some(errno), None, Some(errno)]);
            site.socket.arrive(&packets);
            site.settled().await;
            site.socket.arrive(&packets);
            site.settled().await;
        });
        assert!(ended.is_ok(), "errno {errno}");
        assert_eq!(site.device.taken(), vec![packets.clone(); 2].concat(), "errno {errno}");
    }
}

#[test]
fn while_every_receive_fails_the_tunnel_still_sends_and_then_receives_again() {
    for errno in ERRNOS.filter(|&errno| errno != libc::EAGAIN) {
        let site = Site::alone();
        let [ended] = running([&site], async {
            site.socket.fail_receives(Some(errno));
            site.socket.arrive(&udp_flow(10, 100));
            site.device.hand_over(&udp_flow(10, 1000));
            while site.socket.bytes_sent() < 10_000 {
                tokio::task::yield_now().await;
            }
            site.socket.fail_receives(None);
            site.settled().await;
        });
        assert!(ended.is_ok(), "errno {errno}");
        assert_eq!(site.device.taken(), udp_flow(10, 100));
        assert_eq!(site.decap_drops(DecapDrop::Closed), 0);
    }
}

#[test]
fn errors_are_counted_by_number() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.receive_faults().next([Some(libc::ECONNREFUSED), Some(libc::EHOSTUNREACH)]);
        site.socket.send_faults().next([Some(libc::ECONNREFUSED)]);
        site.device.hand_over(&[udp(0, 100)]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.context.errors.occurred(), [(libc::ECONNREFUSED, 2), (libc::EHOSTUNREACH, 1)]);
}
