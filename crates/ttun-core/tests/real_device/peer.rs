//! Another peer, and another local address, while the tunnel runs.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ttun_core::{End, ErrorKind, Offload, Tunnel, TunnelOptions, TunnelState};

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
        assert_eq!((stats.socket.local, stats.socket.remote), (before.local, other.local_addr().unwrap()));
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

#[test]
fn a_tunnel_that_has_ended_refuses_another_peer() {
    isolated(|| {
        let site = Site::new(Offload::ALL);
        site.closed();
        let error = site.tunnel.set_remote(endpoint("127.0.0.1:8001")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    });
}
