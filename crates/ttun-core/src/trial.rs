//! Trials of the path: which TCP packets are sent twice, first with the DF bit, then without.
//!
//! Without DF no router reports that a packet does not fit, so a smaller path MTU would never be learned: that router would fragment
//! every full packet. The copy with DF makes it answer, and the kernel then knows the path MTU of the route. Where no router
//! answers, the copy is lost and nothing else. TCP discards a second copy (RFC 9293, section 3.4), other protocols may not.

use ttun_packet::OUTER_OVERHEAD_IPV4;

/// Between one trial and the next, ms.
const EVERY_MS: u64 = 5000;

/// The first trial, after the start and after a change of the route, ms. Until then the longest packets are found.
const FIRST_AFTER_MS: u64 = 1000;

/// Packets that every path can carry are not tried: what every IPv4 host must accept (RFC 791, section 3.1) without outer headers.
const SHORTEST: usize = 576 - OUTER_OVERHEAD_IPV4;

/// Decides when a packet is tried.
pub(crate) struct Trials {
    due_at: u64,
    due: bool,
    /// Longest TCP packet since the last trial, bytes.
    longest: usize,
}

impl Trials {
    /// `now` is ms of uptime.
    pub(crate) fn new(now: u64) -> Self {
        Self { due_at: now + FIRST_AFTER_MS, due: false, longest: SHORTEST }
    }

    /// To be called now and then.
    pub(crate) fn tick(&mut self, now: u64) {
        self.due = now >= self.due_at;
    }

    /// The route or its MTU has changed.
    pub(crate) fn route_changed(&mut self, now: u64) {
        *self = Self::new(now);
    }

    /// Whether a packet of `len` bytes, which begins with `start`, is to be tried.
    pub(crate) fn suits(&mut self, len: usize, start: &[u8]) -> bool {
        if len < self.longest || !self.due && len == self.longest || !is_tcp(start) {
            return false;
        }
        self.longest = len;
        self.due
    }

    /// A trial was made.
    pub(crate) fn made(&mut self, now: u64) {
        *self = Self { due_at: now + EVERY_MS, due: false, longest: SHORTEST };
    }
}

/// Whether TCP follows the fixed part of the IP header, in a packet or the first fragment of one.
fn is_tcp(start: &[u8]) -> bool {
    const TCP: u8 = 6;
    let protocol_at = if start.first().is_some_and(|first| first >> 4 == 4) { 9 } else { 6 };
    start.get(protocol_at) == Some(&TCP)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IPV4_TCP: &[u8] = &[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0];
    const IPV6_TCP: &[u8] = &[0x60, 0, 0, 0, 0, 0, 6, 64, 0, 0, 0, 0];
    const IPV4_UDP: &[u8] = &[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    const IPV6_UDP: &[u8] = &[0x60, 0, 0, 0, 0, 0, 17, 64, 0, 6, 0, 0];

    #[test]
    fn the_longest_tcp_packets_are_tried_every_few_seconds() {
        for tcp in [IPV4_TCP, IPV6_TCP] {
            let mut trials = Trials::new(0);
            let mut tried = Vec::new();
            for now in (0..12_000).step_by(100) {
                trials.tick(now);
                for (len, start) in
                    [(1472, IPV4_UDP), (1472, IPV6_UDP), (52, tcp), (1400, tcp), (900, tcp), (1400, tcp)]
                {
                    if trials.suits(len, start) {
                        trials.made(now);
                        tried.push((now, len));
                    }
                }
            }
            assert_eq!(tried, [(1000, 1400), (6000, 1400), (11_000, 1400)]);
        }
    }

    #[test]
    fn short_packets_are_never_tried() {
        let mut trials = Trials::new(0);
        trials.tick(100_000);
        assert!(!trials.suits(SHORTEST - 1, IPV4_TCP) && !trials.suits(SHORTEST - 1, &[]));
        assert!(trials.suits(SHORTEST, IPV4_TCP));
    }

    #[test]
    fn a_trial_that_could_not_be_made_is_made_later() {
        let mut trials = Trials::new(0);
        trials.tick(2000);
        assert!(trials.suits(1400, IPV4_TCP) && trials.suits(1400, IPV4_TCP));
    }

    #[test]
    fn another_route_is_tried_soon() {
        let mut trials = Trials::new(0);
        trials.made(1000);
        trials.route_changed(1500);
        trials.tick(2499);
        assert!(!trials.suits(1400, IPV4_TCP));
        trials.tick(2500);
        assert!(trials.suits(1400, IPV4_TCP));
    }
}
