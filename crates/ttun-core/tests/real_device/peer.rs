//! Another peer, and another local address, while the tunnel runs.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ttun_core::{
    EncapDrop, End, ErrorKind, InterfaceOptions, MtuChoice, Offload, Tunnel, TunnelOptions, TunnelState,
};

use crate::site::{HEADERS, Site, answer, await_up, bound, endpoint, make_device, options, received};
use crate::tun::eventually;
use ttun_testkit::{isolated, run};

#[test]
fn a_tunnel_continues_with_another_peer() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        site.peer.send(&answer(b"Hello")).unwrap();
        assert_eq!(site.inbound(), b"Hello");

        let other = bound("127.0.0.1:0");
        let before = site.tunnel.stats().socket;
        site.tunnel.set_remote(other.local_addr().unwrap()).unwrap();
        let stats = site.tunnel.stats();
        assert_eq!(
            (stats.socket.local, stats.socket.remote),
            (before.local, Some(other.local_addr().unwrap()))
        );
        assert_eq!((stats.state, stats.last_at), (TunnelState::Waiting, None));

        site.peer.send(&answer(b"late")).unwrap();
        site.program.send(b"Hello World").unwrap();
        assert_eq!(received(&other)[HEADERS..], *b"Hello World");
        other.connect(before.local).unwrap();
        other.send(&answer(b"Hello from another")).unwrap();
        assert_eq!(site.inbound(), b"Hello from another");
        assert_eq!(site.tunnel.stats().state, TunnelState::Up);
        assert_eq!(site.closed().decap.received, 2, "what the old peer sent late is not received");
    });
}

#[test]
fn every_packet_is_accounted_for_while_peers_change_under_traffic() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        let other = bound("127.0.0.1:0");
        let peers = [&site.peer, &other].map(|peer| peer.local_addr().unwrap());
        let local = site.tunnel.stats().socket.local;
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let _ = site.program.send(b"out");
                    let _ = site.peer.send(&answer(b"in"));
                    let _ = other.send_to(&answer(b"in"), local);
                }
            });
            for remote in peers.into_iter().cycle().take(1000) {
                site.tunnel.set_remote(remote).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        let stats = site.closed();
        assert!(stats.encap.packets > 0 && stats.decap.packets > 0);
        assert_eq!(stats.encap.received, stats.encap.packets + stats.encap.drops.iter().sum::<u64>());
        assert_eq!(stats.decap.received, stats.decap.packets + stats.decap.drops.iter().sum::<u64>());
        assert_eq!(stats.encap.drops.iter().sum::<u64>(), 0, "with a fixed local address nothing is lost");
    });
}

#[test]
fn after_the_end_the_port_is_free_even_if_the_peer_was_being_changed() {
    isolated(|| {
        make_device();
        for _ in 0..100 {
            let tunnel = Tunnel::open(&options("tun0")).unwrap();
            let local = tunnel.stats().socket.local;
            thread::scope(|scope| {
                for remote in ["127.0.0.2:9001", "127.0.0.3:9001", "127.0.0.4:9001", "127.0.0.5:9001"] {
                    let tunnel = &tunnel;
                    scope.spawn(move || tunnel.set_remote(endpoint(remote)));
                }
                thread::yield_now();
                let _ = tunnel.close();
                UdpSocket::bind(local).unwrap();
            });
        }
    });
}

/// Opens a tunnel whose local address is left to the routing table.
fn anywhere(local: &str, peer: &UdpSocket, bind_device: Option<&str>) -> Tunnel {
    make_device();
    Tunnel::open(&TunnelOptions {
        local: endpoint(local),
        remote: peer.local_addr().unwrap().into(),
        bind_device: bind_device.map(str::to_owned),
        ..options("tun0")
    })
    .unwrap()
}

fn make_addresses() {
    for address in ["10.9.0.1/32", "10.9.0.2/32", "2001:db8::1/128 nodad", "2001:db8::2/128 nodad"] {
        run(&format!("ip address add {address} dev lo"));
    }
}

#[test]
fn a_local_address_that_was_left_open_is_chosen_again_and_the_port_stays() {
    for (local, hosts) in [("0.0.0.0", ["10.9.0.1", "10.9.0.2"]), ("[::]", ["2001:db8::1", "2001:db8::2"])] {
        for (port, bind_device) in [(9000, None), (0, None), (0, Some("lo"))] {
            isolated(|| {
                make_addresses();
                let hosts: [IpAddr; 2] = hosts.map(|host| host.parse().unwrap());
                let [first, second] = hosts.map(|host| bound(&SocketAddr::new(host, 0).to_string()));
                let tunnel = anywhere(&format!("{local}:{port}"), &first, bind_device);
                let before = tunnel.stats().socket.local;
                // To an address of this host the kernel speaks from the same.
                assert_eq!(before.ip(), hosts[0]);

                tunnel.set_remote(second.local_addr().unwrap()).unwrap();
                let after = tunnel.stats().socket.local;
                assert_eq!(after, SocketAddr::new(hosts[1], before.port()));
                let bound_to = run("ss -Hnu state connected");
                let expected = bind_device.map_or(after.to_string(), |device| {
                    after
                        .to_string()
                        .replace(&format!(":{}", after.port()), &format!("%{device}:{}", after.port()))
                });
                assert!(bound_to.contains(&expected), "{expected} in {bound_to}");

                second.send_to(&answer(b"Hello"), after).unwrap();
                eventually("the new peer is heard", || tunnel.stats().state == TunnelState::Up);
            });
        }
    }
}

#[test]
fn strangers_are_ignored_while_the_local_address_is_chosen_again() {
    isolated(|| {
        make_addresses();
        let [first, second] = ["10.9.0.1:0", "10.9.0.2:0"].map(bound);
        let tunnel = anywhere("0.0.0.0:9000", &first, None);
        let stranger = bound("127.0.0.1:0");
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for target in ["10.9.0.1:9000", "10.9.0.2:9000", "127.0.0.1:9000"] {
                        let _ = stranger.send_to(&answer(b"stranger"), target);
                    }
                }
            });
            for peer in [&second, &first].into_iter().cycle().take(500) {
                tunnel.set_remote(peer.local_addr().unwrap()).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(matches!(tunnel.close(), End::Closed));
        assert_eq!(tunnel.stats().decap.received, 0);
    });
}

#[test]
fn a_peer_without_a_route_is_refused_and_the_tunnel_keeps_what_it_had() {
    for (local, hosts, elsewhere) in [
        ("0.0.0.0:0", "10.9.0.1:0", "192.0.2.2:8000"),
        ("127.0.0.1:0", "127.0.0.1:0", "192.0.2.2:8000"),
        ("[::]:0", "[2001:db8::1]:0", "[2001:db8:1::2]:8000"),
    ] {
        isolated(|| {
            make_addresses();
            let peer = bound(hosts);
            let tunnel = anywhere(local, &peer, None);
            let before = tunnel.stats().socket;
            let error = tunnel.set_remote(endpoint(elsewhere)).unwrap_err();
            assert!([ErrorKind::NoRoute, ErrorKind::System].contains(&error.kind()), "{error}");
            let after = tunnel.stats().socket;
            assert_eq!((after.local, after.remote), (before.local, before.remote));
            peer.send_to(&answer(b"Hello"), after.local).unwrap();
            eventually("the peer is heard", || tunnel.stats().state == TunnelState::Up);
        });
    }
}

#[test]
fn a_tunnel_that_lost_its_peer_during_a_change_is_reconnected() {
    for comes_back in [true, false] {
        isolated(|| {
            make_addresses();
            let [first, second] = ["10.9.0.1:0", "10.9.0.2:0"].map(bound);
            let tunnel = anywhere("0.0.0.0:9000", &first, None);
            await_up();
            let peers = [&first, &second].map(|peer| peer.local_addr().unwrap());
            // Only what has the tunnel's own port finds no way.
            run("ip rule add pref 100 lookup local");
            run("ip rule add pref 50 ipproto udp sport 9000 unreachable");
            run("ip rule delete pref 0");
            assert_eq!(tunnel.set_remote(peers[1]).unwrap_err().kind(), ErrorKind::NoRoute);
            let stranger = bound("127.0.0.1:0");
            for local in ["10.9.0.1:9000", "10.9.0.2:9000", "127.0.0.1:9000"] {
                stranger.send_to(&answer(b"stranger"), local).unwrap();
            }
            run("ip rule delete pref 50");
            let peer = if comes_back { &first } else { &second };
            if !comes_back {
                tunnel.set_remote(peers[1]).unwrap();
            }
            let program = bound("10.0.2.1:7000");
            peer.set_nonblocking(true).unwrap();
            eventually("the peer is spoken to", || {
                let _ = program.send_to(b"Hello World", "10.0.2.2:9000");
                peer.recv(&mut [0; 100]).is_ok()
            });
            peer.send_to(&answer(b"Hello"), tunnel.stats().socket.local).unwrap();
            eventually("the peer is heard", || tunnel.stats().state == TunnelState::Up);
            assert!(matches!(tunnel.close(), End::Closed));
            assert_eq!(tunnel.stats().decap.received, 1);
        });
    }
}

/// One peer of each family, in the order of `families`.
fn peers_of(families: [u8; 2]) -> [UdpSocket; 2] {
    families.map(|family| bound(if family == 4 { "10.9.0.1:0" } else { "[2001:db8::1]:0" }))
}

#[test]
fn a_tunnel_with_an_open_local_address_follows_the_peer_to_the_other_family() {
    for (local, families) in [("0.0.0.0:9000", [4, 6]), ("[::]:9000", [6, 4])] {
        for bind_device in [None, Some("lo")] {
            isolated(|| {
                make_addresses();
                let [first, second] = peers_of(families);
                let tunnel = anywhere(local, &first, bind_device);
                await_up();
                let program = bound("10.0.2.1:7000");
                program.connect("10.0.2.2:9000").unwrap();
                for peer in [&second, &first, &second] {
                    let remote = peer.local_addr().unwrap();
                    tunnel.set_remote(remote).unwrap();
                    let stats = tunnel.stats();
                    let socket = &stats.socket;
                    assert_eq!(
                        (socket.remote, socket.local),
                        (Some(remote), SocketAddr::new(remote.ip(), 9000))
                    );
                    assert_eq!((stats.state, stats.last_at), (TunnelState::Waiting, None));
                    assert!(socket.path_mtu.is_some() && socket.segments_per_send > 1 && socket.gro);
                    // Both directions, while the other pump waits.
                    peer.send_to(&answer(b"Hello"), socket.local).unwrap();
                    assert_eq!(received(&program), b"Hello");
                    program.send(b"Hello World").unwrap();
                    assert_eq!(received(peer)[HEADERS..], *b"Hello World");
                    assert_eq!(tunnel.stats().state, TunnelState::Up);
                }
                let shown = run("ss -Hnua");
                let sockets =
                    shown.lines().filter(|line| line.contains(":9000 ") && !line.contains("10.0.2.2"));
                assert_eq!(sockets.count(), 1, "{shown}");
                assert!(matches!(tunnel.close(), End::Closed));
                let stats = tunnel.stats();
                assert_eq!((stats.decap.packets, stats.encap.packets), (3, 3));
                assert_eq!(stats.socket.remote, Some(second.local_addr().unwrap()));
                assert!(stats.socket.gro && stats.socket.receive_buffer > 0);
            });
        }
    }
}

#[test]
fn every_packet_is_accounted_for_while_the_family_changes_under_traffic() {
    isolated(|| {
        make_addresses();
        let peers = peers_of([4, 6]);
        let tunnel = anywhere("0.0.0.0:9000", &peers[0], None);
        await_up();
        let (done, heard) = (AtomicBool::new(false), AtomicU64::new(0));
        let program = bound("10.0.2.1:7000");
        program.connect("10.0.2.2:9000").unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut sent = 0;
                while !done.load(Ordering::Relaxed) {
                    // No more than the queue of the device and the buffers of the peers have room for: in the kernel's account a datagram
                    // that was cut from a segmented send takes up to 2 kB of the 208 kB.
                    if sent < heard.load(Ordering::Relaxed) + 80 && program.send(b"out").is_ok() {
                        sent += 1;
                    }
                    let _ = peers[0].send_to(&answer(b"in"), "10.9.0.1:9000");
                    let _ = peers[1].send_to(&answer(b"in"), "[2001:db8::1]:9000");
                }
            });
            for peer in &peers {
                peer.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
                scope.spawn(|| {
                    // Until the tunnel is closed and nothing is on its way any more.
                    while !done.load(Ordering::Relaxed) || peer.peek(&mut [0; 100]).is_ok() {
                        let received = peer.recv(&mut [0; 100]).is_ok();
                        heard.fetch_add(u64::from(received), Ordering::Relaxed);
                    }
                });
            }
            let mut remotes = peers.iter().rev().cycle().map(|peer| peer.local_addr().unwrap()).take(500);
            let changed = remotes.try_for_each(|remote| tunnel.set_remote(remote));
            let _ = tunnel.close();
            done.store(true, Ordering::Relaxed);
            changed.unwrap();
        });
        let stats = tunnel.stats();
        assert!(stats.encap.packets > 0 && stats.decap.packets > 0);
        assert_eq!(stats.encap.received, stats.encap.packets + stats.encap.drops.iter().sum::<u64>());
        assert_eq!(stats.decap.received, stats.decap.packets + stats.decap.drops.iter().sum::<u64>());
        let lost = stats.encap.drops.iter().sum::<u64>() - stats.encap.drops[EncapDrop::Closed as usize];
        assert_eq!(lost, 0, "the other socket is ready before it is used");
        assert_eq!(heard.load(Ordering::Relaxed), stats.encap.packets, "all that was sent is heard");
    });
}

#[test]
fn a_peer_of_the_other_family_that_cannot_be_reached_changes_nothing() {
    for (local, families, elsewhere) in
        [("0.0.0.0:9000", [4, 6], "[2001:db8:1::2]:8000"), ("[::]:9000", [6, 4], "192.0.2.2:8000")]
    {
        isolated(|| {
            make_addresses();
            let [peer, other] = peers_of(families);
            let tunnel = anywhere(local, &peer, None);
            let before = tunnel.stats().socket;
            let refused = |remote: SocketAddr, kind| {
                let error = tunnel.set_remote(remote).unwrap_err();
                assert_eq!(error.kind(), kind, "{error}");
                let after = tunnel.stats().socket;
                assert_eq!((after.local, after.remote), (before.local, before.remote));
            };
            refused(elsewhere.parse().unwrap(), ErrorKind::NoRoute);
            // Of another program.
            let taken = bound(&SocketAddr::new(other.local_addr().unwrap().ip(), 9000).to_string());
            refused(other.local_addr().unwrap(), ErrorKind::PortInUse);
            drop(taken);
            peer.send_to(&answer(b"Hello"), before.local).unwrap();
            eventually("the peer is heard", || tunnel.stats().state == TunnelState::Up);
            tunnel.set_remote(other.local_addr().unwrap()).unwrap();
        });
    }
}

#[test]
fn after_the_end_the_ports_of_both_families_are_free_even_if_the_family_was_being_changed() {
    isolated(|| {
        make_addresses();
        let peers = peers_of([4, 6]);
        for _ in 0..50 {
            let tunnel = anywhere("0.0.0.0:9000", &peers[0], None);
            thread::scope(|scope| {
                for peer in peers.iter().rev().cycle().take(4) {
                    let (tunnel, remote) = (&tunnel, peer.local_addr().unwrap());
                    scope.spawn(move || tunnel.set_remote(remote));
                }
                thread::yield_now();
                let _ = tunnel.close();
                for any in ["0.0.0.0:9000", "[::]:9000"] {
                    UdpSocket::bind(any).unwrap();
                }
            });
            run("ip tuntap del dev tun0 mode tun");
        }
    });
}

#[test]
fn an_automatic_mtu_and_the_overhead_follow_the_family() {
    isolated(|| {
        make_addresses();
        run("ip link add name up0 type veth peer name far0");
        run("ip address add 192.0.2.1/24 dev up0");
        run("ip address add 2001:db8:2::1/64 dev up0 nodad");
        run("ip link set up0 mtu 1500 up");
        let tunnel = Tunnel::open(&TunnelOptions {
            local: endpoint("[::]:9000"),
            remote: endpoint("[2001:db8:2::2]:8000").into(),
            interface: Some(InterfaceOptions {
                create: true,
                mtu: MtuChoice::Auto,
                ..InterfaceOptions::default()
            }),
            ..options("tun0")
        })
        .unwrap();
        let mtu = || tunnel.stats().device.mtu;
        assert_eq!(mtu(), 1452);
        tunnel.set_remote(endpoint("192.0.2.2:8000")).unwrap();
        assert_eq!((mtu(), tunnel.stats().advice()), (1472, None));
        tunnel.set_remote(endpoint("[2001:db8:2::2]:8000")).unwrap();
        assert_eq!((mtu(), tunnel.stats().advice()), (1452, None));
    });
}

#[test]
fn a_tunnel_that_has_ended_refuses_another_peer() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        site.closed();
        let error = site.tunnel.set_remote(endpoint("127.0.0.1:8001")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    });
}
