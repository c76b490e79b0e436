//! Learning the peer: which senders may become the peer of a tunnel, and when.
//!
//! The peer is whoever sent the last valid packet from one of the accepted networks. Nothing proves who that is, so a sender that is not
//! the peer is trusted as little as possible: it takes over only from a peer that is silent, or has moved to another port.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ttun_packet::SourceFilter;

use crate::endpoints::{Arrival, Endpoints};
use crate::error::{Error, ErrorKind};
use crate::lock::lock;
use crate::options::is_group;
use crate::stats::DecapDrop;

/// A peer from which nothing was received for this long, ms, gives way to another address.
const GIVES_WAY_AFTER_MS: u64 = 5000;

/// How often a refused sender is noted, ms.
const NOTE_EVERY_MS: u64 = 1000;

/// What may also be the reason why a peer that was learned does not answer; follows a sentence.
pub(crate) const SENDS_FIRST: &str =
    " If a NAT has forgotten it, it has to send again; a probe on its host prevents that.";

/// Who may become the peer.
pub(crate) struct Learning {
    /// The accepted outer addresses, as given.
    networks: Vec<(IpAddr, u8)>,
    accepted: SourceFilter,
    /// The last sender that was refused before there was a peer, and why.
    refused: Mutex<Option<(SocketAddr, DecapDrop)>>,
    /// When the next may be noted, ms of uptime.
    note_at: AtomicU64,
    changed: AtomicBool,
}

/// What a sender is to the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The peer: its datagrams arrived before it was, or at another address of this host.
    Peer,
    /// It becomes the peer if it sends a valid packet.
    Candidate,
    /// Its datagrams are dropped.
    Refused(DecapDrop),
}

impl Learning {
    /// # Errors
    /// When `networks` are none, of both families, or cannot be the addresses of hosts.
    pub(crate) fn new(networks: &[(IpAddr, u8)]) -> Result<Self, Error> {
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidOptions, message));
        let Some((first, _)) = networks.first() else {
            return invalid("a peer can be learned only from given networks".to_owned());
        };
        if let Some((other, _)) = networks.iter().find(|(ip, _)| ip.is_ipv4() != first.is_ipv4()) {
            return invalid(format!("{first} and {other} belong to different address families"));
        }
        if let Some((ip, _)) = networks.iter().find(|network| !is_of_hosts(**network)) {
            return Err(Error::new(ErrorKind::InvalidOptions, format!("{ip} cannot be the peer"))
                .with_hint("give the network of the peer, or 0.0.0.0/0 or ::/0 for any address"));
        }
        let accepted = SourceFilter::new(networks)
            .map_err(|impossible| Error::new(ErrorKind::InvalidOptions, impossible.to_string()))?;
        Ok(Self {
            networks: networks.to_vec(),
            accepted,
            refused: Mutex::default(),
            note_at: AtomicU64::new(0),
            changed: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_ipv4(&self) -> bool {
        self.networks.first().is_some_and(|(ip, _)| ip.is_ipv4())
    }

    /// Judges a sender other than the peer at the endpoints `now`, which was last heard `silent_ms` ago.
    pub(crate) fn judge(&self, arrival: &Arrival, now: Endpoints, silent_ms: Option<u64>) -> Judgement {
        let Arrival { from, to } = *arrival;
        if !self.accepted.contains(from.ip()) {
            return Judgement::Refused(DecapDrop::NotInPeers);
        }
        let Some(peer) = now.peer() else { return Judgement::Candidate };
        let gives_way = silent_ms.is_none_or(|silent| silent >= GIVES_WAY_AFTER_MS);
        if from == peer && to == now.local {
            Judgement::Peer
        } else if host(from) == host(peer) || gives_way {
            Judgement::Candidate
        } else {
            Judgement::Refused(DecapDrop::NotThePeer)
        }
    }

    /// Notes a refused sender, for [`Self::explain`]; at most one a second, at `now` (ms of uptime).
    pub(crate) fn refuse(&self, from: SocketAddr, reason: DecapDrop, now: u64) {
        if now >= self.note_at.load(Ordering::Relaxed) {
            self.note_at.store(now + NOTE_EVERY_MS, Ordering::Relaxed);
            *lock(&self.refused) = Some((from, reason));
        }
    }

    /// Remembers that the peer was changed.
    pub(crate) fn peer_changed(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Whether the peer was changed since this was last asked.
    pub(crate) fn take_change(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }

    /// Says that there is no peer yet, and what it has to do to become known. `port` is that of this end.
    pub(crate) fn explain(&self, port: u16) -> String {
        let networks = self.list();
        let Some((from, reason)) = *lock(&self.refused) else {
            return format!(
                "no peer yet: it becomes known when it sends a packet to UDP port {port}, from {networks}; does the firewall of this \
                 host accept that?"
            );
        };
        let because = match reason {
            DecapDrop::NotInPeers => format!("{} is not in peers ({networks})", from.ip()),
            DecapDrop::SourceNotAllowed => "their inner source is not in allowedSources".to_owned(),
            DecapDrop::NoRouteBack => "this host has no route to send to it".to_owned(),
            _ => "they do not hold IP packets".to_owned(),
        };
        format!("no peer yet: datagrams from {from} are refused, because {because}")
    }

    /// `203.0.113.0/24 or 198.51.100.7`
    fn list(&self) -> String {
        let mut text = String::new();
        for (ip, length) in &self.networks {
            if !text.is_empty() {
                text.push_str(" or ");
            }
            let _ = write!(text, "{ip}");
            if *length < if ip.is_ipv4() { 32 } else { 128 } {
                let _ = write!(text, "/{length}");
            }
        }
        text
    }
}

/// Whether hosts may have the addresses of a network.
fn is_of_hosts((ip, length): (IpAddr, u8)) -> bool {
    !is_group(ip) && (!ip.is_unspecified() || length == 0)
}

/// The address without the port; a link-local one with its interface.
fn host(address: SocketAddr) -> SocketAddr {
    let mut host = address;
    host.set_port(0);
    host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learning(networks: &[(&str, u8)]) -> Result<Learning, Error> {
        let networks: Vec<_> = networks.iter().map(|&(ip, length)| (ip.parse().unwrap(), length)).collect();
        Learning::new(&networks)
    }

    #[test]
    fn the_networks_are_of_one_family_and_at_least_one() {
        for networks in [[].as_slice(), &[("192.0.2.0", 24), ("2001:db8::", 32)], &[("192.0.2.0", 33)]] {
            assert!(learning(networks).is_err(), "{networks:?}");
        }
        assert!(!learning(&[("2001:db8::", 32), ("::1", 128)]).unwrap().is_ipv4());
    }

    #[test]
    fn the_networks_are_of_hosts_or_of_everyone() {
        for (ip, length) in
            [("224.0.0.0", 4), ("255.255.255.255", 32), ("0.0.0.0", 8), ("ff02::1", 128), ("::", 96)]
        {
            assert!(learning(&[(ip, length)]).is_err(), "{ip}/{length}");
        }
        for anyone in [("0.0.0.0", 0), ("::", 0)] {
            assert!(learning(&[anyone]).is_ok(), "{anyone:?}");
        }
    }

    #[test]
    fn the_explanation_names_the_networks_and_the_last_refused_sender_at_most_one_a_second() {
        let learning = learning(&[("203.0.113.0", 24), ("198.51.100.7", 32)]).unwrap();
        let networks = "203.0.113.0/24 or 198.51.100.7";
        assert!(learning.explain(8000).contains(&format!("to UDP port 8000, from {networks}")));
        learning.refuse("192.0.2.9:7".parse().unwrap(), DecapDrop::NotInPeers, 0);
        learning.refuse("192.0.2.8:7".parse().unwrap(), DecapDrop::NotInPeers, 999);
        assert_eq!(
            learning.explain(8000),
            format!(
                "no peer yet: datagrams from 192.0.2.9:7 are refused, because 192.0.2.9 is not in peers ({networks})"
            )
        );
        learning.refuse("203.0.113.1:7".parse().unwrap(), DecapDrop::Malformed, 1000);
        assert!(
            learning
                .explain(8000)
                .ends_with("203.0.113.1:7 are refused, because they do not hold IP packets")
        );
    }

    #[test]
    fn link_local_senders_of_different_interfaces_are_different_hosts() {
        let learning = learning(&[("fe80::", 10)]).unwrap();
        let now = Endpoints {
            local: "[fe80::1%2]:8000".parse().unwrap(),
            remote: "[fe80::9%2]:8000".parse().unwrap(),
        };
        let judge = |from: &str| {
            let arrival = Arrival { from: from.parse().unwrap(), to: now.local };
            learning.judge(&arrival, now, Some(0))
        };
        assert_eq!(judge("[fe80::9%2]:8000"), Judgement::Peer);
        assert_eq!(judge("[fe80::9%2]:9000"), Judgement::Candidate);
        assert_eq!(judge("[fe80::9%3]:8000"), Judgement::Refused(DecapDrop::NotThePeer));
        assert_eq!(judge("192.0.2.1:8000"), Judgement::Refused(DecapDrop::NotInPeers));
    }
}
