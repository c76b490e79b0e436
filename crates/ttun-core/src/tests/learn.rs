//! A peer that is learned: who becomes it, and when, and what becomes of everyone else's datagrams.

use super::packet::{udp, udp_flow};
use super::site::{Site, running};
use crate::endpoints::Endpoints;
use crate::learn::Learning;
use crate::{ChangeKind, DecapDrop, EncapDrop, TunnelState};

/// A site whose peer is to be learned, and what arrives there.
struct Learner {
    site: Site,
    here: &'static str,
    /// Hosts in the network of the peers.
    peers: [&'static str; 2],
    stranger: &'static str,
}

impl Learner {
    fn both_families() -> [Self; 2] {
        let learner = |here: &'static str, network: &str, peers, stranger| {
            let mut site = Site::alone();
            let networks = [(network.parse().unwrap(), 24)];
            site.context.learning = Some(Learning::new(&networks).unwrap());
            let nobody = Endpoints::without_peer(here.parse().unwrap());
            site.context.endpoints.change(|_| Ok::<_, ()>(nobody)).unwrap();
            Self { site, here, peers, stranger }
        };
        [
            learner("192.0.2.1:8000", "203.0.113.0", ["203.0.113.5", "203.0.113.6"], "198.51.100.9"),
            learner("[2001:db8::1]:8000", "2001:900::", ["[2001:900::5]", "[2001:900::6]"], "[2001:db8::9]"),
        ]
    }

    async fn arrives(&self, host: &str, port: u16, datagrams: &[Vec<u8>]) {
        self.site.socket.arrive_from(&format!("{host}:{port}"), self.here, datagrams);
        self.site.settled().await;
        assert_eq!(self.site.socket.others_waiting(), 0);
    }

    fn peer(&self) -> Option<String> {
        self.site.context.endpoints.get().peer().map(|peer| peer.to_string())
    }

    fn state(&self) -> TunnelState {
        self.site.context.clock.state(self.site.context.endpoints.with_peer_since().0)
    }

    fn changes(&self) -> Vec<String> {
        let history = self.site.context.history.last().into_iter();
        history.filter(|change| change.kind == ChangeKind::PeerChanged).map(|change| change.message).collect()
    }
}

#[test]
fn the_first_valid_packet_from_the_networks_makes_a_peer_and_is_delivered() {
    for learner in Learner::both_families() {
        let (site, [first, ..]) = (&learner.site, learner.peers);
        let [ended] = running([site], async {
            site.device.hand_over(&udp_flow(3, 100));
            site.settled().await;
            assert_eq!((site.encap_drops(EncapDrop::NoPeer), learner.state()), (3, TunnelState::Waiting));
            learner.arrives(learner.stranger, 8000, &[udp(0, 100)]).await;
            learner.arrives(first, 8000, &[vec![], vec![0xff; 40]]).await;
            assert_eq!(learner.peer(), None);
            learner.arrives(first, 40_001, &[udp(1, 100), udp(2, 100)]).await;
            assert_eq!(learner.peer(), Some(format!("{first}:40001")));
            assert_eq!(learner.state(), TunnelState::Up);
            site.device.hand_over(&[udp(9, 100)]);
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert_eq!(site.device.taken(), [udp(1, 100), udp(2, 100)]);
        assert_eq!(site.socket.sent(), [udp(9, 100)]);
        let drops = [DecapDrop::NotInPeers, DecapDrop::Empty, DecapDrop::Malformed];
        assert_eq!(drops.map(|reason| site.decap_drops(reason)), [1, 1, 1]);
        assert_eq!(
            learner.changes(),
            [format!("the peer is {first}:40001, which has sent the first packet")]
        );
    }
}

#[test]
fn another_address_takes_over_only_from_a_peer_that_is_silent_for_five_seconds() {
    for learner in Learner::both_families() {
        let (site, [first, second]) = (&learner.site, learner.peers);
        let [ended] = running([site], async {
            learner.arrives(first, 8000, &[udp(0, 100)]).await;
            site.context.clock.advance(4999);
            learner.arrives(second, 8000, &udp_flow(5, 100)).await;
            assert_eq!(learner.peer(), Some(format!("{first}:8000")));
            assert_eq!(site.decap_drops(DecapDrop::NotThePeer), 5);
            // The peer is heard by the socket that is connected to it.
            site.socket.speak_as(&format!("{first}:8000"));
            site.socket.arrive(&[udp(1, 100)]);
            site.settled().await;
            site.context.clock.advance(4999);
            learner.arrives(second, 8000, &[udp(2, 100)]).await;
            assert_eq!(learner.peer(), Some(format!("{first}:8000")));
            site.context.clock.advance(1);
            learner.arrives(second, 8000, &[udp(3, 100)]).await;
            assert_eq!(learner.peer(), Some(format!("{second}:8000")));
        });
        assert!(ended.is_ok());
        assert_eq!(site.device.taken(), [udp(0, 100), udp(1, 100), udp(3, 100)]);
        assert_eq!(site.context.peer_changes.get(), 2);
        let last =
            format!("the peer's address changed from {first}:8000, silent for 5.0 s, to {second}:8000");
        assert_eq!(learner.changes().pop(), Some(last));
    }
}

#[test]
fn another_port_of_the_peers_address_takes_over_at_once_but_not_again_and_again() {
    for learner in Learner::both_families() {
        let (site, [first, ..]) = (&learner.site, learner.peers);
        let [ended] = running([site], async {
            for port in 1000..2000 {
                learner.arrives(first, port, &[udp(port, 100)]).await;
            }
        });
        assert!(ended.is_ok());
        assert_eq!(learner.peer(), Some(format!("{first}:1009")));
        assert_eq!((site.context.peer_changes.get(), learner.changes().len()), (10, 10));
        assert_eq!((site.device.taken().len(), site.decap_drops(DecapDrop::NotThePeer)), (10, 990));
    }
}

#[test]
fn a_flood_from_ten_thousand_addresses_changes_nothing_while_the_peer_is_there() {
    for learner in Learner::both_families() {
        let (site, [first, ..]) = (&learner.site, learner.peers);
        let [ended] = running([site], async {
            learner.arrives(first, 8000, &[udp(0, 100)]).await;
            for number in 0..10_000_u16 {
                let (high, low) = (number / 240, number % 240 + 10);
                let host = match (learner.here.starts_with('['), high % 2 == 0) {
                    (true, true) => format!("[2001:900:{high}::{low:x}]"),
                    (true, false) => format!("[2001:db8:{high}::{low:x}]"),
                    (false, true) => format!("203.0.113.{low}"),
                    (false, false) => format!("198.51.{high}.{low}"),
                };
                site.socket.arrive_from(&format!("{host}:9"), learner.here, &[udp(number, 100)]);
            }
            site.socket.arrive(&udp_flow(100, 100));
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert_eq!(learner.peer(), Some(format!("{first}:8000")));
        let refused = [DecapDrop::NotInPeers, DecapDrop::NotThePeer].map(|reason| site.decap_drops(reason));
        assert_eq!(refused.iter().sum::<u64>(), 10_000);
        assert_eq!(site.device.taken().len(), 101, "those of the peer pass");
    }
}

#[test]
fn what_the_peer_sent_before_it_was_the_peer_is_delivered() {
    for learner in Learner::both_families() {
        let (site, [first, ..]) = (&learner.site, learner.peers);
        let [ended] = running([site], async {
            learner.arrives(first, 8000, &udp_flow(200, 100)).await;
        });
        assert!(ended.is_ok());
        assert_eq!((site.device.taken(), site.context.peer_changes.get()), (udp_flow(200, 100), 1));
    }
}

#[test]
fn a_sender_to_which_there_is_no_route_does_not_become_the_peer() {
    for learner in Learner::both_families() {
        let (site, [first, ..]) = (&learner.site, learner.peers);
        site.socket.reach_no_others();
        let [ended] = running([site], async {
            learner.arrives(first, 8000, &[udp(0, 100)]).await;
        });
        assert!(ended.is_ok());
        assert_eq!((learner.peer(), site.decap_drops(DecapDrop::NoRouteBack)), (None, 1));
        let why = site.context.learning.as_ref().unwrap().explain(8000);
        assert!(why.ends_with("because this host has no route to send to it"), "{why}");
    }
}

#[test]
fn a_packet_from_an_inner_source_that_is_not_allowed_makes_no_peer() {
    for mut learner in Learner::both_families() {
        let allowed = [("10.99.0.0".parse().unwrap(), 16)];
        learner.site.context.allowed_sources = Some(ttun_packet::SourceFilter::new(&allowed).unwrap());
        let (site, [first, ..]) = (&learner.site, learner.peers);
        let [ended] = running([site], async {
            learner.arrives(first, 8000, &[udp(0, 100)]).await;
        });
        assert!(ended.is_ok());
        assert_eq!((learner.peer(), site.decap_drops(DecapDrop::SourceNotAllowed)), (None, 1));
        let why = site.context.learning.as_ref().unwrap().explain(8000);
        assert!(why.contains("inner source is not in allowedSources"), "{why}");
    }
}

#[test]
fn the_peer_that_reaches_another_address_of_this_host_is_answered_from_there() {
    for learner in Learner::both_families() {
        let (site, [first, ..]) = (&learner.site, learner.peers);
        let elsewhere = if learner.here.starts_with('[') { "[2001:db8::2]:8000" } else { "192.0.2.2:8000" };
        let [ended] = running([site], async {
            learner.arrives(first, 8000, &[udp(0, 100)]).await;
            site.socket.arrive_from(&format!("{first}:8000"), elsewhere, &[udp(1, 100)]);
            site.settled().await;
        });
        assert!(ended.is_ok());
        assert_eq!(site.context.endpoints.get().local, elsewhere.parse().unwrap());
        assert_eq!((site.device.taken().len(), site.context.peer_changes.get()), (2, 1));
    }
}
