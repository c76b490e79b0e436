//! The diagnosis of a peer that does not answer: one sentence with the probable reason and what to check.

use std::net::SocketAddr;
use std::time::Duration;

use crate::history::span;
use crate::probe::Probes;

/// What a tunnel knows about a peer that does not answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silence {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// How long ago it was last heard.
    pub(crate) heard: Option<Duration>,
    /// The last error that the network has reported since then.
    pub(crate) errno: Option<i32>,
    /// How long ago that was, if packets have not been sent since.
    pub(crate) failed: Duration,
}

/// How long an error from the network counts as current.
const PRESENT: Duration = Duration::from_secs(30);

/// Whether an error of the socket says why the peer does not answer. The errors of a connected UDP socket are mostly ICMP errors
/// from the peer's host or from routers (`icmp_err_convert` in net/ipv4/icmp.c, `tab_unreach` in net/ipv6/icmp.c).
pub(crate) const fn explains_silence(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECONNREFUSED
            | libc::EHOSTUNREACH
            | libc::EHOSTDOWN
            | libc::ENETUNREACH
            | libc::EACCES
            | libc::EPERM
    )
}

impl Silence {
    /// One sentence, for a reader who can check both hosts.
    pub(crate) fn explain(&self) -> String {
        let Self { mut local, remote, heard, errno, failed } = *self;
        // The zone of this host means nothing on the other one.
        if let SocketAddr::V6(local) = &mut local {
            local.set_scope_id(0);
        }
        let (ip, port) = (remote.ip(), remote.port());
        match errno {
            // A socket that is connected to another address or port refuses these datagrams as well.
            Some(libc::ECONNREFUSED) if failed < PRESENT => {
                format!("{ip} refuses port {port}: is ttun running there, with {local} as its remote?")
            }
            Some(libc::ECONNREFUSED) => {
                let ago = span(failed);
                format!(
                    "{ip} refused port {port} {ago} ago: is ttun running there, with {local} as its remote?"
                )
            }
            Some(libc::EHOSTDOWN) => {
                format!("{ip} cannot be reached: is that host running, and is the address correct?")
            }
            // A UDP socket gets EHOSTUNREACH and ENETUNREACH only for ICMP "administratively prohibited": plain "host unreachable" and
            // "network unreachable" are not fatal in `icmp_err_convert`, so the kernel does not report them.
            Some(libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EACCES) => {
                format!(
                    "the firewall of {ip}, or one on the path, refuses our datagrams: does it accept UDP port {port}?"
                )
            }
            Some(libc::EPERM) => {
                format!("the firewall of this host refuses datagrams to {remote}: see nft list ruleset")
            }
            _ => {
                let ago = heard.map_or_else(|| "yet".to_owned(), |heard| format!("for {}", span(heard)));
                format!(
                    "nothing heard from {remote} {ago}: is ttun running there, with {local} as its remote, and do both firewalls \
                     accept the UDP ports?"
                )
            }
        }
    }
}

impl Silence {
    /// The same sentence, and another one if nothing but probes may have been sent, to an address that does not answer.
    pub(crate) fn explain_with(&self, probes: &Probes) -> String {
        let sentence = self.explain();
        let unanswered =
            probes.destination().filter(|_| self.errno.is_none() && probes.were_never_answered());
        unanswered.map_or_else(
            || sentence.clone(),
            |destination| format!("{sentence} And does {destination}, which is probed, answer ping?"),
        )
    }
}

/// So many lost probes in a row are no accident.
const LOST_FOR_A_REASON: usize = 3;

/// The probable reason why a peer that is heard does not answer the probe.
pub(crate) fn unanswered_probe(probes: &Probes) -> Option<String> {
    let (destination, source) = (probes.destination()?, probes.source()?);
    (probes.lost_in_a_row() >= LOST_FOR_A_REASON).then(|| {
        format!(
            "the probe of {destination} is not answered: is that an address of the peer's tunnel device, does its firewall accept \
             ping, and does it route {source} into the tunnel?"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ProbeOptions;

    fn explained(remote: &str, heard: Option<u64>, errno: Option<i32>) -> String {
        let local = if remote.starts_with('[') { "[2001:db8::1]:8001" } else { "192.0.2.1:8001" };
        let heard = heard.map(Duration::from_secs);
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        Silence { local, remote, heard, errno, failed: Duration::ZERO }.explain()
    }

    #[test]
    fn a_refusal_asks_about_the_other_end_in_both_families() {
        assert_eq!(
            explained("192.0.2.2:8000", None, Some(libc::ECONNREFUSED)),
            "192.0.2.2 refuses port 8000: is ttun running there, with 192.0.2.1:8001 as its remote?"
        );
        assert_eq!(
            explained("[2001:db8::2]:8000", Some(5), Some(libc::ECONNREFUSED)),
            "2001:db8::2 refuses port 8000: is ttun running there, with [2001:db8::1]:8001 as its remote?"
        );
    }

    #[test]
    fn the_other_end_is_not_told_a_zone_of_this_host() {
        let (local, remote) = ("[fe80::a%5]:8001".parse().unwrap(), "[fe80::b%5]:8000".parse().unwrap());
        let refused =
            Silence { local, remote, heard: None, errno: Some(libc::ECONNREFUSED), failed: Duration::ZERO };
        assert_eq!(
            refused.explain(),
            "fe80::b refuses port 8000: is ttun running there, with [fe80::a]:8001 as its remote?"
        );
    }

    #[test]
    fn icmp_prohibited_points_to_a_firewall_in_both_families() {
        for errno in [libc::EHOSTUNREACH, libc::ENETUNREACH, libc::EACCES] {
            assert_eq!(
                explained("192.0.2.2:8000", None, Some(errno)),
                "the firewall of 192.0.2.2, or one on the path, refuses our datagrams: does it accept UDP port 8000?"
            );
        }
    }

    #[test]
    fn an_old_refusal_is_reported_with_its_age() {
        let (local, remote) = ("192.0.2.1:8001".parse().unwrap(), "192.0.2.2:8000".parse().unwrap());
        let (errno, failed) = (Some(libc::ECONNREFUSED), Duration::from_secs(90));
        assert_eq!(
            Silence { local, remote, heard: None, errno, failed }.explain(),
            "192.0.2.2 refused port 8000 1 min 30 s ago: is ttun running there, with 192.0.2.1:8001 as its remote?"
        );
    }

    #[test]
    fn the_length_of_a_silence_is_given() {
        let question = "is ttun running there, with 192.0.2.1:8001 as its remote, and do both firewalls accept the UDP ports?";
        assert_eq!(
            explained("192.0.2.2:8000", None, None),
            format!("nothing heard from 192.0.2.2:8000 yet: {question}")
        );
        assert_eq!(
            explained("192.0.2.2:8000", Some(200), None),
            format!("nothing heard from 192.0.2.2:8000 for 3 min 20 s: {question}")
        );
    }

    #[test]
    fn a_probe_that_was_never_answered_may_be_of_an_address_that_does_not_answer() {
        let (local, remote) = ("192.0.2.1:8001".parse().unwrap(), "192.0.2.2:8000".parse().unwrap());
        let silence = |errno| Silence { local, remote, heard: None, errno, failed: Duration::ZERO };
        let (address, interval) = ("10.0.2.2".parse().unwrap(), Duration::from_secs(1));
        let probes = Probes::new(Some(ProbeOptions { address, interval, len: None }));
        let explained = silence(None).explain_with(&probes);
        assert!(
            explained.ends_with(" accept the UDP ports? And does 10.0.2.2, which is probed, answer ping?"),
            "{explained}"
        );
        let refused = silence(Some(libc::ECONNREFUSED));
        assert_eq!(refused.explain_with(&probes), refused.explain());
        assert_eq!(silence(None).explain_with(&Probes::new(None)), silence(None).explain());
    }

    #[test]
    fn each_error_that_explains_silence_has_its_own_words() {
        let all = (0..134).filter(|&errno| explains_silence(errno));
        let texts: Vec<_> = all.map(|errno| explained("192.0.2.2:8000", None, Some(errno))).collect();
        assert_eq!(texts.len(), 6);
        assert!(texts.iter().all(|text| !text.starts_with("nothing heard")), "{texts:?}");
    }
}
