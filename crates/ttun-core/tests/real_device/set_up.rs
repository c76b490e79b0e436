//! Devices that are created and set up, and what remains of that.

use std::net::UdpSocket;
use std::sync::Barrier;
use std::thread;

use ttun_core::{End, Error, ErrorKind, InterfaceOptions, MtuChoice, Tunnel, TunnelOptions};

use crate::site::{Site, answer, bound, description, end_of, endpoint, make_device, options};
use crate::tun::LIMIT;
use ttun_testkit::{become_user, isolated, run};

/// Any user but root.
const USER: u32 = 65_533;

fn set_up(interface: InterfaceOptions) -> TunnelOptions {
    TunnelOptions { interface: Some(interface), ..options("tun0") }
}

fn refused(options: &TunnelOptions) -> Error {
    match Tunnel::open(options) {
        Ok(_) => panic!("{options:?} opens"),
        Err(error) => error,
    }
}

/// A device like that of [`make_device`].
fn created() -> InterfaceOptions {
    InterfaceOptions {
        create: true,
        addresses: vec![("10.0.2.1".parse().unwrap(), 24)],
        ..InterfaceOptions::default()
    }
}

fn exists() -> bool {
    run("ip -brief link").contains("tun0")
}

#[test]
fn a_created_device_carries_packets_and_disappears_with_the_tunnel() {
    isolated(|| {
        let site = Site::with(set_up(created()));
        site.program.send(b"Hello World").unwrap();
        assert!(site.outbound().ends_with(b"Hello World"));
        site.peer.send(&answer(b"Hello")).unwrap();
        assert_eq!(site.inbound(), b"Hello");
        site.closed();
        assert!(!exists());
    });
}

#[test]
fn of_two_tunnels_that_create_it_at_the_same_moment_one_gets_it_and_the_other_is_refused() {
    isolated(|| {
        for _ in 0..200 {
            let start = Barrier::new(2);
            let open = || {
                start.wait();
                let opened = Tunnel::open(&set_up(InterfaceOptions { create: true, ..Default::default() }));
                start.wait();
                opened.err().map(|error| error.kind())
            };
            let kinds = thread::scope(|scope| {
                // A thread that is started here is in the same namespace.
                let other = scope.spawn(open);
                [open(), other.join().unwrap()]
            });
            assert!(kinds.contains(&None) && kinds.contains(&Some(ErrorKind::DeviceBusy)), "{kinds:?}");
        }
    });
}

#[test]
fn a_device_that_is_created_gets_its_configuration() {
    isolated(|| {
        let tunnel = Tunnel::open(&set_up(InterfaceOptions {
            owner: Some(65_534),
            group: Some(4321),
            multi_queue: true,
            addresses: vec![("10.0.2.1".parse().unwrap(), 24), ("fd00:2::1".parse().unwrap(), 64)],
            routes: vec![("10.9.0.0".parse().unwrap(), 16), ("fd00:9::".parse().unwrap(), 48)],
            mtu: MtuChoice::Bytes(1400),
            ..created()
        }));
        let tunnel = tunnel.unwrap();
        let shown = description("tun0");
        for expected in [
            "\"user\":\"nobody\"",
            "\"group\":4321",
            "\"multi_queue\":true",
            "\"persist\":false",
            "\"mtu\":1400",
            "\"UP\"",
            "\"10.0.2.1\"",
            "\"fd00:2::1\"",
        ] {
            assert!(shown.contains(expected), "{expected} in {shown}");
        }
        assert!(run("ip route show dev tun0").contains("10.9.0.0/16"));
        assert!(run("ip -6 route show dev tun0").contains("fd00:9::/48"));
        assert_eq!(tunnel.stats().device.mtu, 1400);
        assert!(matches!(tunnel.close(), End::Closed));
        assert_eq!(tunnel.stats().device.mtu, 1400, "as it was at the end");
        assert!(!exists());
    });
}

#[test]
fn a_persistent_device_keeps_its_settings_and_its_owner_needs_no_privileges() {
    isolated(|| {
        let persistent = set_up(InterfaceOptions {
            persist: true,
            owner: Some(USER),
            routes: vec![("10.9.0.0".parse().unwrap(), 16)],
            mtu: MtuChoice::Bytes(1400),
            ..created()
        });
        let tunnel = Tunnel::open(&persistent).unwrap();
        let index = tunnel.stats().device.index;
        drop(tunnel);
        let left = description("tun0");
        for expected in ["\"persist\":true", "\"10.0.2.1\"", "\"UP\""] {
            assert!(left.contains(expected), "{expected} in {left}");
        }
        // The second time it is a device that is there, and has all of its configuration.
        become_user(USER);
        let tunnel = Tunnel::open(&persistent).unwrap();
        assert_eq!(tunnel.stats().device.index, index);
        drop(tunnel);
        assert_eq!(description("tun0"), left);
    });
}

#[test]
fn an_ordinary_user_may_not_create_a_device() {
    isolated(|| {
        become_user(USER);
        let error = refused(&set_up(created()));
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Permission, Some(libc::EPERM)));
        assert!(error.hint().unwrap().contains("ip tuntap add dev tun0 mode tun user 65533"));
        assert!(!exists());
    });
}

#[test]
fn an_owner_may_attach_but_not_set_up() {
    isolated(|| {
        run(&format!("ip tuntap add dev tun0 mode tun user {USER}"));
        become_user(USER);
        let error = refused(&set_up(InterfaceOptions { mtu: MtuChoice::Bytes(1400), ..Default::default() }));
        assert_eq!(error.kind(), ErrorKind::Permission);
        assert!(
            error.message().contains("1400") && error.hint().unwrap().contains("CAP_NET_ADMIN"),
            "{error}"
        );
    });
}

#[test]
fn a_device_that_could_not_be_set_up_is_removed() {
    isolated(|| {
        // The kernel routes nothing into a device that is down.
        let impossible = InterfaceOptions {
            persist: true,
            up: Some(false),
            routes: vec![("10.9.0.0".parse().unwrap(), 16)],
            ..created()
        };
        let error = refused(&set_up(impossible.clone()));
        assert!(error.message().contains("10.9.0.0/16"), "{error}");
        assert!(!exists());

        make_device();
        let before = description("tun0");
        run("ip link set tun0 mtu 1300");
        let error = refused(&set_up(InterfaceOptions {
            mtu: MtuChoice::Bytes(1400),
            addresses: vec![("10.0.3.1".parse().unwrap(), 24)],
            ..impossible
        }));
        assert!(error.message().contains("10.9.0.0/16"), "{error}");
        run("ip link set tun0 mtu 1500");
        assert_eq!(description("tun0"), before);
    });
}

#[test]
fn each_error_has_a_hint() {
    isolated(|| {
        make_device();
        run("ip link add way type veth peer name end");
        run("ip link set way up");
        run("ip route add 10.9.0.0/16 dev way");
        run("ip link set tun0 down");
        let with_address = |ip: &str, len| InterfaceOptions {
            addresses: vec![(ip.parse().unwrap(), len)],
            ..InterfaceOptions::default()
        };
        let with_route = |up| InterfaceOptions {
            routes: vec![("10.9.0.0".parse().unwrap(), 16)],
            up,
            ..InterfaceOptions::default()
        };
        run("ip address add fd00:3::1/64 dev tun0 nodad");
        let hint_of = |interface| {
            let error = refused(&set_up(interface));
            assert_eq!(error.kind(), ErrorKind::System);
            error.hint().unwrap_or_else(|| panic!("{error}: no hint")).to_owned()
        };
        assert!(hint_of(with_route(Some(true))).contains("ip -4 route show 10.9.0.0/16"));
        assert!(hint_of(with_address("fd00:3::1", 128)).contains("ip -6 address show dev tun0"));
        run("ip route delete 10.9.0.0/16");
        assert!(hint_of(with_route(None)).contains("ip link set tun0 up"));
        run("sysctl -qw net.ipv6.conf.tun0.disable_ipv6=1");
        let routed = InterfaceOptions {
            routes: vec![("fd00:9::".parse().unwrap(), 64)],
            up: Some(true),
            ..InterfaceOptions::default()
        };
        for interface in [with_address("fd00:2::1", 64), routed] {
            assert_eq!(hint_of(interface), "sysctl -w net.ipv6.conf.tun0.disable_ipv6=0");
        }
    });
}

#[test]
fn no_device_is_created_for_a_socket_that_cannot_be_opened() {
    isolated(|| {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = taken.local_addr().unwrap();
        let error = refused(&TunnelOptions { local: local.into(), ..set_up(created()) });
        assert_eq!(error.kind(), ErrorKind::PortInUse);
        assert!(!exists());
    });
}

#[test]
fn an_existing_device_is_restored_however_the_tunnel_ends() {
    isolated(|| {
        run(&format!("ip tuntap add dev tun0 mode tun user {USER}"));
        run("ip link set tun0 addrgenmode none");
        run("ip address add 10.0.2.1/24 dev tun0");
        // It has its queueing discipline from when it is first up.
        run("ip link set tun0 up");
        run("ip link set tun0 down");
        let before = description("tun0");
        let changing = InterfaceOptions {
            // Of these only the second is new.
            addresses: vec![("10.0.2.1".parse().unwrap(), 24), ("10.0.3.1".parse().unwrap(), 24)],
            routes: vec![("10.9.0.0".parse().unwrap(), 16)],
            mtu: MtuChoice::Bytes(1400),
            up: Some(true),
            ..InterfaceOptions::default()
        };
        let ends: [fn(Site); 3] = [
            |site| drop(site.closed()),
            |site| drop(site.tunnel),
            |site| {
                let everything = ttun_core::TapOptions {
                    snap_length: 0,
                    capacity: 1,
                    packets_per_second: None,
                    direction: None,
                };
                let ended = end_of(&site.tunnel);
                let _tap = site.tunnel.tap(everything, || panic!("injected")).unwrap();
                site.program.send(b"Hello World").unwrap();
                assert!(matches!(ended.recv_timeout(LIMIT).unwrap(), End::Failed(_)));
            },
        ];
        for end in ends {
            let site = Site::with(set_up(changing.clone()));
            let during = description("tun0");
            for expected in ["\"mtu\":1400", "\"10.0.2.1\"", "\"10.0.3.1\"", "\"UP\""] {
                assert!(during.contains(expected), "{expected} in {during}");
            }
            assert!(run("ip route show dev tun0").contains("10.9.0.0/16"));
            end(site);
            assert_eq!(description("tun0"), before);
        }
    });
}

#[test]
fn the_automatic_mtu_fits_the_route_to_the_peer() {
    for (local, remote, mtu) in [("127.0.0.1:0", "127.0.0.1:8000", 1472), ("[::1]:0", "[::1]:8000", 1452)] {
        isolated(|| {
            run("ip link set lo mtu 1500");
            let automatic = InterfaceOptions { mtu: MtuChoice::Auto, ..created() };
            let (local, remote) = (endpoint(local), endpoint(remote));
            let tunnel =
                Tunnel::open(&TunnelOptions { local, remote: remote.into(), ..set_up(automatic) }).unwrap();
            assert_eq!(tunnel.stats().device.mtu, mtu);
        });
    }
}

#[test]
fn the_automatic_mtu_follows_the_route_to_another_peer_and_is_restored_at_the_end() {
    isolated(|| {
        run("ip link set lo mtu 1500");
        run("ip link add way mtu 1400 type veth peer name end");
        run("ip link set end up");
        run("ip link set way up");
        run("ip address add 192.0.2.1/24 dev way");
        make_device();
        let before = description("tun0");
        let automatic = InterfaceOptions { mtu: MtuChoice::Auto, ..InterfaceOptions::default() };
        let here = bound("127.0.0.1:0").local_addr().unwrap();
        let local = endpoint("0.0.0.0:0");
        let tunnel =
            Tunnel::open(&TunnelOptions { local, remote: here.into(), ..set_up(automatic) }).unwrap();
        for _ in 0..2 {
            assert_eq!(tunnel.stats().device.mtu, 1472);
            tunnel.set_remote(endpoint("192.0.2.2:8000")).unwrap();
            assert_eq!(tunnel.stats().device.mtu, 1372);
            tunnel.set_remote(here).unwrap();
        }
        tunnel.set_remote(endpoint("192.0.2.2:8000")).unwrap();
        assert!(tunnel.problem().is_none());
        drop(tunnel);
        assert_eq!(description("tun0"), before);
    });
}
