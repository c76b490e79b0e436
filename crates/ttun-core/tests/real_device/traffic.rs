//! Packets through a real device and a real socket, with and without each offload, and through faults.

use ttun_core::{DecapDrop, End, ErrorKind, Offload, TunnelState};

use crate::site::{HEADERS, Site, answer, bound, end_of, received, send_segmented};
use crate::tun::{LIMIT, eventually};
use ttun_testkit::{isolated, run};

#[test]
fn a_super_packet_goes_out_as_packets_by_one_read_and_one_send() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        let payload: Vec<u8> = (0..40).flat_map(|index| [index; 1000]).collect();
        send_segmented(&site.program, &payload, 1000);
        for index in 0..40 {
            let packet = site.outbound();
            assert_eq!(packet.len(), HEADERS + 1000);
            assert!(packet[HEADERS..] == [index; 1000]);
        }
        let encap = site.closed().encap;
        assert_eq!((encap.received, encap.packets, encap.bytes), (40, 40, 40 * 1028));
        assert_eq!((encap.reads, encap.sends), (1, 1));
    });
}

#[test]
fn the_same_data_passes_whatever_offload_is_missing() {
    let all = Offload::ALL;
    let combinations = [
        all,
        Offload { virtio_header: false, ..all },
        Offload { checksum: false, ..all },
        Offload { tso: false, ..all },
        Offload { uso: false, ..all },
        Offload { segment: false, ..all },
        Offload { receive: false, ..all },
        Offload { virtio_header: false, segment: false, receive: false, ..all },
    ];
    for offload in combinations {
        isolated(|| {
            let site = Site::new(offload);
            let payload: Vec<u8> = (0..10).flat_map(|index| [index; 1000]).collect();
            send_segmented(&site.program, &payload, 1000);
            for index in 0..10 {
                assert!(site.outbound()[HEADERS..] == [index; 1000], "{offload:?}");
            }
            for index in 0..10 {
                site.peer.send(&answer(&[index; 1000])).unwrap();
            }
            for index in 0..10 {
                assert!(site.inbound() == [index; 1000], "{offload:?}");
            }
            let stats = site.closed();
            assert_eq!((stats.encap.packets, stats.decap.packets), (10, 10), "{offload:?}");
            assert_eq!(stats.device.offload.uso, offload.virtio_header && offload.checksum && offload.uso);
        });
    }
}

#[test]
fn the_tunnel_is_up_once_something_came_from_the_peer() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        let stats = site.tunnel.stats();
        assert_eq!((stats.state, stats.last_at), (TunnelState::Waiting, None));
        site.peer.send(&answer(b"Hello World")).unwrap();
        assert_eq!(site.inbound(), b"Hello World");
        let stats = site.tunnel.stats();
        assert_eq!(stats.state, TunnelState::Up);
        assert!(stats.last_at.is_some());
    });
}

#[test]
fn packets_flow_as_soon_as_the_peer_runs() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        let address = site.peer.local_addr().unwrap().to_string();
        drop(site.peer);
        for _ in 0..5 {
            site.program.send(b"anybody?").unwrap();
        }
        let refusals =
            || site.tunnel.stats().socket.errors.iter().any(|&(errno, _)| errno == libc::ECONNREFUSED);
        eventually("the peer's refusal is counted", refusals);
        eventually("all packets are sent or counted", || site.tunnel.stats().encap.received == 5);
        let peer = bound(&address);
        site.program.send(b"Hello World").unwrap();
        assert_eq!(received(&peer)[HEADERS..], *b"Hello World");
    });
}

#[test]
fn packets_flow_again_when_the_device_is_up_again() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        run("ip link set tun0 down");
        site.peer.send(&answer(b"lost")).unwrap();
        let down = || site.tunnel.stats().decap.drops[DecapDrop::DeviceDown as usize];
        eventually("the packet for a device that is down is counted", || down() == 1);
        run("ip link set tun0 up");
        site.peer.send(&answer(b"found")).unwrap();
        assert_eq!(site.inbound(), b"found");
        site.program.send(b"out").unwrap();
        assert_eq!(site.outbound()[HEADERS..], *b"out");
    });
}

#[test]
fn a_deleted_device_ends_the_tunnel() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        let ended = end_of(&site.tunnel);
        run("ip link delete tun0");
        let End::Failed(error) = ended.recv_timeout(LIMIT).unwrap() else { panic!("it was closed") };
        assert_eq!(error.kind(), ErrorKind::DeviceGone);
        assert!(error.hint().unwrap().contains("ip tuntap add dev tun0 mode tun"));
        let stats = site.tunnel.stats();
        assert_eq!((stats.state, stats.device.mtu), (TunnelState::Closed, 0));
    });
}

#[test]
fn packets_too_long_for_the_route_arrive_as_well() {
    isolated(|| {
        run("ip link set lo mtu 1500");
        let site = Site::new(Offload::ALL);
        let fits = 1472 - HEADERS;
        for len in [fits, fits + 1, 1500 - HEADERS] {
            site.program.send(&vec![7; len]).unwrap();
            assert_eq!(site.outbound().len(), HEADERS + len);
        }
        assert_eq!(site.tunnel.stats().socket.path_mtu, Some(1500));
        assert_eq!(site.closed().encap.fragmented, 2);
    });
}

#[test]
fn packets_still_arrive_when_the_route_becomes_narrower() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        let payload: Vec<u8> = (0..10).flat_map(|index| [index; 1400]).collect();
        send_segmented(&site.program, &payload, 1400);
        (0..10).for_each(|_| assert_eq!(site.outbound().len(), HEADERS + 1400));
        run("ip link set lo mtu 1280");
        send_segmented(&site.program, &payload, 1400);
        for index in 0..10 {
            assert!(site.outbound()[HEADERS..] == [index; 1400]);
        }
        let encap = site.closed().encap;
        assert_eq!((encap.packets, encap.fragmented), (20, 10));
    });
}

#[test]
fn the_last_receive_is_not_in_the_future() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        for _ in 0..200 {
            site.peer.send(&answer(b"Hello World")).unwrap();
            assert_eq!(site.inbound(), b"Hello World");
            let stats = site.tunnel.stats();
            assert!(stats.last_at.is_none_or(|at| at <= stats.timestamp));
        }
    });
}
