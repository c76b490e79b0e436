//! Every error that the device may give, one at a time: only its deletion ends the tunnel.

use super::packet::{udp, udp_flow};
use super::site::{Site, running};
use crate::{DecapDrop, EncapDrop, ErrorKind};

/// All of Linux's error numbers.
const ERRNOS: std::ops::RangeInclusive<i32> = 1..=133;

/// Errors after which the call is simply repeated.
const AGAIN: [i32; 2] = [libc::EAGAIN, libc::EINTR];

/// Errors by which the device, or the descriptor, is gone.
const GONE: [i32; 3] = [libc::EBADFD, libc::EBADF, libc::ENODEV];

fn survivable() -> impl Iterator<Item = i32> {
    ERRNOS.filter(|errno| !GONE.contains(errno))
}

#[test]
fn an_error_in_place_of_a_read_costs_no_packet() {
    for errno in survivable() {
        let site = Site::alone();
        let [ended] = running([&site], async {
            site.device.read_faults().next([Some(errno), None, Some(errno), Some(errno)]);
            site.device.hand_over(&udp_flow(10, 100));
            site.settled().await;
        });
        assert!(ended.is_ok(), "errno {errno}");
        assert_eq!(site.socket.sent(), udp_flow(10, 100), "errno {errno}");
    }
}

#[test]
fn while_every_read_fails_the_tunnel_still_receives_and_then_reads_again() {
    for errno in survivable().filter(|&errno| errno != libc::EAGAIN) {
        let site = Site::alone();
        let [ended] = running([&site], async {
            site.device.fail_reads(Some(errno));
            site.device.hand_over(&udp_flow(10, 100));
            site.socket.arrive(&udp_flow(10, 1000));
            while site.device.taken().len() < 10 {
                tokio::task::yield_now().await;
            }
            site.device.fail_reads(None);
            site.settled().await;
        });
        assert!(ended.is_ok(), "errno {errno}");
        assert_eq!(site.socket.sent(), udp_flow(10, 100), "errno {errno}");
    }
}

#[test]
fn failed_reads_are_counted_and_a_lasting_failure_is_a_problem_until_it_is_over() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.device.read_faults().next([Some(libc::EINVAL); 10]);
        site.device.hand_over(&udp_flow(1, 100));
        site.settled().await;
        assert_eq!(site.context.encap.read_errors.get(), 10);
        assert!(site.context.problems.get().is_none(), "single errors are no problem");

        site.device.fail_reads(Some(libc::EINVAL));
        while site.context.problems.get().is_none() {
            tokio::task::yield_now().await;
        }
        let problem = site.context.problems.get().unwrap();
        assert_eq!((problem.kind(), problem.errno()), (ErrorKind::System, Some(libc::EINVAL)));
        assert!(problem.message().contains("tun0"), "{problem}");
        site.device.fail_reads(None);
        site.settled().await;
        assert!(site.context.problems.get().is_none());
    });
    assert!(ended.is_ok());
}

#[test]
fn a_deleted_device_ends_the_tunnel_at_the_next_read_after_what_was_read_before_is_sent() {
    for errno in GONE {
        let site = Site::alone();
        let [ended] = running([&site], async {
            site.device.read_faults().next([None, None, Some(errno)]);
            site.device.hand_over(&udp_flow(2, 100));
            site.settled().await;
        });
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeviceGone);
        assert_eq!(error.errno(), Some(errno));
        assert!(error.hint().unwrap().contains("ip tuntap add dev tun0 mode tun"));
        assert_eq!(site.socket.sent(), udp_flow(2, 100));
    }
}

#[test]
fn a_deleted_device_ends_the_tunnel_at_the_next_write_and_what_was_received_is_counted() {
    for errno in GONE {
        let site = Site::alone();
        // Sizes that no two share: ten writes, of which the second fails.
        let packets: Vec<_> = (0..10).map(|number| udp(number, 2000 - 100 * usize::from(number))).collect();
        let [ended] = running([&site], async {
            site.device.write_faults().next([None, Some(errno)]);
            for packet in &packets {
                site.socket.arrive(std::slice::from_ref(packet));
            }
            site.settled().await;
        });
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::DeviceGone);
        assert!(packets.starts_with(&site.device.taken()));
    }
}

#[test]
fn a_deleted_device_in_the_middle_of_a_receive_leaves_nothing_uncounted() {
    let site = Site::alone();
    // One receive that becomes three writes: of two packets each, for the PSH-less flow is cut by its gaps.
    let packets = [udp(0, 500), udp(1, 500), udp(7, 500), udp(8, 500), udp(20, 500), udp(21, 500)];
    let [ended] = running([&site], async {
        site.device.write_faults().next([None, Some(libc::EBADFD)]);
        site.socket.arrive(&packets);
        site.settled().await;
    });
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::DeviceGone);
    assert_eq!(site.device.taken(), packets[..2]);
    assert_eq!(site.decap_drops(DecapDrop::DeviceError), 2);
    assert_eq!(site.decap_drops(DecapDrop::Closed), 2);
}

#[test]
fn a_device_that_is_deleted_while_packets_are_written_one_by_one_leaves_nothing_uncounted() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.device.write_faults().next([Some(libc::EINVAL), None, Some(libc::EBADFD)]);
        site.socket.arrive(&udp_flow(6, 500));
        site.settled().await;
    });
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::DeviceGone);
    assert_eq!(site.device.taken(), udp_flow(1, 500));
    assert_eq!(site.decap_drops(DecapDrop::DeviceError), 1);
    assert_eq!(site.decap_drops(DecapDrop::Closed), 4);
}

#[test]
fn a_super_packet_that_fails_is_written_packet_by_packet() {
    for errno in survivable().filter(|&errno| errno != libc::EIO) {
        let site = Site::alone();
        let [ended] = running([&site], async {
            site.device.write_faults().next([Some(errno)]);
            site.socket.arrive(&udp_flow(10, 500));
            site.settled().await;
        });
        assert!(ended.is_ok(), "errno {errno}");
        assert_eq!(site.device.taken(), udp_flow(10, 500), "errno {errno}");
        let writes = if AGAIN.contains(&errno) { vec![10] } else { vec![1; 10] };
        assert_eq!(site.device.writes(), writes, "errno {errno}");
    }
}

#[test]
fn a_packet_that_the_device_refuses_is_counted_and_the_next_one_is_written() {
    for errno in survivable().filter(|errno| !AGAIN.contains(errno)) {
        let site = Site::alone();
        let [ended] = running([&site], async {
            site.device.write_faults().next([Some(errno)]);
            site.socket.arrive(&[udp(0, 400), udp(1, 500)]);
            site.settled().await;
        });
        assert!(ended.is_ok(), "errno {errno}");
        assert_eq!(site.device.taken(), [udp(1, 500)], "errno {errno}");
        let reason = if errno == libc::EIO { DecapDrop::DeviceDown } else { DecapDrop::DeviceError };
        assert_eq!(site.decap_drops(reason), 1, "errno {errno}");
    }
}

#[test]
fn while_the_device_is_down_packets_are_counted_and_they_flow_again_when_it_is_up() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.device.fail_writes(Some(libc::EIO));
        site.socket.arrive(&udp_flow(30, 500));
        site.settled().await;
        assert_eq!(site.decap_drops(DecapDrop::DeviceDown), 30);
        site.device.fail_writes(None);
        site.socket.arrive(&udp_flow(30, 500));
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.device.taken(), udp_flow(30, 500));
}

#[test]
fn a_device_that_is_gone_ends_the_other_direction_too_even_if_that_is_blocked() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.fail_sends(Some(libc::EAGAIN));
        site.device.hand_over(&udp_flow(5, 100));
        site.settled().await;
        site.device.fail_writes(Some(libc::EBADFD));
        site.socket.arrive(&udp_flow(1, 100));
        site.settled().await;
    });
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::DeviceGone);
    assert_eq!(site.encap_drops(EncapDrop::Closed), 5);
}
