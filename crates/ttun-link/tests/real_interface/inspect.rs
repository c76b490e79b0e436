//! Inspecting interfaces and routes.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use ttun_link::{Interface, LinkKind, Route, RouteQuery, describe, interfaces, route_to};

use crate::configure::network;
use ttun_testkit::run;

use crate::{index, isolated};

fn described(name: &str) -> Interface {
    describe(name).unwrap().unwrap()
}

fn query(destination: &str) -> RouteQuery {
    RouteQuery { destination: destination.parse().unwrap(), source: None, bind_device: None, mark: None }
}

fn route(query: &RouteQuery) -> Route {
    route_to(query).unwrap()
}

fn errno(query: &RouteQuery) -> Option<i32> {
    route_to(query).unwrap_err().raw_os_error()
}

/// A program that is attached to `tun0`.
fn attach() -> File {
    let file = File::options().read(true).write(true).open("/dev/net/tun").unwrap();
    let mut request = [0_u8; size_of::<libc::ifreq>()];
    request[..4].copy_from_slice(b"tun0");
    let flags = (libc::IFF_TUN | libc::IFF_NO_PI) as u16;
    request[libc::IFNAMSIZ..libc::IFNAMSIZ + 2].copy_from_slice(&flags.to_ne_bytes());
    // SAFETY: TUNSETIFF reads and writes a `struct ifreq`, which `request` has the size of.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, request.as_mut_ptr()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    file
}

#[test]
fn a_tun_device_is_described() {
    isolated(|| {
        run("ip tuntap add dev tun1 mode tun multi_queue user 1234 group 5678");
        let plain = LinkKind::Tun { multi_queue: false, owner: None, group: None };
        let kind = LinkKind::Tun { multi_queue: true, owner: Some(1234), group: Some(5678) };
        assert_eq!(described("tun1").kind, kind);

        assert_eq!(
            described("tun0"),
            Interface {
                index: index("tun0"),
                name: "tun0".to_owned(),
                kind: plain,
                mtu: 1500,
                up: false,
                carrier: false,
                addresses: vec![],
                rx_dropped: 0,
                tx_dropped: 0,
            }
        );
        run("ip address add 10.0.2.1 peer 10.0.2.2/32 dev tun0");
        run("ip address add fd00:2::1/64 dev tun0 nodad");
        run("ip link set tun0 mtu 1400 up");
        let up = described("tun0");
        assert_eq!(up.addresses, [network("10.0.2.1/32"), network("fd00:2::1/64")]);
        assert_eq!((up.mtu, up.up, up.carrier), (1400, true, false));
        let _attached = attach();
        assert!(described("tun0").carrier);
    });
}

#[test]
fn packets_that_its_queue_has_no_room_for_are_counted() {
    isolated(|| {
        let _attached = attach();
        run("ip link set tun0 txqueuelen 1 up");
        run("ip address add 10.0.2.1/24 dev tun0");
        let socket = std::net::UdpSocket::bind("10.0.2.1:0").unwrap();
        let before = described("tun0").tx_dropped;
        for _ in 0..10 {
            let _ = socket.send_to(b"Hello World", "10.0.2.2:9");
        }
        assert!(described("tun0").tx_dropped > before);
    });
}

#[test]
fn all_interfaces_are_listed_with_their_own_addresses() {
    isolated(|| {
        run("ip tuntap add dev tap0 mode tap");
        run("ip address add 10.0.2.1/24 dev tun0");
        let mut listed = interfaces().unwrap();
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        let brief: Vec<_> = listed.iter().map(|found| (found.name.as_str(), &found.kind)).collect();
        let tun = LinkKind::Tun { multi_queue: false, owner: None, group: None };
        assert_eq!(brief, [("lo", &LinkKind::Other), ("tap0", &LinkKind::Tap), ("tun0", &tun)]);
        for found in &listed {
            assert_eq!(*found, described(&found.name));
        }
        assert_eq!(described("lo").addresses, [network("127.0.0.1/8"), network("::1/128")]);
    });
}

#[test]
fn an_interface_that_does_not_exist_is_none() {
    isolated(|| assert_eq!(describe("tun7").unwrap(), None));
}

#[test]
fn a_route_has_its_router_source_and_mtu() {
    isolated(|| {
        run("ip address add 10.0.2.1/24 dev tun0");
        run("ip address add fd00:2::1/64 dev tun0 nodad");
        run("ip link set tun0 up");
        run("ip route add 10.9.0.0/16 via 10.0.2.7 mtu 1300");
        run("ip route add fd00:9::/48 via fd00:2::7");
        let direct = Route {
            index: index("tun0"),
            device: "tun0".to_owned(),
            local: false,
            gateway: None,
            source: Some("10.0.2.1".parse().unwrap()),
            mtu: 1500,
        };
        assert_eq!(route(&query("10.0.2.5")), direct);
        let routed = Route { gateway: Some("10.0.2.7".parse().unwrap()), mtu: 1300, ..direct.clone() };
        assert_eq!(route(&query("10.9.1.1")), routed);
        let ipv6 = Route {
            gateway: Some("fd00:2::7".parse().unwrap()),
            source: Some("fd00:2::1".parse().unwrap()),
            ..direct
        };
        assert_eq!(route(&query("fd00:9::1")), ipv6);
    });
}

#[test]
fn an_address_of_this_host_is_local() {
    isolated(|| {
        run("ip address add 10.0.2.1/24 dev tun0");
        run("ip address add fd00:2::1/64 dev tun0 nodad");
        run("ip link set tun0 up");
        assert!(route(&query("10.0.2.1")).local);
        // The kernel adds it to the table `local` in a work queue.
        let end = Instant::now() + Duration::from_secs(10);
        while !route(&query("fd00:2::1")).local {
            assert!(Instant::now() < end, "the kernel never takes its own address as local");
            thread::yield_now();
        }
    });
}

#[test]
fn a_mark_an_interface_and_a_source_decide_the_route() {
    isolated(|| {
        run("ip link add veth0 type veth peer name veth1");
        run("ip link set veth0 up");
        run("ip address add 10.0.2.1/24 dev tun0");
        run("ip address add 192.0.2.1/24 dev veth0");
        run("ip link set tun0 up");
        run("ip route add default dev tun0");
        run("ip route add default dev veth0 table 77");
        run("ip rule add fwmark 0x77 table 77");
        run("ip rule add from 192.0.2.1 table 77");
        let far = query("198.51.100.1");
        assert_eq!(route(&far).device, "tun0");
        assert_eq!(route(&RouteQuery { mark: Some(0x77), ..far }).device, "veth0");
        assert_eq!(route(&RouteQuery { bind_device: Some(index("veth0")), ..far }).device, "veth0");
        let source = Some("192.0.2.1".parse().unwrap());
        assert_eq!(route(&RouteQuery { source, ..far }).device, "veth0");
    });
}

#[test]
fn without_a_route_the_error_says_why() {
    isolated(|| {
        run("ip route add prohibit 203.0.113.0/24");
        assert_eq!(errno(&query("198.51.100.1")), Some(libc::ENETUNREACH));
        assert_eq!(errno(&query("fd00:9::1")), Some(libc::ENETUNREACH));
        assert_eq!(errno(&query("203.0.113.1")), Some(libc::EACCES));
    });
}
