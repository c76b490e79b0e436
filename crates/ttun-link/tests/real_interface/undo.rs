//! Undoing the changes of an interface.

use std::thread;

use ttun_link::{Settings, configure};

use crate::configure::{apply, settings};
use ttun_testkit::run;

use crate::{index, isolated, state};

#[test]
fn an_interface_is_as_it_was_when_its_changes_are_dropped() {
    isolated(|| {
        run("ip address add 10.0.2.9/24 dev tun0");
        run("ip address add fd00:2::9/64 dev tun0 nodad");
        let before = state();
        let wanted = Settings {
            mtu: Some(1400),
            ..settings(&["10.0.2.1/24", "10.0.3.1/24", "fd00:2::1/64"], &["10.9.0.0/16", "fd00:9::/48"])
        };
        let changes = apply(&wanted);
        assert!(!changes.is_empty());
        assert_ne!(state(), before);
        drop(changes);
        assert_eq!(state(), before);
    });
}

#[test]
fn changes_are_undone_where_they_were_made_whichever_thread_drops_them() {
    isolated(|| {
        let before = state();
        let changes = apply(&settings(&["10.0.2.1/24"], &[]));
        thread::scope(|scope| {
            scope.spawn(|| {
                // SAFETY: changes the network namespace of this thread alone, which nothing else uses.
                assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
                drop(changes);
            });
        });
        assert_eq!(state(), before);
    });
}

#[test]
fn kept_changes_stay() {
    isolated(|| {
        let mut changes =
            apply(&Settings { mtu: Some(1400), ..settings(&["10.0.2.1/24"], &["10.9.0.0/16"]) });
        let later = state();
        changes.keep();
        drop(changes);
        assert_eq!(state(), later);
    });
}

#[test]
fn a_device_that_was_up_is_up_again_with_its_routes() {
    isolated(|| {
        run("ip address add 10.0.2.1/24 dev tun0");
        run("ip address add fd00:2::1/64 dev tun0 nodad");
        run("ip link set tun0 up");
        run("ip route add 10.9.0.0/16 via 10.0.2.7 metric 7 mtu 1300");
        run("ip route add 10.8.0.0/16 dev tun0 table 77");
        run("ip route add fd00:9::/48 via fd00:2::7");
        run("ip route add fd00:8::/48 dev tun0 proto static");
        let before = state();
        let changes = apply(&Settings { up: Some(false), ..Settings::default() });
        assert!(!run("ip route show table all").contains("10.9.0.0"));
        drop(changes);
        assert_eq!(state(), before);
    });
}

#[test]
fn what_an_mtu_too_small_for_ipv6_took_comes_back_with_the_old_mtu() {
    isolated(|| {
        run("ip address add fd00:2::1/64 dev tun0 nodad");
        run("ip link set tun0 up");
        run("ip route add fd00:9::/48 via fd00:2::7");
        let addresses = || run("ip -6 -brief address show dev tun0");
        let routes = || run("ip -6 route show dev tun0");
        let before = (addresses(), routes());
        let changes = apply(&Settings { mtu: Some(1000), ..Settings::default() });
        assert_eq!(addresses(), "");
        // The kernel has forgotten that this interface is to get no address of its own.
        run("sysctl -qw net.ipv6.conf.default.addr_gen_mode=1");
        drop(changes);
        assert_eq!((addresses(), routes()), before);
    });
}

#[test]
fn settings_added_by_others_meanwhile_stay() {
    isolated(|| {
        let changes = apply(&settings(&["10.0.2.1/24"], &["10.9.0.0/16"]));
        // Without promotion the kernel removes secondary addresses with the first one.
        run("sysctl -qw net.ipv4.conf.all.promote_secondaries=0 net.ipv4.conf.tun0.promote_secondaries=0");
        run("ip address add 10.0.2.2/24 dev tun0");
        run("ip address add fd00:2::2/64 dev tun0 nodad");
        drop(changes);
        let brief = run("ip -brief address show dev tun0");
        assert!(brief.contains("DOWN"), "{brief}");
        assert!(brief.ends_with("10.0.2.2/24 fd00:2::2/64 \n"), "{brief}");
    });
}

#[test]
fn settings_changed_by_others_meanwhile_are_kept() {
    isolated(|| {
        run("ip link add veth0 type veth peer name veth1");
        run("ip link set veth0 up");
        run("ip link set tun0 up");
        let wanted = Settings { mtu: Some(1400), ..settings(&["10.0.2.1/24"], &["10.9.0.0/16"]) };
        let changes = apply(&wanted);
        run("ip link set tun0 mtu 1300");
        run("ip route replace 10.9.0.0/16 dev veth0");
        run("ip address delete 10.0.2.1/24 dev tun0");
        let later = (state(), run("ip route"));
        drop(changes);
        assert_eq!((state(), run("ip route")), later);
    });
}

#[test]
fn a_route_of_another_program_to_the_same_network_is_left() {
    isolated(|| {
        run("ip link set tun0 up");
        for (network, family, our_metric) in [("10.9.0.0/16", "-4", 0), ("fd00:9::/48", "-6", 1024)] {
            for (metric, ours_goes_before) in [(7, false), (7, true), (3000, false), (3000, true)] {
                let changes = apply(&settings(&[], &[network]));
                run(&format!("ip route add {network} dev tun0 proto static metric {metric}"));
                if ours_goes_before {
                    run(&format!("ip route delete {network} dev tun0 metric {our_metric}"));
                }
                drop(changes);
                let left = run(&format!("ip {family} route show {network}"));
                assert!(left.contains(&format!("metric {metric} ")) && left.lines().count() == 1, "{left}");
                run(&format!("ip route delete {network} dev tun0 metric {metric}"));
            }
        }
    });
}

#[test]
fn changes_of_a_deleted_device_are_not_undone_on_another() {
    isolated(|| {
        let changes = configure(index("tun0"), &settings(&["10.0.2.1/24"], &["10.9.0.0/16"])).unwrap();
        run("ip link delete tun0");
        run("ip tuntap add dev tun0 mode tun");
        run("ip address add 10.0.2.1/24 dev tun0");
        let other = state();
        drop(changes);
        assert_eq!(state(), other, "another device of the same name is left alone");
    });
}

#[test]
fn thousands_of_addresses_and_routes_are_added_found_and_removed() {
    isolated(|| {
        run("ip address add 10.0.2.9/24 dev tun0");
        let before = state();
        let networks = |first: u8, len: u8| {
            (0..3000_u16).map(move |index| {
                let [high, low] = index.to_be_bytes();
                ([10, first, high, low].into(), len)
            })
        };
        let many = Settings {
            addresses: networks(200, 32).collect(),
            routes: networks(201, 32).collect(),
            up: Some(true),
            ..Settings::default()
        };
        let changes = apply(&many);
        let later = state();
        assert!(apply(&many).is_empty(), "all of them are there");
        assert_eq!(state(), later);
        drop(changes);
        assert_eq!(state(), before);
    });
}
