//! Devices that lose their settings, are renamed or are moved while a tunnel runs.

use std::fs;
use std::process::{Child, Command};

use ttun_core::{ChangeKind, End, ErrorKind, InterfaceOptions, MtuChoice, Tunnel, TunnelOptions};

use crate::site::{endpoint, make_device, options};
use crate::tun::eventually;
use ttun_testkit::{isolated, run};

fn interface() -> InterfaceOptions {
    InterfaceOptions {
        addresses: vec![("10.0.2.1".parse().unwrap(), 24), ("fd00:2::1".parse().unwrap(), 64)],
        routes: vec![("10.9.0.0".parse().unwrap(), 16), ("fd09::".parse().unwrap(), 48)],
        mtu: MtuChoice::Bytes(1400),
        up: Some(true),
        ..InterfaceOptions::default()
    }
}

fn with(interface: InterfaceOptions) -> TunnelOptions {
    TunnelOptions { interface: Some(interface), reattach: true, ..options("tun0") }
}

fn created() -> TunnelOptions {
    with(InterfaceOptions { create: true, ..interface() })
}

/// Addresses, routes and MTU of a device, in any order.
fn settings(device: &str) -> Vec<String> {
    let mtu = run(&format!("ip -o link show dev {device}"));
    let mtu = mtu.split("mtu ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let addresses = run(&format!("ip -o address show dev {device}"));
    let addresses = addresses.lines().map(|line| line.split_whitespace().nth(3).unwrap().to_owned());
    let routes = ["-4", "-6"].map(|family| run(&format!("ip {family} route show dev {device} proto static")));
    let routes = routes.concat();
    let routes = routes.lines().map(|line| line.split_whitespace().next().unwrap().to_owned());
    let mut all: Vec<_> = addresses.chain(routes).chain([mtu]).collect();
    all.sort_unstable();
    all
}

const ALL: [&str; 5] = ["10.0.2.1/24", "10.9.0.0/16", "1400", "fd00:2::1/64", "fd09::/48"];

fn await_settings(device: &str) {
    eventually(&format!("{device} has all its settings"), || settings(device) == ALL);
}

fn messages(tunnel: &Tunnel, kind: ChangeKind) -> Vec<String> {
    let changes = tunnel.history().into_iter().filter(|change| change.kind == kind);
    changes.map(|change| change.message).collect()
}

fn await_message(tunnel: &Tunnel, kind: ChangeKind, message: &str) {
    eventually(message, || messages(tunnel, kind).iter().any(|found| found == message));
}

#[test]
fn lost_settings_are_restored() {
    isolated(|| {
        let tunnel = Tunnel::open(&created()).unwrap();
        for loss in [
            &["ip link set tun0 down", "ip link set tun0 up"][..],
            &["ip address flush dev tun0"],
            &["ip route flush dev tun0 proto static"],
            &["ip -6 route flush dev tun0 proto static"],
            &["ip link set tun0 mtu 1000"],
            &["ip link set tun0 mtu 9000"],
            &["sysctl -qw net.ipv6.conf.tun0.disable_ipv6=1", "sysctl -qw net.ipv6.conf.tun0.disable_ipv6=0"],
        ] {
            for command in loss {
                run(command);
            }
            await_settings("tun0");
        }
        let first = &messages(&tunnel, ChangeKind::DeviceRestored)[0];
        assert!(first.starts_with("restored on tun0: ") && first.contains("route fd09::/48"), "{first}");
        assert!(tunnel.problem().is_none());
    });
}

#[test]
fn an_existing_device_is_as_before_when_the_tunnel_ends_whatever_happened_meanwhile() {
    isolated(|| {
        make_device();
        let before = settings("tun0");
        let tunnel = Tunnel::open(&with(interface())).unwrap();
        await_settings("tun0");
        run("ip address flush dev tun0");
        await_settings("tun0");
        run("ip link set tun0 down");
        run("ip link set tun0 name office0");
        run("ip link set office0 up");
        await_settings("office0");
        assert!(matches!(tunnel.close(), End::Closed));
        assert_eq!(settings("office0"), before);
    });
}

#[test]
fn without_restore_a_device_stays_as_other_programs_leave_it_until_it_is_reconciled() {
    isolated(|| {
        let options = with(InterfaceOptions { create: true, restore: false, ..interface() });
        let tunnel = Tunnel::open(&options).unwrap();
        run("ip link set tun0 down");
        // The name shows that the device was reviewed.
        run("ip link set tun0 name office0");
        run("ip link set office0 up");
        await_message(&tunnel, ChangeKind::DeviceRenamed, "the device tun0 was renamed to office0");
        assert_eq!(settings("office0"), ["10.0.2.1/24", "1400"]);
        let restored = ["address fd00:2::1/64", "route 10.9.0.0/16", "route fd09::/48"];
        assert_eq!(tunnel.reconcile().unwrap(), restored);
        assert_eq!(settings("office0"), ALL);
        assert!(tunnel.reconcile().unwrap().is_empty());
    });
}

#[test]
fn a_device_that_was_brought_down_stays_down_until_it_is_reconciled() {
    isolated(|| {
        let tunnel = Tunnel::open(&created()).unwrap();
        run("ip link set tun0 down");
        run("ip link set tun0 name office0");
        await_message(&tunnel, ChangeKind::DeviceRenamed, "the device tun0 was renamed to office0");
        assert!(run("ip -brief link show office0").contains("DOWN"));
        assert!(tunnel.reconcile().unwrap().contains(&"up".to_owned()));
        await_settings("office0");
    });
}

#[test]
fn a_setting_that_cannot_be_restored_is_a_problem_until_it_can() {
    isolated(|| {
        let tunnel = Tunnel::open(&created()).unwrap();
        run("sysctl -qw net.ipv6.conf.tun0.disable_ipv6=1");
        // The kernel removes the route first, which may be noticed by itself.
        let of_address = || tunnel.problem().filter(|problem| problem.message().contains("fd00:2::1/64"));
        eventually("a problem", || of_address().is_some());
        assert_eq!(of_address().unwrap().hint(), Some("sysctl -w net.ipv6.conf.tun0.disable_ipv6=0"));
        run("sysctl -qw net.ipv6.conf.tun0.disable_ipv6=0");
        await_settings("tun0");
        eventually("no problem", || tunnel.problem().is_none());
    });
}

#[test]
fn a_renamed_device_is_recognised_even_if_another_has_the_old_name() {
    isolated(|| {
        make_device();
        let tunnel = Tunnel::open(&TunnelOptions { reattach: true, ..options("tun0") }).unwrap();
        let index = tunnel.stats().device.index;
        run("ip link set tun0 down");
        run("ip link set tun0 name office0");
        run("ip link set office0 up mtu 1300");
        run("ip tuntap add dev tun0 mode tun");
        let device = tunnel.stats().device;
        assert_eq!((&*device.name, device.index, device.mtu), ("office0", index, 1300));
        await_message(&tunnel, ChangeKind::DeviceRenamed, "the device tun0 was renamed to office0");

        // Re-attachment prefers the name that it had last.
        run("ip link delete office0");
        await_message(&tunnel, ChangeKind::DeviceLost, "the device office0 was deleted");
        eventually("the device with the configured name", || tunnel.stats().device.name == "tun0");
        run("ip link set tun0 name office0");
        eventually("the new name", || messages(&tunnel, ChangeKind::DeviceRenamed).len() == 2);
        run("ip link delete office0");
        eventually("the loss", || tunnel.problem().is_some());
        run("ip tuntap add dev office0 mode tun");
        eventually("the device with the last name", || tunnel.stats().device.index != 0);
        assert_eq!(tunnel.stats().device.name, "office0");
        await_message(&tunnel, ChangeKind::DeviceBack, "attached to office0 again");
    });
}

/// A network namespace, for as long as a process waits in it.
struct Elsewhere(Child);

impl Elsewhere {
    fn new() -> Self {
        let elsewhere = Self(Command::new("unshare").args(["-n", "sleep", "60"]).spawn().unwrap());
        let here = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let there = format!("/proc/{}/ns/net", elsewhere.0.id());
        eventually("another namespace", || fs::read_link(&there).is_ok_and(|there| there != here));
        elsewhere
    }

    fn run(&self, command: &str) -> String {
        run(&format!("nsenter -n -t {} {command}", self.0.id()))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_moved_device_is_reported_and_set_up_again_when_it_is_back() {
    isolated(|| {
        make_device();
        run("ip address flush dev tun0");
        let before = settings("tun0");
        let tunnel = Tunnel::open(&with(interface())).unwrap();
        let elsewhere = Elsewhere::new();
        run(&format!("ip link set tun0 netns {}", elsewhere.0.id()));
        await_message(
            &tunnel,
            ChangeKind::DeviceMoved,
            "the device tun0 was moved to another network namespace",
        );
        assert_eq!(tunnel.problem().unwrap().kind(), ErrorKind::DeviceGone);
        let device = tunnel.stats().device;
        assert_eq!((&*device.name, device.mtu), ("tun0", 0));

        // Meanwhile another device takes its index.
        run(&format!("ip link add other index {} type veth peer name end", device.index));
        let here = fs::read_link("/proc/thread-self").unwrap();
        elsewhere.run(&format!("ip link set tun0 netns {}", here.file_name().unwrap().display()));
        await_message(&tunnel, ChangeKind::DeviceBack, "the device tun0 is back in this network namespace");
        run("ip link set tun0 up");
        await_settings("tun0");
        eventually("no problem", || tunnel.problem().is_none());
        assert_ne!(tunnel.stats().device.index, device.index);
        assert!(matches!(tunnel.close(), End::Closed));
        assert_eq!(settings("tun0"), before);
        assert_eq!(settings("other"), ["1500"]);
    });
}

#[test]
fn a_tunnel_whose_device_is_elsewhere_carries_packets_and_ends_without_touching_another() {
    isolated(|| {
        make_device();
        let tunnel = Tunnel::open(&with(interface())).unwrap();
        let index = tunnel.stats().device.index;
        let elsewhere = Elsewhere::new();
        run(&format!("ip link set tun0 netns {}", elsewhere.0.id()));
        await_message(
            &tunnel,
            ChangeKind::DeviceMoved,
            "the device tun0 was moved to another network namespace",
        );
        run(&format!("ip link add tun0 index {index} type veth peer name end"));
        run("ip address add 10.0.2.1/24 dev tun0");
        let other = settings("tun0");
        elsewhere.run("ip address add 10.0.2.1/24 dev tun0");
        elsewhere.run("ip link set tun0 up");
        let before = tunnel.stats().encap.packets;
        // Nothing answers.
        let ping = ["-n", "-t", &elsewhere.0.id().to_string(), "ping", "-c1", "-W1", "10.0.2.2"];
        Command::new("nsenter").args(ping).output().unwrap();
        assert!(tunnel.stats().encap.packets > before);
        elsewhere.run("ip link set tun0 name office0");
        assert!(matches!(tunnel.close(), End::Closed));
        assert!(elsewhere.run("ip -brief address show dev office0").contains("10.0.2.1/24"));
        assert_eq!(settings("tun0"), other);
    });
}

#[test]
fn an_automatic_mtu_follows_the_route_to_the_same_peer() {
    isolated(|| {
        run("ip link add way mtu 1500 type veth peer name end");
        run("ip link set end up");
        run("ip link set way up");
        run("ip address add 192.0.2.1/24 dev way");
        run("ip address add 2001:db8::1/64 dev way nodad");
        for (local, remote, overhead) in
            [("192.0.2.1:8000", "192.0.2.2:8000", 28), ("[2001:db8::1]:8000", "[2001:db8::2]:8000", 48)]
        {
            let automatic = InterfaceOptions { create: true, mtu: MtuChoice::Auto, ..interface() };
            let (local, remote) = (endpoint(local), endpoint(remote));
            let tunnel =
                Tunnel::open(&TunnelOptions { local, remote: remote.into(), ..with(automatic) }).unwrap();
            let follows = |path: u32| {
                eventually("the MTU of the route", || tunnel.stats().device.mtu == path - overhead);
            };
            follows(1500);
            run("ip link set way mtu 1400");
            follows(1400);
            run("ip link set way mtu 9000");
            follows(9000);
            // The only route to the peer, and its interface, are gone for a while.
            run("ip link delete way");
            run("ip link add way mtu 1420 type veth peer name end");
            run("ip link set end up");
            run("ip link set way up");
            run("ip address add 192.0.2.1/24 dev way");
            run("ip address add 2001:db8::1/64 dev way nodad");
            follows(1420);
            run("ip link set tun0 mtu 1300");
            follows(1420);
            run("ip route add 192.0.2.2 dev way mtu 1380");
            run("ip route add 2001:db8::2 dev way mtu 1380");
            follows(1380);
            let first = &messages(&tunnel, ChangeKind::MtuChanged)[0];
            let expected =
                format!("the MTU of tun0 is now {}, because the route to the peer changed", 1400 - overhead);
            assert_eq!(*first, expected);
            drop(tunnel);
            run("ip route delete 192.0.2.2");
            run("ip route delete 2001:db8::2");
            run("ip link set way mtu 1500");
        }
    });
}
