//! Probes in whole tunnels: what goes out, what is taken out of the stream, and what is learned from it.

use std::net::IpAddr;
use std::time::Duration;

use super::packet::{message_at, reply_to, udp, udp_flow};
use super::site::{Site, running};
use crate::endpoints::Endpoints;
use crate::probe::Probes;
use crate::{Echo, EchoDatagram, EchoOutcome, ProbeOptions, ProbeStats, TunnelState};

const V4: [&str; 2] = ["10.0.2.1", "10.0.2.2"];
const V6: [&str; 2] = ["fd00:2::1", "fd00:2::2"];

/// A tunnel that probes.
fn probing([source, address]: [&str; 2], interval_ms: u64) -> Site {
    let mut site = Site::alone();
    let (address, interval) = (address.parse().unwrap(), Duration::from_millis(interval_ms));
    site.context.probes = Probes::new(Some(ProbeOptions { address, interval, len: None }));
    site.context.probes.set_source(Some(source.parse().unwrap()));
    site
}

fn stats(site: &Site) -> ProbeStats {
    site.context.probes.stats(0.0)
}

/// The next requests on the wire.
async fn sent(site: &Site, count: usize) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    while sent.len() < count {
        sent.extend(site.socket.sent());
        tokio::task::yield_now().await;
    }
    sent
}

#[test]
fn a_probe_is_answered_and_neither_half_is_in_the_counters_of_the_directions() {
    for addresses in [V4, V6] {
        let site = probing(addresses, 60_000);
        let [ended] = running([&site], async {
            let requests = sent(&site, 1).await;
            let at = message_at(&requests[0]);
            assert_eq!((requests[0].len(), requests[0][at]), (at + 64, if at == 20 { 8 } else { 128 }));
            site.socket.arrive(&[reply_to(&requests[0])]);
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert!(site.device.taken().is_empty());
        let probe = stats(&site);
        assert_eq!((probe.sent, probe.received, probe.lost, probe.loss), (1, 1, 0, Some(0.0)));
        assert!(probe.rtt_ms.p50.is_some());
        let context = &site.context;
        assert_eq!((context.encap.packets.get(), context.encap.sends.get()), (0, 0));
        assert_eq!((context.decap.received.get(), context.decap.receives.get()), (0, 0));
        assert_eq!(context.clock.state(0), TunnelState::Up);
    }
}

#[test]
fn replies_among_other_packets_are_taken_out_and_the_others_stay_in_order() {
    let site = probing(V4, 10);
    let others: Vec<_> = (0..6).map(|number| udp(number, 84)).collect();
    let [ended] = running([&site], async {
        let requests = sent(&site, 3).await;
        let replies: Vec<_> = requests.iter().map(|request| reply_to(request)).collect();
        let [a, b, c] = [&replies[0], &replies[1], &replies[2]].map(Clone::clone);
        let mut batch = others.clone();
        // First, in the middle, and last of one receive; the last one cut by its length.
        batch.insert(0, a);
        batch.insert(3, b);
        batch.push(c);
        site.socket.arrive(&batch);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.device.taken(), others);
    assert_eq!((stats(&site).received, site.context.decap.received.get()), (3, 6));
}

#[test]
fn echo_replies_for_others_reach_the_device() {
    for addresses in [V4, V6] {
        let site = probing(addresses, 60_000);
        let mut strangers = Vec::new();
        let [ended] = running([&site], async {
            let request = sent(&site, 1).await.remove(0);
            let (good, at) = (reply_to(&request), message_at(&request));
            let last = good.len() - 1;
            // Another number of the probe, another token, another identifier, another sequence number, other ends, and a request.
            for byte in [at + 8 + 7, at + 8 + 15, at + 5, at + 7, if at == 20 { 15 } else { 23 }] {
                let mut other = good.clone();
                other[byte] ^= 1;
                strangers.push(other);
            }
            let mut other_destination = good.clone();
            other_destination[at - 1] ^= 4;
            strangers.extend([other_destination, request]);
            // The data of the reply, after the cookie, proves nothing.
            let mut same = good;
            same[last] ^= 1;
            site.socket.arrive(&strangers);
            site.socket.arrive(&[same]);
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert_eq!(site.device.taken(), strangers);
        assert_eq!((stats(&site).received, stats(&site).late), (1, 0));
    }
}

#[test]
fn a_reply_in_fragments_is_taken_whole() {
    for addresses in [V4, V6] {
        let site = probing(addresses, 60_000);
        let mut later_of_another = Vec::new();
        let [ended] = running([&site], async {
            let reply = reply_to(&sent(&site, 1).await[0]);
            let fragment = |id: u8, message: &[u8], offset: u8, more: bool| {
                let at = message_at(&reply);
                if at == 20 {
                    let mut packet = [&reply[..20], message].concat();
                    packet[3] = packet.len() as u8;
                    packet[4..8].copy_from_slice(&[0, id, if more { 0x20 } else { 0 }, offset / 8]);
                    packet
                } else {
                    let header = [58, 0, 0, offset | u8::from(more), 0, 0, 0, id];
                    let mut packet = [&reply[..40], &header, message].concat();
                    (packet[5], packet[6]) = (packet.len() as u8 - 40, 44);
                    packet
                }
            };
            let message = &reply[message_at(&reply)..];
            later_of_another = fragment(8, &message[32..], 32, false);
            site.socket.arrive(&[
                fragment(7, &message[..32], 0, true),
                later_of_another.clone(),
                fragment(7, &message[32..], 32, false),
            ]);
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert_eq!(site.device.taken(), [later_of_another]);
        assert_eq!(stats(&site).received, 1);
    }
}

#[test]
fn without_a_source_nothing_is_sent_until_there_is_one() {
    let site = probing(V4, 10);
    site.context.probes.set_source(None);
    let [ended] = running([&site], async {
        site.device.hand_over(&[udp(0, 100)]);
        site.settled().await;
        assert_eq!(site.socket.sent(), [udp(0, 100)]);
        site.context.probes.set_source(Some(IpAddr::from([10, 0, 2, 1])));
        site.context.shutdown.wake();
        sent(&site, 3).await;
    });
    assert!(ended.is_ok());
}

#[test]
fn no_probes_are_sent_before_there_is_a_peer() {
    let site = probing(V4, 10);
    let set_peer = |remote: &str| {
        let remote = remote.parse().unwrap();
        site.context.endpoints.change(|now| Ok::<_, ()>(Endpoints { remote, ..now })).unwrap();
    };
    set_peer("0.0.0.0:0");
    let [ended] = running([&site], async {
        // Several intervals.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!((stats(&site).sent, site.socket.sends().len()), (0, 0));
        set_peer("192.0.2.2:8000");
        sent(&site, 3).await;
    });
    assert!(ended.is_ok());
}

fn echo(len: usize, timeout_ms: u64) -> Echo {
    let [source, destination] = V4.map(|address| address.parse().unwrap());
    let (tos, outer_tos, datagram) = (2, None, EchoDatagram::AsData);
    Echo { destination, source, len, tos, outer_tos, datagram, timeout: Duration::from_millis(timeout_ms) }
}

#[test]
fn single_requests_need_no_probe_and_are_answered_or_time_out() {
    let site = Site::alone();
    let (mut outcomes, mut late) = (Vec::new(), Vec::new());
    let [ended] = running([&site], async {
        site.device.hand_over(&[udp(0, 100)]);
        site.settled().await;
        site.socket.sent();
        let asked =
            [(1000, 60_000), (60, 1), (20, 60_000)].map(|(len, ms)| site.context.probes.ask(echo(len, ms)));
        site.context.shutdown.wake();
        let requests = sent(&site, 2).await;
        assert_eq!((requests[0].len(), requests[0][1], requests[1].len()), (1000, 2, 60));
        site.socket.arrive(&[reply_to(&requests[0])]);
        for outcome in asked {
            outcomes.push(outcome.await.unwrap());
        }
        late = reply_to(&requests[1]);
        site.socket.arrive(&[late.clone()]);
        site.settled().await;
    });
    assert!(ended.is_ok());
    assert!(
        matches!(
            outcomes[..],
            [EchoOutcome::Answered(answer), EchoOutcome::Unanswered, EchoOutcome::Refused(libc::EINVAL)]
                if answer.tos == 2 && !answer.in_fragments
        ),
        "{outcomes:?}"
    );
    assert!(site.device.taken().is_empty(), "late replies do not reach the device either");
    assert_eq!((stats(&site).measurements, stats(&site).sent), (2, 0));
}

#[test]
fn a_request_after_the_end_fails_at_once() {
    let site = Site::alone();
    let _ = running([&site], async {});
    site.context.probes.end();
    assert!(site.context.probes.ask(echo(100, 1000)).blocking_recv().is_err());
}

#[test]
fn a_full_send_buffer_is_waited_for_and_refusals_of_earlier_datagrams_are_survived() {
    let site = probing(V4, 10);
    let [ended] = running([&site], async {
        site.socket.send_faults().next([libc::ECONNREFUSED, libc::EAGAIN].map(Some));
        sent(&site, 3).await;
    });
    assert!(ended.is_ok());
    assert_eq!(site.context.errors.occurred(), [(libc::ECONNREFUSED, 1)]);
}

#[test]
fn a_silent_peer_is_noticed_within_three_intervals() {
    let site = probing(V4, 100);
    let state = || site.context.clock.state(0);
    let [ended] = running([&site], async {
        let request = sent(&site, 1).await.remove(0);
        site.socket.arrive(&[reply_to(&request)]);
        site.settled().await;
        assert_eq!(state(), TunnelState::Up);
        site.context.clock.advance(100);
        // The clock of this test stands still meanwhile.
        sent(&site, 1).await;
        site.context.clock.advance(199);
        assert_eq!(state(), TunnelState::Up);
        site.context.clock.advance(1);
        assert_eq!(state(), TunnelState::Waiting);
    });
    assert!(ended.is_ok());
}

#[test]
fn a_probe_does_not_wait_behind_the_packets_that_wait_for_the_socket() {
    let site = probing(V4, 60_000);
    site.socket.limit(Some(0));
    let mut sent = vec![];
    let [ended] = running([&site], async {
        site.device.hand_over(&udp_flow(300, 1000));
        site.settled().await;
        site.socket.limit(Some(1));
        while sent.len() < 301 {
            site.settled().await;
            sent.extend(site.socket.sent());
        }
    });
    assert!(ended.is_ok());
    assert_eq!((sent[0][9], sent[0][20]), (1, 8), "the first datagram holds an echo request");
}
