//! How tunnels end, and that nothing of them is left then.

use std::sync::mpsc::channel;

use ttun_core::{Direction, End, ErrorKind, Offload, TapOptions, Tunnel, TunnelState};

use crate::site::{HEADERS, Site, answer, end_of, make_device, options};
use crate::tun::{LIMIT, OtherProgram, eventually};
use ttun_testkit::{isolated, run};

const EVERYTHING: TapOptions =
    TapOptions { snap_length: 65_535, capacity: 100, packets_per_second: None, direction: None };

#[test]
fn closing_frees_device_and_port_at_once() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        let local = site.tunnel.stats().socket.local;
        assert!(matches!(site.tunnel.close(), End::Closed));
        drop(OtherProgram::plain("tun0"));
        drop(std::net::UdpSocket::bind(local).unwrap());
    });
}

#[test]
fn closing_twice_reports_the_same_end_and_statistics_stay() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        site.peer.send(&answer(b"Hello World")).unwrap();
        assert_eq!(site.inbound(), b"Hello World");
        assert!(matches!(site.tunnel.close(), End::Closed));
        assert!(matches!(site.tunnel.close(), End::Closed));
        let stats = site.tunnel.stats();
        assert_eq!((stats.state, stats.decap.packets), (TunnelState::Closed, 1));
        assert!(stats.uptime_ms.total_cmp(&site.tunnel.stats().uptime_ms).is_eq(), "uptime stands still");
    });
}

#[test]
fn dropping_a_tunnel_closes_it() {
    isolated(|| {
        make_device();
        drop(Tunnel::open(&options("tun0")).unwrap());
        drop(OtherProgram::plain("tun0"));
    });
}

#[test]
fn a_tunnel_can_be_opened_and_closed_many_times() {
    isolated(|| {
        make_device();
        for _ in 0..100 {
            assert!(matches!(Tunnel::open(&options("tun0")).unwrap().close(), End::Closed));
        }
    });
}

#[test]
fn another_device_of_the_same_name_is_not_mistaken_for_the_tunnels_own() {
    isolated(|| {
        make_device();
        let tunnel = Tunnel::open(&options("tun0")).unwrap();
        run("ip link set tun0 down");
        run("ip link set tun0 mtu 1400 name renamed");
        run("ip tuntap add dev tun0 mode tun");
        assert_eq!(tunnel.stats().device.mtu, 1400);
    });
}

#[test]
fn listeners_added_before_and_after_the_end_are_called() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        let before = end_of(&site.tunnel);
        assert!(before.try_recv().is_err(), "it runs");
        site.tunnel.request_close();
        assert!(matches!(before.recv_timeout(LIMIT).unwrap(), End::Closed));
        assert!(matches!(end_of(&site.tunnel).try_recv(), Ok(End::Closed)));
    });
}

#[test]
fn a_panic_in_the_packet_path_ends_the_tunnel_with_an_error_and_frees_everything() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        let ended = end_of(&site.tunnel);
        let _tap = site.tunnel.tap(EVERYTHING, || panic!("injected")).unwrap();
        site.program.send(b"Hello World").unwrap();
        let End::Failed(error) = ended.recv_timeout(LIMIT).unwrap() else { panic!("it was closed") };
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains("injected"), "{error}");
        drop(OtherProgram::plain("tun0"));
        assert!(matches!(site.tunnel.close(), End::Failed(_)));
    });
}

#[test]
fn a_panic_at_decapsulation_ends_the_tunnel_too() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        let ended = end_of(&site.tunnel);
        let _tap = site.tunnel.tap(EVERYTHING, || panic!("injected")).unwrap();
        site.peer.send(&answer(b"Hello World")).unwrap();
        let End::Failed(error) = ended.recv_timeout(LIMIT).unwrap() else { panic!("it was closed") };
        assert_eq!(error.kind(), ErrorKind::Internal);
    });
}

#[test]
fn a_tap_copies_packets_of_both_directions() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        let (wake, woken) = channel();
        let tap = site.tunnel.tap(TapOptions { snap_length: HEADERS + 5, ..EVERYTHING }, move || {
            wake.send(()).unwrap();
        });
        let tap = tap.unwrap();
        site.program.send(b"Hello World").unwrap();
        let outbound = site.outbound();
        woken.recv_timeout(LIMIT).unwrap();
        let seen = tap.take();
        assert_eq!((seen.packets.len(), seen.left_out), (1, 0));
        assert_eq!(seen.packets[0].direction, Direction::Outbound);
        assert_eq!(seen.packets[0].len, outbound.len());
        assert_eq!(seen.packets[0].data, outbound[..HEADERS + 5]);

        site.peer.send(&answer(b"Hello World")).unwrap();
        woken.recv_timeout(LIMIT).unwrap();
        let seen = tap.take();
        assert_eq!(seen.packets[0].direction, Direction::Inbound);
        assert_eq!(seen.packets[0].data, answer(b"Hello World")[..HEADERS + 5]);
    });
}

#[test]
fn a_tap_that_is_not_emptied_holds_no_more_than_its_capacity() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        let tap = site.tunnel.tap(TapOptions { capacity: 3, ..EVERYTHING }, || {}).unwrap();
        for _ in 0..10 {
            site.program.send(b"Hello World").unwrap();
        }
        eventually("all packets pass", || site.tunnel.stats().encap.packets == 10);
        let seen = tap.take();
        assert_eq!((seen.packets.len(), seen.left_out), (3, 7));
        drop(tap);
        site.program.send(b"unseen").unwrap();
        eventually("packets pass unseen", || site.tunnel.stats().encap.packets == 11);
    });
}
