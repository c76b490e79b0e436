//! ECN and DSCP of datagrams and of the packets in them.

use ttun_packet::{Dscp, OuterTos};

use super::packet::{has_right_checksums, tcp_super_packet, udp_flow, udp_from, with_tos};
use super::site::{Site, running};
use crate::DecapDrop;

const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// DSCP 46.
const EF: u8 = 0xB8;

fn flow(runs: &[(u8, usize)]) -> Vec<Vec<u8>> {
    let toses = runs.iter().flat_map(|&(tos, count)| std::iter::repeat_n(tos, count));
    let packets = udp_flow(runs.iter().map(|(_, count)| *count as u16).sum(), 100);
    packets.iter().zip(toses).map(|(packet, tos)| with_tos(packet, tos)).collect()
}

/// Hands `packets` to a tunnel all at once; returns the number of datagrams of each send, and the TOS octet of each datagram.
fn sent(outer_tos: OuterTos, packets: &[Vec<u8>]) -> (Vec<usize>, Vec<u8>) {
    let mut site = Site::alone();
    site.context.outer_tos = outer_tos;
    let [ended] = running([&site], async {
        site.device.hand_over(packets);
        site.settled().await;
    });
    assert!(ended.is_ok());
    let (toses, datagrams): (Vec<_>, Vec<_>) = site.socket.sent_with_tos().into_iter().unzip();
    assert_eq!(datagrams, packets, "the packets themselves stay as they are");
    (site.socket.sends(), toses)
}

#[test]
fn a_send_never_mixes_tos_octets_and_takes_whole_runs_of_one() {
    let packets = flow(&[(ECT_0, 20), (NOT_ECT, 1), (EF | ECT_0, 10), (EF | ECT_1, 1), (EF | CE, 4)]);
    let expected = |toses: &[u8]| -> Vec<u8> {
        let counts = [20, 1, 10, 1, 4];
        toses.iter().zip(counts).flat_map(|(tos, count)| std::iter::repeat_n(*tos, count)).collect()
    };
    let plain = OuterTos::new(Dscp::Fixed(0), false);
    assert_eq!(sent(plain, &packets), (vec![36], vec![0; 36]));
    let ecn = OuterTos::new(Dscp::Fixed(0), true);
    assert_eq!(sent(ecn, &packets), (vec![20, 1, 10, 1, 4], expected(&[ECT_0, NOT_ECT, ECT_0, ECT_1, CE])));
    let inherited = OuterTos::new(Dscp::Inherit, false);
    assert_eq!(sent(inherited, &packets), (vec![21, 15], expected(&[0, 0, EF, EF, EF])));
    let both = OuterTos::new(Dscp::Inherit, true);
    let all = [ECT_0, NOT_ECT, EF | ECT_0, EF | ECT_1, EF | CE];
    assert_eq!(sent(both, &packets), (vec![20, 1, 10, 1, 4], expected(&all)));
}

#[test]
fn datagrams_with_the_octet_of_the_socket_itself_are_sent_without_another() {
    // The fake socket shows 0 for those; the kernel puts the socket's own octet there.
    let packets = flow(&[(NOT_ECT, 5), (ECT_0, 5)]);
    let (sends, toses) = sent(OuterTos::new(Dscp::Fixed(46), true), &packets);
    assert_eq!((sends, toses), (vec![5, 5], [vec![0; 5], vec![EF | ECT_0; 5]].concat()));
    assert_eq!(sent(OuterTos::new(Dscp::Fixed(46), false), &packets), (vec![10], vec![0; 10]));
}

#[test]
fn every_packet_of_a_super_packet_has_its_octet() {
    let mut site = Site::alone();
    site.context.outer_tos = OuterTos::new(Dscp::Inherit, true);
    let ((virtio, whole), packets) = tcp_super_packet(20_000, 1000);
    let [ended] = running([&site], async {
        site.device.hand_over_reads([(virtio, with_tos(&whole, EF | ECT_0))]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    let expected: Vec<_> = packets.iter().map(|packet| (EF | ECT_0, with_tos(packet, EF | ECT_0))).collect();
    assert_eq!(site.socket.sent_with_tos(), expected);
    assert_eq!(site.socket.sends(), [20]);
}

#[test]
fn congestion_marks_reach_the_packets_which_are_still_written_together() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.arrive_with(CE, &flow(&[(EF | ECT_0, 40)]));
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.device.writes(), [40]);
    assert_eq!(site.device.taken(), flow(&[(EF | CE, 40)]));
    assert!(site.device.taken().iter().all(|packet| has_right_checksums(packet)));
    assert_eq!(site.context.decap.congestion_marks.get(), 40);
}

#[test]
fn marked_and_unmarked_packets_of_a_flow_are_not_written_together() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        // The kernel may join datagrams whose packets differ.
        site.socket.arrive_with(ECT_0, &flow(&[(ECT_0, 10), (CE, 10), (ECT_0, 5)]));
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.device.writes(), [10, 10, 5]);
    assert_eq!(site.device.taken(), flow(&[(ECT_0, 10), (CE, 10), (ECT_0, 5)]));
    assert_eq!(site.context.decap.congestion_marks.get(), 0, "these marks are older than the datagrams");
}

#[test]
fn a_marked_datagram_whose_packet_does_not_support_ecn_is_dropped_and_counted() {
    let site = Site::alone();
    let [ended] = running([&site], async {
        site.socket.arrive_with(EF | CE, &flow(&[(ECT_1, 3), (EF, 2), (CE, 1)]));
        site.socket
            .arrive_with(CE, &[udp_from("2001:db8::1"), with_tos(&udp_from("2001:db8::1"), EF | ECT_0)]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    let mut expected = flow(&[(CE, 3), (EF, 2), (CE, 1)]);
    expected.drain(3..5);
    expected.push(with_tos(&udp_from("2001:db8::1"), EF | CE));
    assert_eq!(site.device.taken(), expected);
    assert_eq!(site.decap_drops(DecapDrop::EcnIllegal), 3);
    assert_eq!(site.context.decap.congestion_marks.get(), 4);
}
