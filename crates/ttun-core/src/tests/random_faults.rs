//! Any errors at any calls, under load in both directions: no end, no stall, nothing lost uncounted.

use proptest::prelude::*;
use ttun_packet::VirtioNetHeader;

use super::fake::Faults;
use super::packet::{by_flow, tcp_super_packet, udp};
use super::site::{Site, running};

/// For each call to come, whether it fails and with what.
type Script = Vec<Option<i32>>;

/// Errors by which the device is gone, which are the only ones to end a tunnel.
const GONE: [i32; 3] = [libc::EBADFD, libc::EBADF, libc::ENODEV];

fn script() -> impl Strategy<Value = Script> {
    let errno = prop_oneof![
        3 => prop::sample::select(vec![
            libc::EAGAIN, libc::EINTR, libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::EMSGSIZE, libc::ENOBUFS,
            libc::EPERM, libc::EIO, libc::EINVAL,
        ]),
        1 => (1..=133).prop_filter("the device stays", |errno| !GONE.contains(errno)),
    ];
    prop::collection::vec(prop::option::weighted(0.3, errno), 0..200)
}

/// Lengths of packets to pass, some of them super-packets, and the script of each of four calls.
fn load() -> impl Strategy<Value = (Vec<usize>, [Script; 4])> {
    let len = prop_oneof![4 => Just(600_usize), 2 => 40..1472_usize, 1 => 1472..40_000_usize];
    (prop::collection::vec(len, 1..200), [script(), script(), script(), script()])
}

/// Passes packets of these lengths to a site whose calls fail; returns the packets.
fn loaded(site: &Site, (lens, scripts): &(Vec<usize>, [Script; 4])) -> Vec<Vec<u8>> {
    let faults: [&Faults; 4] = [
        site.device.read_faults(),
        site.device.write_faults(),
        site.socket.send_faults(),
        site.socket.receive_faults(),
    ];
    for (faults, script) in faults.iter().zip(scripts) {
        faults.next(script.iter().copied());
    }
    let mut packets = vec![];
    for (number, &len) in (0..).zip(lens) {
        if number % 5 == 4 {
            let (read, cut) = tcp_super_packet(len, 1000);
            site.device.hand_over_reads([read]);
            packets.extend(cut);
        } else {
            site.device.hand_over_reads([(VirtioNetHeader::NONE, udp(number, len))]);
            packets.push(udp(number, len));
        }
    }
    packets
}

/// Whether `some` came from `all` by leaving out.
fn is_subsequence(some: &[&[u8]], all: &[&[u8]]) -> bool {
    let mut all = all.iter();
    some.iter().all(|packet| all.any(|other| other == packet))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_packet_arrives_in_order_or_is_counted(there in load(), back in load()) {
        let (near, far) = Site::pair();
        let mut handed_over = (vec![], vec![]);
        let ended = running([&near, &far], async {
            handed_over = (loaded(&near, &there), loaded(&far, &back));
            near.settled().await;
            far.settled().await;
            near.settled().await;
        });
        prop_assert!(ended.iter().all(Result::is_ok));
        for (from, to, packets) in [(&near, &far, &handed_over.0), (&far, &near, &handed_over.1)] {
            let arrived = to.device.taken();
            let sent = by_flow(packets);
            for (flow, arrived) in by_flow(&arrived) {
                prop_assert!(is_subsequence(&arrived, &sent[&flow]));
            }
            prop_assert_eq!(from.context.encap.received.get(), packets.len() as u64);
            prop_assert_eq!(to.context.decap.received.get(), from.context.encap.packets.get());
            let dropped = from.context.encap.snapshot().dropped() + to.context.decap.snapshot().dropped();
            prop_assert_eq!(arrived.len() as u64 + dropped, packets.len() as u64);
        }
    }
}
