//! Configuring an interface, and the errors when it can't be.

use std::net::IpAddr;

use ttun_link::{Changes, Error, Settings, Step, configure};

use ttun_testkit::{become_user, run};

use crate::{index, isolated, state};

pub(crate) fn network(text: &str) -> (IpAddr, u8) {
    let (ip, len) = text.split_once('/').unwrap();
    (ip.parse().unwrap(), len.parse().unwrap())
}

pub(crate) fn settings(addresses: &[&str], routes: &[&str]) -> Settings {
    Settings {
        addresses: addresses.iter().map(|text| network(text)).collect(),
        routes: routes.iter().map(|text| network(text)).collect(),
        mtu: None,
        up: Some(true),
    }
}

pub(crate) fn apply(settings: &Settings) -> Changes {
    configure(index("tun0"), settings).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(settings: &Settings) -> Error {
    let before = state();
    let Err(error) = configure(index("tun0"), settings) else { panic!("{settings:?} is accepted") };
    assert_eq!(state(), before, "the steps before the one that failed are undone");
    error
}

#[test]
fn an_interface_gets_what_iproute2_would_give_it() {
    isolated(|| {
        let wanted = Settings {
            mtu: Some(1452),
            ..settings(
                &["10.0.2.1/24", "10.0.3.1/32", "fd00:2::1/64"],
                &["10.9.0.0/16", "0.0.0.0/0", "fd00:9::/48", "::/0"],
            )
        };
        let changes = apply(&wanted);
        let by_netlink = state();
        drop(changes);

        run("ip link set tun0 mtu 1452");
        for address in ["10.0.2.1/24 dev tun0", "10.0.3.1/32 dev tun0", "fd00:2::1/64 dev tun0 nodad"] {
            run(&format!("ip address add {address}"));
        }
        run("ip link set tun0 up");
        for route in ["10.9.0.0/16", "0.0.0.0/0", "fd00:9::/48", "::/0"] {
            run(&format!("ip route add {route} dev tun0 proto static"));
        }
        assert_eq!(by_netlink, state());
    });
}

#[test]
fn an_ipv6_address_can_be_used_at_once() {
    isolated(|| {
        let _changes = apply(&settings(&["fd00:2::1/64"], &[]));
        assert!(!run("ip -6 address show dev tun0").contains("tentative"));
        std::net::UdpSocket::bind("[fd00:2::1]:0").unwrap();
    });
}

#[test]
fn existing_settings_are_not_changes() {
    isolated(|| {
        run("ip address add 10.0.2.1/24 dev tun0");
        run("ip address add fd00:2::1/64 dev tun0 nodad");
        run("ip link set tun0 mtu 1400 up");
        run("ip route add 10.9.0.0/16 dev tun0");
        run("ip route add ::/0 dev tun0");
        let before = state();
        let wanted = Settings {
            mtu: Some(1400),
            ..settings(&["10.0.2.1/24", "fd00:2::1/64"], &["10.0.2.0/24", "10.9.0.0/16", "::/0"])
        };
        let changes = apply(&wanted);
        assert!(changes.is_empty());
        drop(changes);
        assert_eq!(state(), before);
    });
}

#[test]
fn a_device_that_is_brought_down_keeps_its_addresses() {
    isolated(|| {
        run("ip address add fd00:2::1/64 dev tun0 nodad");
        run("ip link set tun0 up");
        let down = Settings { up: Some(false), ..settings(&["10.0.2.1/24", "fd00:3::1/64"], &[]) };
        let _changes = apply(&down);
        let brief = run("ip -brief address show dev tun0");
        assert!(brief.contains("DOWN"), "{brief}");
        for address in ["10.0.2.1/24", "fd00:2::1/64", "fd00:3::1/64"] {
            assert!(brief.contains(address), "{brief}");
        }
    });
}

#[test]
fn a_network_that_is_routed_elsewhere_is_refused_and_the_rest_undone() {
    isolated(|| {
        run("ip link add veth0 type veth peer name veth1");
        run("ip link set veth0 up");
        run("ip address add 192.0.2.1/24 dev veth0");
        run("ip route add 10.9.0.0/16 via 192.0.2.2");
        run("ip route add fd00:9::/48 dev veth0");
        for (taken, words) in [
            ("10.9.0.0/16", "routing 10.9.0.0/16 into tun0: File exists (it is already routed into veth0)"),
            ("fd00:9::/48", "routing fd00:9::/48 into tun0: File exists (it is already routed into veth0)"),
        ] {
            let wanted = Settings {
                mtu: Some(1400),
                ..settings(&["10.0.2.1/24", "fd00:2::1/64"], &["10.8.0.0/16", taken])
            };
            let error = refused(&wanted);
            assert_eq!(error.to_string(), words);
            let (ip, len) = network(taken);
            assert_eq!(error.step(), Step::Route(ip, len));
            assert_eq!(error.cause().raw_os_error(), Some(libc::EEXIST));
        }
    });
}

#[test]
fn a_route_with_another_metric_is_no_obstacle() {
    isolated(|| {
        run("ip link add veth0 type veth peer name veth1");
        run("ip link set veth0 up");
        run("ip route add default dev veth0 metric 100");
        let changes = apply(&settings(&["10.0.2.1/24"], &["0.0.0.0/0"]));
        assert!(run("ip route get 198.51.100.1").contains("dev tun0"));
        drop(changes);
        assert!(run("ip route get 198.51.100.1").contains("dev veth0"));
    });
}

#[test]
fn a_route_into_the_device_with_another_metric_does_not_count() {
    isolated(|| {
        run("ip link add veth0 type veth peer name veth1");
        run("ip link set veth0 up");
        run("ip link set tun0 up");
        for (network, metric) in [("10.9.0.0/16", 100), ("fd00:9::/48", 2000)] {
            run(&format!("ip route add {network} dev tun0 metric {metric}"));
            run(&format!("ip route add {network} dev veth0"));
            let error = refused(&settings(&[], &[network]));
            assert!(error.to_string().ends_with("File exists (it is already routed into veth0)"), "{error}");
        }
    });
}

#[test]
fn a_step_that_fails_is_named_with_the_reason_of_the_kernel() {
    isolated(|| {
        run("ip address add fd00:2::1/64 dev tun0 nodad");
        let mtu = |mtu| Settings { mtu: Some(mtu), ..Settings::default() };
        let down = |routes: &[&str]| Settings { up: None, ..settings(&["10.0.2.1/24"], routes) };
        for (wanted, words) in [
            (mtu(70_000), "setting the MTU of tun0 to 70000: Invalid argument (mtu "),
            (
                Settings { mtu: Some(1200), ..settings(&["fd00:3::1/64"], &[]) },
                "adding the address fd00:3::1/64 to tun0: Invalid argument (IPv6 requires an MTU of 1280 bytes or more)",
            ),
            (
                settings(&["fd00:2::1/128"], &[]),
                "adding the address fd00:2::1/128 to tun0: File exists (it already has fd00:2::1/64)",
            ),
            (down(&["10.9.0.0/16"]), "routing 10.9.0.0/16 into tun0: Network is down"),
            (down(&["fd00:9::/48"]), "routing fd00:9::/48 into tun0: Network is down"),
        ] {
            let error = refused(&wanted).to_string();
            assert!(error.starts_with(words), "{error}");
        }
    });
}

#[test]
fn an_ordinary_user_is_refused() {
    isolated(|| {
        become_user(65_533);
        let error = refused(&settings(&["10.0.2.1/24"], &[]));
        assert_eq!(error.to_string(), "adding the address 10.0.2.1/24 to tun0: Operation not permitted");
        assert_eq!(error.interface(), "tun0");
        assert_eq!(error.cause().raw_os_error(), Some(libc::EPERM));
        assert_eq!(refused(&settings(&[], &[])).to_string(), "bringing tun0 up: Operation not permitted");
    });
}

#[test]
fn an_interface_that_is_gone_is_an_error() {
    isolated(|| {
        let gone = index("tun0");
        run("ip link delete tun0");
        let Err(error) = configure(gone, &settings(&["10.0.2.1/24"], &[])) else {
            panic!("it is configured")
        };
        assert_eq!(error.to_string(), format!("inspecting interface {gone}: No such device"));
    });
}
