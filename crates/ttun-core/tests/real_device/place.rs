//! The interface and the mark of the outer socket.

use std::net::SocketAddr;
use std::thread;

use ttun_core::{EncapDrop, Endpoint, Error, ErrorKind, Tunnel, TunnelOptions};

use crate::site::{await_up, bound, endpoint, options};
use crate::tun::eventually;
use ttun_testkit::{become_user, isolated, run};

/// Any user but root.
const USER: u32 = 65_533;

/// Two ways to 192.0.2.0/24, of which the routing table knows only the first, with a device to tunnel from.
fn two_ways() {
    for (name, peer, mtu) in [("way1", "end1", 1500), ("way2", "end2", 1400)] {
        run(&format!("ip link add {name} mtu {mtu} type veth peer name {peer}"));
        run(&format!("ip link set {peer} up"));
        run(&format!("ip link set {name} up"));
    }
    run("ip address add 192.0.2.1/24 dev way1");
    run(&format!("ip tuntap add dev tun0 mode tun user {USER}"));
}

fn over_the_ways() -> TunnelOptions {
    TunnelOptions {
        local: endpoint("192.0.2.1:0"),
        remote: endpoint("192.0.2.2:8000").into(),
        ..options("tun0")
    }
}

fn refused(options: &TunnelOptions) -> Error {
    match Tunnel::open(options) {
        Ok(_) => panic!("{options:?} opens"),
        Err(error) => error,
    }
}

#[test]
fn the_socket_uses_the_interface_it_is_bound_to_regardless_of_the_routing_table() {
    isolated(|| {
        two_ways();
        let path_mtu = |bind_device: Option<&str>| {
            let bind_device = bind_device.map(str::to_owned);
            let tunnel = Tunnel::open(&TunnelOptions { bind_device, ..over_the_ways() }).unwrap();
            tunnel.stats().socket.path_mtu
        };
        assert_eq!(path_mtu(None), Some(1500));
        assert_eq!(path_mtu(Some("way2")), Some(1400));
        become_user(USER);
        assert_eq!(path_mtu(Some("way2")), Some(1400), "that takes no privilege");
    });
}

#[test]
fn a_missing_interface_is_refused() {
    isolated(|| {
        two_ways();
        let error = refused(&TunnelOptions { bind_device: Some("way3".to_owned()), ..over_the_ways() });
        assert_eq!(error.kind(), ErrorKind::BindDeviceNotFound);
        assert_eq!((error.syscall(), error.errno()), (Some("setsockopt"), Some(libc::ENODEV)));
        assert!(error.message().contains("way3") && error.hint().unwrap().contains("ip -brief link"));
    });
}

#[test]
fn the_tunnels_own_device_is_refused_as_its_underlay() {
    isolated(|| {
        two_ways();
        let error = refused(&TunnelOptions { bind_device: Some("tun0".to_owned()), ..over_the_ways() });
        assert_eq!(error.kind(), ErrorKind::InvalidOptions);
    });
}

#[test]
fn the_mark_chooses_the_route() {
    isolated(|| {
        two_ways();
        run("ip route del 192.0.2.0/24 dev way1");
        assert_eq!(refused(&over_the_ways()).kind(), ErrorKind::NoRoute);
        run("ip rule add fwmark 0x77 lookup 100");
        run("ip route add 192.0.2.0/24 dev way2 table 100");
        let marked = TunnelOptions { fwmark: Some(0x77), ..over_the_ways() };
        assert_eq!(Tunnel::open(&marked).unwrap().stats().socket.path_mtu, Some(1400));
    });
}

#[test]
fn an_ordinary_user_may_not_mark() {
    isolated(|| {
        two_ways();
        become_user(USER);
        let error = refused(&TunnelOptions { fwmark: Some(0x77), ..over_the_ways() });
        assert_eq!(error.kind(), ErrorKind::Permission);
        assert!(error.message().contains("fwmark") && error.hint().unwrap().contains("CAP_NET_ADMIN"));
    });
}

#[test]
fn an_interface_that_is_created_again_is_followed() {
    for (user, local, remote) in [
        (0, "192.0.2.1:0", "192.0.2.2:8000"),
        (USER, "0.0.0.0:9000", "192.0.2.2:8000"),
        (USER, "[2001:db8::1]:0", "[2001:db8::2]:8000"),
    ] {
        isolated(|| {
            let make = || {
                run("ip link add way type veth peer name end");
                run("ip link set end up");
                run("ip link set way up");
                run("ip address add 192.0.2.1/24 dev way");
                run("ip address add 2001:db8::1/64 dev way nodad");
            };
            make();
            run(&format!("ip tuntap add dev tun0 mode tun user {USER}"));
            run("ip address add 10.0.2.1/24 dev tun0");
            run("ip link set tun0 up");
            let bound_to_way = TunnelOptions {
                local: endpoint(local),
                remote: endpoint(remote).into(),
                bind_device: Some("way".to_owned()),
                ..options("tun0")
            };
            // The tunnel's thread is of the user who opened it.
            let opening = thread::spawn(move || {
                become_user(user);
                Tunnel::open(&bound_to_way).unwrap()
            });
            let tunnel = opening.join().unwrap();
            await_up();
            let program = bound("10.0.2.1:7000");
            let send = || {
                program.send_to(b"Hello World", "10.0.2.2:9000").unwrap();
            };
            let before = tunnel.stats().socket;

            run("ip link delete way");
            send();
            let lost = || tunnel.stats().encap.drops[EncapDrop::PeerUnreachable as usize];
            eventually("what is sent is lost", || lost() == 1);
            make();
            let packets = tunnel.stats().encap.packets;
            eventually("packets are sent again", || {
                send();
                tunnel.stats().encap.packets > packets
            });
            // The interface may have been there for a moment without its address.
            eventually("the ends are the same", || {
                let after = tunnel.stats().socket;
                (after.local, after.remote) == (before.local, before.remote)
            });
        });
    }
}

fn link_local(ip: &str, port: u16) -> Endpoint {
    Endpoint { ip: ip.parse().unwrap(), port, zone: Some("way".to_owned()) }
}

#[test]
fn the_interface_of_a_link_local_address_is_looked_up_by_name_again() {
    for local in [link_local("fe80::1", 9000), endpoint("[::]:9000")] {
        isolated(|| {
            let make = || {
                run("ip link add way type veth peer name end");
                run("ip link set end up");
                run("ip link set way up");
                run("ip address add fe80::1/64 dev way nodad");
            };
            make();
            run("ip tuntap add dev tun0 mode tun");
            run("ip address add 10.0.2.1/24 dev tun0");
            run("ip link set tun0 up");
            let remote = link_local("fe80::2", 8000);
            let tunnel = Tunnel::open(&TunnelOptions {
                local: local.clone(),
                remote: remote.into(),
                ..options("tun0")
            })
            .unwrap();
            await_up();
            let program = bound("10.0.2.1:7000");
            let send = || {
                program.send_to(b"Hello World", "10.0.2.2:9000").unwrap();
            };
            let zone = || match tunnel.stats().socket.remote {
                Some(SocketAddr::V6(remote)) => remote.scope_id(),
                remote => panic!("{remote:?}"),
            };
            let before = zone();

            run("ip link delete way");
            send();
            eventually("what is sent is lost", || tunnel.stats().encap.drops.iter().sum::<u64>() == 1);
            make();
            let packets = tunnel.stats().encap.packets;
            eventually("packets are sent again", || {
                send();
                tunnel.stats().encap.packets > packets
            });
            assert_ne!(zone(), before);
            assert_eq!(tunnel.stats().socket.local.port(), 9000);
        });
    }
}

#[test]
fn a_link_local_address_of_a_missing_interface_is_refused() {
    isolated(|| {
        two_ways();
        let (local, remote) = (endpoint("[::]:0"), link_local("fe80::2", 8000));
        let error = refused(&TunnelOptions {
            local: local.clone(),
            remote: remote.clone().into(),
            ..options("tun0")
        });
        assert_eq!(error.kind(), ErrorKind::BindDeviceNotFound);
        assert!(error.message().contains("way"), "{error}");

        let remote_here = Endpoint { zone: Some("way1".to_owned()), ..remote.clone() };
        run("ip address add fe80::1/64 dev way1 nodad");
        let tunnel =
            Tunnel::open(&TunnelOptions { local, remote: remote_here.into(), ..options("tun0") }).unwrap();
        let before = tunnel.stats().socket;
        assert_eq!(tunnel.set_remote(remote).unwrap_err().kind(), ErrorKind::BindDeviceNotFound);
        let after = tunnel.stats().socket;
        assert_eq!((after.local, after.remote), (before.local, before.remote));
    });
}
