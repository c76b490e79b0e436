//! Packets that do not fit the path, reported to their senders.

use super::packet::{datagram, tcp_super_packet, udp, with_df};
use super::site::{Site, running};
use crate::EncapDrop;

/// The largest packet that fits a route of 1400 bytes behind outer IPv4 and UDP headers.
const FITS: usize = 1372;

fn site() -> Site {
    let mut site = Site::alone();
    site.context.discovers_path_mtu = true;
    site.socket.set_path_mtu(Some(1400));
    site
}

fn ipv6(len: usize) -> Vec<u8> {
    datagram("[fd00:2::1]:40000", "[fd00:2::2]:5201", &vec![0; len - 48])
}

#[test]
fn datagrams_have_the_df_bit_in_batches_and_alone() {
    let site = site();
    let (read, packets) = tcp_super_packet(10 * (FITS - 40), FITS - 40);
    let [ended] = running([&site], async {
        site.device.hand_over_reads([read]);
        site.settled().await;
        site.device.hand_over(&[udp(1, 60)]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent_unfragmented(), [packets, vec![udp(1, 60)]].concat());
    assert_eq!(site.socket.sends(), [10, 1]);
}

#[test]
fn the_sender_of_a_packet_that_must_stay_whole_is_told_what_fits() {
    for (packet, message_len, mtu_at, mtu) in
        [(with_df(1400), 576, 26, FITS as u16), (ipv6(1400), 1280, 46, FITS as u16)]
    {
        let site = site();
        let [ended] = running([&site], async {
            site.device.hand_over(&[packet.clone(), udp(1, 60)]);
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert_eq!(site.socket.sent(), [udp(1, 60)]);
        let [message] = &site.device.answers()[..] else { panic!("one answer") };
        assert_eq!((message.len(), &message[mtu_at..mtu_at + 2]), (message_len, &mtu.to_be_bytes()[..]));
        let quoted = mtu_at + 2;
        assert_eq!(message[quoted..], packet[..message_len - quoted]);
        assert_eq!((site.encap_drops(EncapDrop::TooBig), site.context.encap.too_big_answers.get()), (1, 1));
    }
}

#[test]
fn a_super_packet_of_segments_that_do_not_fit_is_answered_once() {
    let site = site();
    let (mut read, mut packets) = tcp_super_packet(10 * 1400, 1400);
    // DF; the segments' own headers are rebuilt from this one.
    read.1[6] |= 0x40;
    packets[0][6] |= 0x40;
    let [ended] = running([&site], async {
        site.device.hand_over_reads([read]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert!(site.socket.sent().is_empty());
    let [message] = &site.device.answers()[..] else { panic!("one answer") };
    assert_eq!(message[28..38], packets[0][..10], "the header of the first segment");
    assert_eq!(message[40..68], packets[0][12..40]);
    assert_eq!((site.encap_drops(EncapDrop::TooBig), site.context.encap.too_big_answers.get()), (10, 1));
}

#[test]
fn packets_that_may_be_fragmented_are_sent_in_fragments() {
    let site = site();
    let packets = [udp(1, 1400), udp(2, 60)];
    let [ended] = running([&site], async {
        site.device.hand_over(&packets);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), packets);
    assert_eq!(site.socket.sent_unfragmented(), packets[1..]);
    assert_eq!((site.context.encap.fragmented.get(), site.device.answers().len()), (1, 0));
}

#[test]
fn ipv6_packets_of_1280_bytes_pass_whatever_the_path() {
    let site = site();
    site.socket.set_path_mtu(Some(1200));
    let [ended] = running([&site], async {
        site.device.hand_over(&[ipv6(1280), ipv6(1281)]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), [ipv6(1280)]);
    let [message] = &site.device.answers()[..] else { panic!("one answer") };
    assert_eq!(message[44..48], 1280_u32.to_be_bytes());
}

#[test]
fn a_flood_of_packets_that_do_not_fit_is_answered_at_a_limited_rate() {
    let site = site();
    let [ended] = running([&site], async {
        for _ in 0..10 {
            site.device.hand_over(&vec![with_df(1400); 1000]);
            site.settled().await;
            site.context.clock.advance(10);
        }
    });
    assert!(ended.is_ok());
    assert_eq!(site.encap_drops(EncapDrop::TooBig), 10_000);
    assert_eq!(site.context.encap.too_big_answers.get(), 50 + 9 * 10);
}

#[test]
fn a_path_that_becomes_narrower_in_mid_flow_costs_what_is_on_it_and_no_more() {
    for at_receive in [true, false] {
        let site = site();
        site.socket.set_path_mtu(Some(1500));
        let [ended] = running([&site], async {
            site.device.hand_over(&[with_df(1400)]);
            site.settled().await;
            site.socket.set_path_mtu(Some(1400));
            if at_receive {
                site.socket.receive_faults().next([Some(libc::EMSGSIZE)]);
            } else {
                site.socket.send_faults().next([Some(libc::EMSGSIZE)]);
                site.device.hand_over(&[udp(0, 60)]);
            }
            site.settled().await;
            site.device.hand_over(&[with_df(1400)]);
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert_eq!(site.device.answers().len(), 1, "at a receive: {at_receive}");
        assert_eq!(site.socket.sent()[0], with_df(1400));
    }
}

#[test]
fn a_datagram_that_the_interface_refuses_is_sent_in_fragments() {
    let site = site();
    site.socket.set_path_mtu(Some(1500));
    let [ended] = running([&site], async {
        site.device.hand_over(&[udp(1, 60)]);
        site.settled().await;
        site.socket.set_path_mtu(Some(1300));
        site.socket.send_faults().next([Some(libc::EMSGSIZE)]);
        site.device.hand_over(&[with_df(1400)]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.socket.sent(), [udp(1, 60), with_df(1400)]);
    assert_eq!(site.context.encap.fragmented.get(), 1);
}
