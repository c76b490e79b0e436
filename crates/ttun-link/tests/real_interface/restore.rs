//! Restoring settings that other programs have removed.

use ttun_link::{Changes, Settings};

use crate::configure::{apply, settings};
use ttun_testkit::run;

use crate::{isolated, state};

const ADDRESSES: [&str; 2] = ["10.0.2.1/24", "fd00:2::1/64"];
const ROUTES: [&str; 3] = ["10.9.0.0/16", "fd00:9::/48", "0.0.0.0/0"];

fn wanted() -> Settings {
    Settings { mtu: Some(1400), up: Some(true), ..settings(&ADDRESSES, &ROUTES) }
}

/// The restored settings, in words.
fn restored(changes: &Changes, settings: &Settings) -> Vec<String> {
    let restored = changes.restore(settings).unwrap().unwrap();
    assert!(restored.failed.is_none(), "{:?}", restored.failed);
    restored.steps.into_iter().map(ttun_link::Step::setting).collect()
}

#[test]
fn nothing_is_restored_if_nothing_was_lost() {
    isolated(|| {
        let changes = apply(&wanted());
        let before = state();
        assert!(restored(&changes, &wanted()).is_empty());
        assert_eq!(state(), before);
    });
}

#[test]
fn restored_settings_are_undone_with_the_rest() {
    for (loss, expected) in [
        (
            &["ip link set tun0 down", "ip link set tun0 up"][..],
            &["address fd00:2::1/64", "route 10.9.0.0/16", "route 0.0.0.0/0", "route fd00:9::/48"][..],
        ),
        (
            &["ip address flush dev tun0"],
            &["address 10.0.2.1/24", "address fd00:2::1/64", "route 10.9.0.0/16", "route 0.0.0.0/0"],
        ),
        (&["ip route flush dev tun0 proto static"], &["route 10.9.0.0/16", "route 0.0.0.0/0"]),
        (&["ip -6 route flush dev tun0 proto static"], &["route fd00:9::/48"]),
        (
            &["ip route flush dev tun0", "ip -6 route flush dev tun0"],
            &[
                "route 10.0.2.0/24",
                "route fd00:2::/64",
                "route 10.9.0.0/16",
                "route 0.0.0.0/0",
                "route fd00:9::/48",
            ],
        ),
        (&["ip link set tun0 mtu 1500"], &["MTU 1400"]),
        (&["ip link set tun0 mtu 1000"], &["MTU 1400", "address fd00:2::1/64", "route fd00:9::/48"]),
        (&["ip link set tun0 name office0", "ip link set office0 name tun0"], &[]),
    ] {
        isolated(|| {
            let untouched = state();
            let changes = apply(&wanted());
            let before = state();
            for command in loss {
                run(command);
            }
            assert_eq!(restored(&changes, &wanted()), expected, "{loss:?}");
            assert_eq!(sorted(&state()), sorted(&before), "{loss:?}");
            drop(changes);
            assert_eq!(state(), untouched, "{loss:?}");
        });
    }
}

/// Addresses and routes are shown in the order in which they were added.
fn sorted(state: &str) -> Vec<&str> {
    let mut parts: Vec<_> = state.split('{').map(|part| part.trim_end_matches([',', ']', '['])).collect();
    parts.sort_unstable();
    parts
}

#[test]
fn an_interface_that_is_down_is_left_alone_unless_it_is_to_be_brought_up() {
    isolated(|| {
        let changes = apply(&wanted());
        run("ip link set tun0 down");
        let down = state();
        assert!(restored(&changes, &Settings { up: None, ..wanted() }).is_empty());
        assert_eq!(state(), down);
        let expected =
            ["address fd00:2::1/64", "up", "route 10.9.0.0/16", "route 0.0.0.0/0", "route fd00:9::/48"];
        assert_eq!(restored(&changes, &wanted()), expected);
    });
}

#[test]
fn an_address_that_was_there_before_is_restored_but_not_undone() {
    isolated(|| {
        run("ip address add 10.0.2.1/24 dev tun0");
        let changes = apply(&wanted());
        run("ip address flush dev tun0");
        assert!(restored(&changes, &wanted()).contains(&"address 10.0.2.1/24".to_owned()));
        drop(changes);
        assert!(run("ip -brief address show dev tun0").contains("10.0.2.1/24"));
    });
}

#[test]
fn an_address_that_was_added_without_its_route_gets_none() {
    isolated(|| {
        run("ip address add 10.0.2.1/24 dev tun0 noprefixroute");
        run("ip address add fd00:2::1/64 dev tun0 nodad noprefixroute");
        let changes = apply(&wanted());
        assert!(restored(&changes, &wanted()).is_empty());
    });
}

#[test]
fn a_setting_that_cannot_be_restored_does_not_prevent_the_others() {
    isolated(|| {
        let changes = apply(&wanted());
        run("sysctl -qw net.ipv6.conf.tun0.disable_ipv6=1");
        run("ip route flush dev tun0 proto static");
        let restored = changes.restore(&wanted()).unwrap().unwrap();
        let steps: Vec<_> = restored.steps.into_iter().map(ttun_link::Step::setting).collect();
        assert_eq!(steps, ["route 10.9.0.0/16", "route 0.0.0.0/0"]);
        assert_eq!(restored.failed.unwrap().cause().raw_os_error(), Some(libc::EACCES));
        run("sysctl -qw net.ipv6.conf.tun0.disable_ipv6=0");
        assert_eq!(self::restored(&changes, &wanted()), ["address fd00:2::1/64", "route fd00:9::/48"]);
    });
}

#[test]
fn a_route_that_was_moved_to_another_interface_is_left_there() {
    isolated(|| {
        run("ip link add other type veth peer name end");
        run("ip link set other up");
        let changes = apply(&wanted());
        run("ip route replace 10.9.0.0/16 dev other");
        assert!(restored(&changes, &wanted()).is_empty());
    });
}

#[test]
fn only_the_missing_ones_of_many_routes_are_restored() {
    isolated(|| {
        let routes: Vec<_> = (0..100).map(|number| format!("10.9.{number}.0/24")).collect();
        let routes: Vec<_> = routes.iter().map(String::as_str).collect();
        let many = Settings { up: Some(true), ..settings(&["10.0.2.1/24"], &routes) };
        let changes = apply(&many);
        run("ip route delete 10.9.77.0/24 dev tun0");
        assert_eq!(restored(&changes, &many), ["route 10.9.77.0/24"]);
    });
}

#[test]
fn nothing_is_restored_on_a_deleted_interface() {
    isolated(|| {
        let changes = apply(&wanted());
        run("ip link delete tun0");
        assert!(changes.restore(&wanted()).unwrap().is_none());
    });
}
