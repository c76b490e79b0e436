//! A peer that is learned, over real sockets.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};
use ttun_core::{DecapDrop, End, Endpoint, InterfaceOptions, MtuChoice, Remote, Tunnel, TunnelOptions};

use crate::site::{HEADERS, answer, await_up, bound, endpoint, make_device, options, received};
use crate::tun::eventually;
use ttun_testkit::{isolated, run};

struct World {
    /// Addresses of this end.
    here: [&'static str; 2],
    /// Hosts of the network of the peer.
    peers: [&'static str; 2],
    network: (&'static str, u8),
}

const WORLDS: [World; 2] = [
    World { here: ["10.9.0.1", "10.9.0.2"], peers: ["10.9.1.1", "10.9.1.2"], network: ("10.9.1.0", 24) },
    World {
        here: ["[2001:db8::1]", "[2001:db8::2]"],
        peers: ["[2001:db8:1::1]", "[2001:db8:1::2]"],
        network: ("2001:db8:1::", 64),
    },
];

fn make_addresses() {
    for address in [
        "10.9.0.1/32",
        "10.9.0.2/32",
        "10.9.1.1/32",
        "10.9.1.2/32",
        "2001:db8::1/128 nodad",
        "2001:db8::2/128 nodad",
        "2001:db8:1::1/128 nodad",
        "2001:db8:1::2/128 nodad",
    ] {
        run(&format!("ip address add {address} dev lo"));
    }
    // The kernel adds IPv6 addresses to its routes a little later.
    for World { here, peers, .. } in WORLDS {
        for host in here.into_iter().chain(peers) {
            let (receiver, sender) = (bound(&format!("{host}:0")), bound(&format!("{}:0", here[0])));
            receiver.set_nonblocking(true).unwrap();
            let to = receiver.local_addr().unwrap();
            eventually("the address is reached", || {
                sender.send_to(b"Hello", to).is_ok() && receiver.recv(&mut [0; 10]).is_ok()
            });
        }
    }
}

/// A tunnel at `local` that learns its peer from `network`, and a program that talks through it.
fn learner(local: &str, (ip, length): (&str, u8)) -> (Tunnel, UdpSocket) {
    make_device();
    let remote = Remote::Learn(vec![(ip.parse().unwrap(), length)]);
    let tunnel = Tunnel::open(&TunnelOptions { local: endpoint(local), remote, ..options("tun0") }).unwrap();
    await_up();
    let program = bound("10.0.2.1:7000");
    program.connect("10.0.2.2:9000").unwrap();
    (tunnel, program)
}

fn drops(tunnel: &Tunnel, reason: DecapDrop) -> u64 {
    tunnel.stats().decap.drops[reason as usize]
}

/// A program that asks to share the port.
fn sharing(address: &str) -> Result<(), ErrorKind> {
    let address: SocketAddr = address.parse().unwrap();
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP)).unwrap();
    if address.is_ipv6() {
        socket.set_only_v6(true).unwrap();
    }
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).map_err(|error| error.kind())
}

#[test]
fn the_peer_is_answered_from_the_address_that_it_sends_to() {
    for World { here, peers: [first, _], network } in WORLDS {
        isolated(|| {
            make_addresses();
            let any = if here[0].starts_with('[') { "[::]:9000" } else { "0.0.0.0:9000" };
            let (tunnel, program) = learner(any, network);
            assert_eq!(tunnel.stats().socket.remote, None);
            for host in here {
                let peer = bound(&format!("{first}:0"));
                let to = format!("{host}:9000");
                peer.send_to(&answer(b"Hello"), &to).unwrap();
                assert_eq!(received(&program), b"Hello");
                program.send(b"Hello World").unwrap();
                let mut buffer = [0; 100];
                let (len, from) = peer.recv_from(&mut buffer).unwrap();
                assert_eq!((&buffer[HEADERS..len], from), (&b"Hello World"[..], to.parse().unwrap()));
                let socket = tunnel.stats().socket;
                assert_eq!((socket.local, socket.remote), (from, Some(peer.local_addr().unwrap())));
                // From now on the connected socket receives.
                peer.send_to(&answer(b"again"), &to).unwrap();
                assert_eq!(received(&program), b"again");
            }
            assert!(matches!(tunnel.close(), End::Closed));
            let stats = tunnel.stats();
            assert_eq!((stats.decap.packets, stats.encap.packets, stats.socket.peer_changes), (4, 2, 2));
            assert_eq!(stats.decap.dropped() + stats.encap.dropped(), 0);
            bound(any);
        });
    }
}

#[test]
fn no_other_program_can_share_the_port() {
    for World { here, peers: [first, _], network } in WORLDS {
        isolated(|| {
            make_addresses();
            let local = format!("{}:9000", here[0]);
            let (tunnel, program) = learner(&local, network);
            let refused = || {
                let any = if here[0].starts_with('[') { "[::]:9000" } else { "0.0.0.0:9000" };
                for address in [&local, any] {
                    assert_eq!(sharing(address), Err(ErrorKind::AddrInUse), "{address}");
                }
            };
            refused();
            for _ in 0..3 {
                let peer = bound(&format!("{first}:0"));
                peer.send_to(&answer(b"Hello"), &local).unwrap();
                assert_eq!(received(&program), b"Hello");
                refused();
            }
            drop(tunnel);
            assert_eq!(sharing(&local), Ok(()));
        });
    }
}

#[test]
fn others_are_refused_and_counted_while_the_peer_is_there() {
    for World { here, peers: [first, second], network } in WORLDS {
        isolated(|| {
            make_addresses();
            let local = format!("{}:9000", here[0]);
            let (tunnel, program) = learner(&local, network);
            let [peer, other, stranger] = [first, second, here[1]].map(|host| bound(&format!("{host}:0")));
            stranger.send_to(&answer(b"stranger"), &local).unwrap();
            eventually("the stranger is refused", || drops(&tunnel, DecapDrop::NotInPeers) == 1);
            let why = tunnel.diagnosis().unwrap();
            let address = stranger.local_addr().unwrap();
            assert!(
                why.contains(&format!("{address} are refused, because {} is not in peers", address.ip())),
                "{why}"
            );
            peer.send_to(&answer(b"Hello"), &local).unwrap();
            assert_eq!(received(&program), b"Hello");
            for _ in 0..10 {
                other.send_to(&answer(b"other"), &local).unwrap();
                stranger.send_to(&answer(b"stranger"), &local).unwrap();
            }
            eventually("others are refused", || {
                [DecapDrop::NotThePeer, DecapDrop::NotInPeers].map(|reason| drops(&tunnel, reason))
                    == [10, 11]
            });
            peer.send_to(&answer(b"again"), &local).unwrap();
            assert_eq!(received(&program), b"again");
            let stats = tunnel.stats();
            assert_eq!(
                (stats.socket.remote, stats.socket.peer_changes),
                (Some(peer.local_addr().unwrap()), 1)
            );
            assert!(tunnel.set_remote(endpoint("192.0.2.1:8000")).is_err());
        });
    }
}

#[test]
fn a_flood_from_ten_thousand_addresses_needs_no_memory() {
    isolated(|| {
        run("ip link set lo up");
        let (tunnel, program) = learner("127.0.0.1:9000", ("127.0.0.0", 8));
        let peer = bound("127.0.0.2:0");
        peer.send_to(&answer(b"Hello"), "127.0.0.1:9000").unwrap();
        assert_eq!(received(&program), b"Hello");
        let mut before = 0;
        for number in 0..10_000_u32 {
            let [.., high, low] = number.to_be_bytes();
            let sender = bound(&format!("127.9.{high}.{low}:0"));
            sender.send_to(&answer(b"flood"), "127.0.0.1:9000").unwrap();
            if number % 100 == 99 {
                peer.send_to(&answer(b"peer"), "127.0.0.1:9000").unwrap();
                assert_eq!(received(&program), b"peer");
                eventually("they are refused", || {
                    drops(&tunnel, DecapDrop::NotThePeer) == u64::from(number + 1)
                });
            }
            if number == 999 {
                before = resident();
            }
        }
        assert!(resident() < before + 1024, "{before} kB, then {} kB", resident());
        assert_eq!(tunnel.stats().socket.peer_changes, 1);
    });
}

/// Memory of this process, kB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_link_local_peer_is_learned_with_its_interface() {
    isolated(|| {
        run("ip link add here type veth peer name there");
        for (device, address) in [("here", "fe80::a/64"), ("there", "fe80::b/64")] {
            run(&format!("ip link set {device} addrgenmode none"));
            run(&format!("ip link set {device} up"));
            run(&format!("ip address add {address} dev {device} nodad"));
        }
        make_device();
        let local = Endpoint { ip: "fe80::a".parse().unwrap(), port: 9000, zone: Some("here".to_owned()) };
        let remote = Remote::Learn(vec![("fe80::".parse().unwrap(), 10)]);
        let tunnel = Tunnel::open(&TunnelOptions { local, remote, ..options("tun0") }).unwrap();
        await_up();
        let program = bound("10.0.2.1:7000");
        program.connect("10.0.2.2:9000").unwrap();
        let [here, there] = ["here", "there"].map(|device| {
            let shown = run(&format!("ip -oneline link show dev {device}"));
            shown.split_once(':').unwrap().0.parse::<u32>().unwrap()
        });
        let peer = bound(&format!("[fe80::b%{there}]:0"));
        peer.send_to(&answer(b"Hello"), format!("[fe80::a%{there}]:9000")).unwrap();
        assert_eq!(received(&program), b"Hello");
        program.send(b"Hello World").unwrap();
        assert_eq!(received(&peer)[HEADERS..], *b"Hello World");
        let Some(SocketAddr::V6(remote)) = tunnel.stats().socket.remote else { panic!("no IPv6 peer") };
        assert_eq!((remote.scope_id(), remote.port()), (here, peer.local_addr().unwrap().port()));
    });
}

#[test]
fn an_automatic_mtu_follows_the_route_to_the_peer_once_it_is_known() {
    isolated(|| {
        run("ip link set lo up");
        run("ip link set lo mtu 1400");
        let interface = InterfaceOptions {
            create: true,
            addresses: vec![("10.0.2.1".parse().unwrap(), 24)],
            mtu: MtuChoice::Auto,
            ..InterfaceOptions::default()
        };
        let remote = Remote::Learn(vec![("127.0.0.0".parse().unwrap(), 8)]);
        let local = endpoint("127.0.0.1:9000");
        let tunnel =
            Tunnel::open(&TunnelOptions { local, remote, interface: Some(interface), ..options("tun0") })
                .unwrap();
        assert_eq!(tunnel.stats().device.mtu, 1500);
        bound("127.0.0.2:0").send_to(&answer(b"Hello"), "127.0.0.1:9000").unwrap();
        eventually("the MTU fits", || tunnel.stats().device.mtu == 1372);
    });
}
