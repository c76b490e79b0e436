//! Devices that are deleted under a tunnel that waits for them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ttun_core::{
    DecapDrop, End, Error, ErrorKind, InterfaceOptions, Tunnel, TunnelOptions, TunnelState, TunnelStats,
};

use crate::site::{HEADERS, Site, answer, await_up, bound, make_device, options};
use crate::tun::{OtherProgram, eventually};
use ttun_testkit::{become_user, isolated, run};

/// Any user but root.
const USER: u32 = 65_533;

fn waiting() -> TunnelOptions {
    TunnelOptions { reattach: true, ..options("tun0") }
}

fn site() -> Site {
    make_device();
    Site::with(waiting())
}

fn await_problem(tunnel: &Tunnel, kind: ErrorKind) -> Error {
    eventually(&format!("the problem is {kind:?}"), || {
        tunnel.problem().is_some_and(|problem| problem.kind() == kind)
    });
    tunnel.problem().unwrap()
}

fn await_device(tunnel: &Tunnel) {
    eventually("the tunnel has a device", || tunnel.problem().is_none());
    await_up();
}

fn assert_accounted(stats: &TunnelStats) {
    assert_eq!(stats.encap.received, stats.encap.packets + stats.encap.drops.iter().sum::<u64>());
    assert_eq!(stats.decap.received, stats.decap.packets + stats.decap.drops.iter().sum::<u64>());
}

#[test]
fn the_tunnel_continues_when_the_device_reappears() {
    isolated(|| {
        let site = site();
        site.peer.send(&answer(b"Hello")).unwrap();
        assert_eq!(site.inbound(), b"Hello");
        let before = site.tunnel.stats().device;

        run("ip link delete tun0");
        let problem = await_problem(&site.tunnel, ErrorKind::DeviceGone);
        assert!(problem.hint().unwrap().contains("ip tuntap add dev tun0 mode tun"));
        site.peer.send(&answer(b"lost")).unwrap();
        let down = || site.tunnel.stats().decap.drops[DecapDrop::DeviceDown as usize];
        eventually("what comes meanwhile is counted", || down() == 1);
        let stats = site.tunnel.stats();
        assert_eq!((stats.state, stats.device.index, stats.device.mtu), (TunnelState::Waiting, 0, 0));

        make_device();
        run("ip link set tun0 mtu 1400");
        await_device(&site.tunnel);
        let after = site.tunnel.stats();
        assert_ne!(after.device.index, before.index);
        assert_eq!((after.state, after.device.mtu), (TunnelState::Up, 1400));
        assert_eq!(after.device.offload, before.offload);
        let program = bound("10.0.2.1:7001");
        program.send_to(b"Hello World", "10.0.2.2:9000").unwrap();
        assert_eq!(site.outbound()[HEADERS..], *b"Hello World");
        site.peer.send(&answer(b"Hello again")).unwrap();
        assert_eq!(site.inbound(), b"Hello again");
        assert_accounted(&site.closed());
    });
}

#[test]
fn every_packet_is_accounted_for_when_the_device_is_deleted_under_traffic() {
    isolated(|| {
        let site = site();
        let done = AtomicBool::new(false);
        let mut sent = 0_u64;
        thread::scope(|scope| {
            let peer = scope.spawn(|| {
                let mut sent = 0;
                while !done.load(Ordering::Relaxed) {
                    let _ = site.program.send(b"out");
                    // A refusal is that of the packet before, which has been sent.
                    sent += u64::from(site.peer.send(&answer(b"in")).is_ok());
                    if sent.is_multiple_of(64) {
                        // No faster than the tunnel receives, so that the socket loses nothing.
                        eventually("the tunnel keeps up", || site.tunnel.stats().decap.received >= sent);
                    }
                }
                sent
            });
            for _ in 0..5 {
                let received = site.tunnel.stats().decap.received;
                eventually("packets come", || site.tunnel.stats().decap.received > received);
                run("ip link delete tun0");
                let down = || site.tunnel.stats().decap.drops[DecapDrop::DeviceDown as usize];
                let so_far = down();
                eventually("packets come for a device that is gone", || down() > so_far);
                make_device();
                await_device(&site.tunnel);
                let carried = site.tunnel.stats().decap.packets;
                eventually("packets are carried again", || site.tunnel.stats().decap.packets > carried);
            }
            done.store(true, Ordering::Relaxed);
            sent = peer.join().unwrap();
        });
        eventually("all has come", || site.tunnel.stats().decap.received == sent);
        let stats = site.closed();
        assert_accounted(&stats);
        let down = stats.decap.drops[DecapDrop::DeviceDown as usize];
        assert_eq!(stats.decap.packets + down, sent, "for no other reason");
    });
}

#[test]
fn a_device_that_was_created_is_created_and_set_up_again() {
    isolated(|| {
        let interface = InterfaceOptions {
            create: true,
            addresses: vec![("10.0.2.1".parse().unwrap(), 24)],
            ..InterfaceOptions::default()
        };
        let begin = Instant::now();
        let site = Site::with(TunnelOptions { interface: Some(interface), ..waiting() });
        for _ in 0..2 {
            let index = site.tunnel.stats().device.index;
            run("ip link delete tun0");
            eventually("there is another device", || ![0, index].contains(&site.tunnel.stats().device.index));
            await_device(&site.tunnel);
            site.peer.send(&answer(b"Hello again")).unwrap();
            assert_eq!(site.inbound(), b"Hello again");
        }
        assert!(begin.elapsed() >= Duration::from_secs(2), "it is created at most once a second");
        site.closed();
        assert!(!run("ip -brief link").contains("tun0"));
    });
}

#[test]
fn a_failure_to_reattach_is_reported_and_retried() {
    isolated(|| {
        let site = site();
        run("ip link delete tun0");
        await_problem(&site.tunnel, ErrorKind::DeviceGone);
        run("ip tuntap add dev tun0 mode tap");
        await_problem(&site.tunnel, ErrorKind::DeviceIsTap);
        run("ip link delete tun0");
        await_problem(&site.tunnel, ErrorKind::DeviceGone);
        run("ip link add tun0 type veth peer name end");
        await_problem(&site.tunnel, ErrorKind::DeviceNotTun);
        run("ip link delete tun0");

        let other = OtherProgram::plain("tun0");
        await_problem(&site.tunnel, ErrorKind::DeviceBusy);
        drop(other);
        await_problem(&site.tunnel, ErrorKind::DeviceGone);
        make_device();
        await_device(&site.tunnel);
        site.peer.send(&answer(b"Hello again")).unwrap();
        assert_eq!(site.inbound(), b"Hello again");
    });
}

#[test]
fn a_device_of_another_user_is_waited_for_until_it_is_ours() {
    isolated(|| {
        run(&format!("ip tuntap add dev tun0 mode tun user {USER}"));
        // The tunnel's thread is of the user who opened it.
        let opening = thread::spawn(|| {
            become_user(USER);
            Tunnel::open(&waiting()).unwrap()
        });
        let tunnel = opening.join().unwrap();
        run("ip link delete tun0");
        run("ip tuntap add dev tun0 mode tun user 12345");
        await_problem(&tunnel, ErrorKind::DeviceNotOwner);
        run("ip link delete tun0");
        run(&format!("ip tuntap add dev tun0 mode tun user {USER}"));
        eventually("the tunnel has a device", || tunnel.problem().is_none());
    });
}

#[test]
fn a_tunnel_that_waits_for_its_device_can_be_closed_and_given_another_peer() {
    isolated(|| {
        let site = site();
        run("ip link delete tun0");
        await_problem(&site.tunnel, ErrorKind::DeviceGone);
        let other = bound("127.0.0.1:0");
        site.tunnel.set_remote(other.local_addr().unwrap()).unwrap();
        assert!(site.tunnel.problem().is_some(), "the device is still gone");
        other.send_to(&answer(b"in"), site.tunnel.stats().socket.local).unwrap();
        eventually("the new peer is received from", || site.tunnel.stats().decap.received == 1);
        assert_eq!(site.tunnel.stats().state, TunnelState::Waiting);
        assert!(matches!(site.tunnel.close(), End::Closed));
        assert_accounted(&site.tunnel.stats());
        assert_eq!(site.tunnel.stats().state, TunnelState::Closed);
    });
}
