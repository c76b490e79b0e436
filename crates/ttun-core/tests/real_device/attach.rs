//! Attaching to a device: what keeps a tunnel from it, and that nothing of it is changed but its queue.

use std::net::UdpSocket;

use ttun_core::{End, Error, ErrorKind, QueueOptions, Tunnel, TunnelOptions};

use crate::site::{await_up, description, endpoint, make_device, options, send_segmented};
use crate::tun::{IFF_PLAIN, OtherProgram};
use ttun_testkit::{become_user, isolated, run};

/// Any user but root.
const USER: u32 = 65_533;

fn refused(options: &TunnelOptions) -> Error {
    match Tunnel::open(options) {
        Ok(_) => panic!("{} opens", options.device),
        Err(error) => error,
    }
}

fn opens_and_closes(device: &str) {
    let tunnel = Tunnel::open(&options(device)).unwrap();
    assert!(matches!(tunnel.close(), End::Closed));
}

/// Packets that the kernel keeps for the program that reads the device.
fn queue_len(device: &str) -> u32 {
    let shown = run(&format!("ip link show dev {device}"));
    let (_, len) = shown.trim_end().split_once("qlen ").unwrap();
    len.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_device_that_does_not_exist_is_refused_and_not_created() {
    isolated(|| {
        let error = refused(&options("tun0"));
        assert_eq!(error.kind(), ErrorKind::DeviceNotFound);
        assert!(error.hint().unwrap().contains("ip tuntap add dev tun0 mode tun"));
        assert!(!run("ip -brief link").contains("tun0"));
    });
}

#[test]
fn an_invalid_device_name_is_refused() {
    for name in ["", "sixteen_bytes_ab", "a/b", "a b", "a:b", "a%db", "a\0b", "täglich_fünfzehn"] {
        let error = refused(&options(name));
        assert_eq!(error.kind(), ErrorKind::InvalidOptions, "{name:?}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_name_of_fifteen_bytes_is_accepted() {
    isolated(|| {
        run("ip tuntap add dev fifteen_bytes_a mode tun");
        opens_and_closes("fifteen_bytes_a");
    });
}

#[test]
fn a_tap_device_is_refused() {
    isolated(|| {
        run("ip tuntap add dev tap0 mode tap");
        let error = refused(&options("tap0"));
        assert_eq!(error.kind(), ErrorKind::DeviceIsTap);
        assert!(error.hint().unwrap().contains("ip tuntap add dev tap0 mode tun"));
    });
}

#[test]
fn an_interface_of_another_kind_is_refused() {
    isolated(|| {
        run("ip link add veth0 type veth peer name veth1");
        for name in ["lo", "veth0"] {
            assert_eq!(refused(&options(name)).kind(), ErrorKind::DeviceNotTun, "{name}");
        }
    });
}

#[test]
fn a_device_that_another_program_uses_is_refused_until_that_is_gone() {
    isolated(|| {
        run("ip tuntap add dev tun0 mode tun");
        let other = OtherProgram::plain("tun0");
        let error = refused(&options("tun0"));
        assert_eq!(error.kind(), ErrorKind::DeviceBusy);
        assert_eq!(error.errno(), Some(libc::EBUSY));
        drop(other);
        opens_and_closes("tun0");
    });
}

#[test]
fn a_device_of_another_user_is_refused() {
    isolated(|| {
        run("ip tuntap add dev tun0 mode tun user 12345");
        become_user(USER);
        let error = refused(&options("tun0"));
        assert_eq!(error.kind(), ErrorKind::DeviceNotOwner);
        assert!(error.message().contains("12345") && error.message().contains("65533"), "{error}");
        assert!(error.hint().unwrap().contains("user 65533"));
    });
}

#[test]
fn a_device_of_this_user_needs_no_privileges() {
    isolated(|| {
        run(&format!("ip tuntap add dev tun0 mode tun user {USER}"));
        become_user(USER);
        opens_and_closes("tun0");
    });
}

#[test]
fn a_low_port_is_refused_to_an_ordinary_user() {
    isolated(|| {
        run(&format!("ip tuntap add dev tun0 mode tun user {USER}"));
        become_user(USER);
        let error = refused(&TunnelOptions { local: endpoint("127.0.0.1:80"), ..options("tun0") });
        assert_eq!(error.kind(), ErrorKind::PortPermission);
        opens_and_closes("tun0");
    });
}

#[test]
fn a_peer_without_a_route_is_refused() {
    isolated(|| {
        run("ip tuntap add dev tun0 mode tun");
        let local = endpoint("0.0.0.0:0");
        let error =
            refused(&TunnelOptions { local, remote: endpoint("192.0.2.2:8000").into(), ..options("tun0") });
        assert_eq!(error.kind(), ErrorKind::NoRoute);
        assert!(error.hint().unwrap().contains("ip route get 192.0.2.2"));
    });
}

#[test]
fn a_tunnel_that_is_refused_leaves_the_device_free() {
    isolated(|| {
        run("ip tuntap add dev tun0 mode tun");
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = refused(&TunnelOptions { local: taken.local_addr().unwrap().into(), ..options("tun0") });
        assert_eq!(error.kind(), ErrorKind::PortInUse);
        drop(OtherProgram::plain("tun0"));
    });
}

#[test]
fn a_prefix_that_is_too_long_is_refused() {
    let allowed_sources = Some(vec![("10.0.0.0".parse().unwrap(), 33)]);
    let error = refused(&TunnelOptions { allowed_sources, ..options("tun0") });
    assert_eq!(error.kind(), ErrorKind::InvalidOptions);
    assert!(error.message().contains("10.0.0.0/33"));
}

#[test]
fn nothing_of_the_device_is_changed() {
    isolated(|| {
        run(&format!("ip tuntap add dev tun0 mode tun user {USER} group {USER}"));
        run("ip link set tun0 mtu 1234 txqueuelen 77 up");
        run("ip address add 10.0.2.1/24 dev tun0");
        let before = description("tun0");
        let tunnel = Tunnel::open(&options("tun0")).unwrap();
        let stats = tunnel.stats();
        assert_eq!((stats.device.name.as_str(), stats.device.mtu), ("tun0", 1234));
        for expected in ["\"mtu\":1234", "\"txqlen\":77", "\"10.0.2.1\"", "\"UP\""] {
            assert!(description("tun0").contains(expected), "{expected} while the tunnel runs");
        }
        drop(tunnel);
        assert_eq!(description("tun0"), before);
    });
}

#[test]
fn the_queue_of_a_device_holds_bursts_while_the_tunnel_runs() {
    isolated(|| {
        make_device();
        assert_eq!(queue_len("tun0"), 500);
        let tunnel = Tunnel::open(&options("tun0")).unwrap();
        assert_eq!(queue_len("tun0"), 3_000);
        drop(tunnel);
        assert_eq!(queue_len("tun0"), 500);
    });
}

#[test]
fn the_queue_of_a_renamed_device_is_restored() {
    isolated(|| {
        run("ip tuntap add dev tun0 mode tun");
        let tunnel = Tunnel::open(&options("tun0")).unwrap();
        run("ip link set tun0 name tun1");
        run("ip tuntap add dev tun0 mode tun");
        run("ip link set tun0 txqueuelen 3000");
        drop(tunnel);
        assert_eq!((queue_len("tun0"), queue_len("tun1")), (3_000, 500));
    });
}

#[test]
fn a_length_of_the_queue_that_someone_has_chosen_stays() {
    isolated(|| {
        make_device();
        let tunnel = Tunnel::open(&options("tun0")).unwrap();
        run("ip link set tun0 txqueuelen 5000");
        drop(tunnel);
        assert_eq!(queue_len("tun0"), 5_000);
    });
}

#[test]
fn without_a_queue_of_the_tunnel_that_of_the_device_stays_short() {
    isolated(|| {
        make_device();
        let queue = QueueOptions { fair: false, ..QueueOptions::default() };
        let _tunnel = Tunnel::open(&TunnelOptions { queue, ..options("tun0") }).unwrap();
        assert_eq!(queue_len("tun0"), 500);
    });
}

#[test]
fn who_may_not_change_the_queue_runs_without_a_longer_one() {
    isolated(|| {
        run(&format!("ip tuntap add dev tun0 mode tun user {USER}"));
        become_user(USER);
        opens_and_closes("tun0");
        assert_eq!(queue_len("tun0"), 500);
    });
}

#[test]
fn a_device_that_is_down_stays_down() {
    isolated(|| {
        run("ip tuntap add dev tun0 mode tun");
        let tunnel = Tunnel::open(&options("tun0")).unwrap();
        assert!(!description("tun0").contains("\"UP\""));
        drop(tunnel);
        assert!(!description("tun0").contains("\"UP\""));
    });
}

#[test]
fn a_device_with_several_queues_is_attached_to() {
    isolated(|| {
        run("ip tuntap add dev tun0 mode tun multi_queue");
        opens_and_closes("tun0");
    });
}

#[test]
fn a_header_size_that_another_program_left_is_corrected() {
    isolated(|| {
        run("ip tuntap add dev tun0 mode tun");
        let other = OtherProgram::attach("tun0", IFF_PLAIN | libc::IFF_VNET_HDR).unwrap();
        other.set_header_len(12);
        drop(other);
        opens_and_closes("tun0");
        let other = OtherProgram::attach("tun0", IFF_PLAIN | libc::IFF_VNET_HDR).unwrap();
        assert_eq!(other.header_len(), 10);
    });
}

#[test]
fn a_program_without_offloads_reads_plain_packets_after_the_tunnel_has_ended() {
    isolated(|| {
        make_device();
        let tunnel = Tunnel::open(&options("tun0")).unwrap();
        assert!(tunnel.stats().device.offload.uso, "without USO (kernel 6.2) there is nothing to take back");
        drop(tunnel);
        let mut other = OtherProgram::plain("tun0");
        await_up();
        let socket = UdpSocket::bind("10.0.2.1:0").unwrap();
        send_segmented(&socket, &[0xA0; 5000], 1000);
        assert_eq!(other.read_lens(5), [1028; 5]);
    });
}
