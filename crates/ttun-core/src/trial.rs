//! Trials of the path: which TCP packets are sent twice, first with the DF bit, then without.
//!
//! Without DF no router reports that a packet does not fit, so a smaller path MTU would never be learned: that router would fragment
//! every full packet. The copy with DF makes it answer, and the kernel then knows the path MTU of the route. Where no router
//! answers, the copy is lost and nothing else. TCP discards a second copy (RFC 9293, section 3.4), other protocols may not. If more than TCP
//! depends on the path MTU, as an automatic MTU of the device does, they are tried by a packet that the peer's host discards.

use ttun_packet::OUTER_OVERHEAD_IPV4;

/// Between one trial and the next, ms.
const EVERY_MS: u64 = 5000;

/// The first trial, after the start and after a change of the route, ms. Until then the longest packets are found.
const FIRST_AFTER_MS: u64 = 1000;

/// Packets that every path can carry are not tried: what every IPv4 host must accept (RFC 791, section 3.1) without outer headers.
const SHORTEST: usize = 576 - OUTER_OVERHEAD_IPV4;

/// Decides when a packet is tried.
pub(crate) struct Trials {
    /// Whether packets of other protocols are tried as well.
    of_all: bool,
    due_at: u64,
    due: bool,
    /// Longest TCP packet since the last trial, bytes.
    longest: usize,
}

impl Trials {
    /// `now` is ms of uptime.
    pub(crate) fn new(now: u64, of_all: bool) -> Self {
        Self { of_all, due_at: now + FIRST_AFTER_MS, due: false, longest: SHORTEST }
    }

    /// To be called now and then.
    pub(crate) fn tick(&mut self, now: u64) {
        self.due = now >= self.due_at;
    }

    /// The route or its MTU has changed.
    pub(crate) fn route_changed(&mut self, now: u64) {
        *self = Self::new(now, self.of_all);
    }

    /// Whether a packet of `len` bytes, which begins with `start`, is to be tried.
    pub(crate) fn suits(&mut self, len: usize, start: &[u8]) -> bool {
        if len < self.longest || !self.due && len == self.longest || !self.of_all && !is_tcp(start) {
            return false;
        }
        self.longest = len;
        self.due
    }

    /// A trial was made.
    pub(crate) fn made(&mut self, now: u64) {
        *self = Self { of_all: self.of_all, due_at: now + EVERY_MS, due: false, longest: SHORTEST };
    }
}

/// The header of a packet of `len` bytes, with the addresses of the one that begins with `start`, that hosts discard without an answer: an
/// IPv6 packet without a transport (RFC 8200, section 4.7), or an IPv4 packet whose header checksum is wrong (RFC 1122,
/// section 3.2.1.2). `None` if there is too little of `start`.
pub(crate) fn discarded(start: &[u8], len: usize) -> Option<([u8; 40], usize)> {
    const NO_NEXT_HEADER: u8 = 59;
    let mut header = [0; 40];
    if start.first()? >> 4 == 6 {
        header.copy_from_slice(start.get(..40)?);
        let payload_len = u16::try_from(len.checked_sub(40)?).ok()?;
        header[4..6].copy_from_slice(&payload_len.to_be_bytes());
        header[6] = NO_NEXT_HEADER;
        return Some((header, 40));
    }
    header[..20].copy_from_slice(start.get(..20)?);
    let [high, low] = u16::try_from(len).ok()?.to_be_bytes();
    [header[0], header[2], header[3], header[9]] = [0x45, high, low, NO_NEXT_HEADER];
    // Not a fragment.
    header[6..8].fill(0);
    header[10..12].fill(0);
    let words = header[..20].as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_be_bytes(*word)));
    let sum = words.sum::<u32>();
    // The right checksum is the complement of this.
    let wrong = (sum & 0xFFFF) + (sum >> 16);
    header[10..12].copy_from_slice(&((wrong & 0xFFFF) as u16).to_be_bytes());
    Some((header, 20))
}

/// Whether TCP follows the fixed part of the IP header, in a packet or the first fragment of one.
pub(crate) fn is_tcp(start: &[u8]) -> bool {
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
            let mut trials = Trials::new(0, false);
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
    fn where_more_depends_on_the_path_packets_of_other_protocols_are_tried_too() {
        let mut trials = Trials::new(0, true);
        trials.tick(2000);
        assert!(trials.suits(1400, IPV4_UDP) && trials.suits(1400, IPV6_UDP));
    }

    #[test]
    fn a_packet_that_is_discarded_keeps_the_addresses_and_has_the_length() {
        let ipv6: Vec<u8> = (0..60).map(|at| if at == 0 { 0x60 } else { at }).collect();
        let (header, header_len) = discarded(&ipv6, 1400).unwrap();
        assert_eq!((header_len, &header[4..7], &header[8..]), (40, &[0x05, 0x50, 59][..], &ipv6[8..40]));
        for len in [548, 1400, 1472, 65_507] {
            let ipv4: Vec<u8> = (0..60).map(|at| if at == 0 { 0x46 } else { at }).collect();
            let (header, header_len) = discarded(&ipv4, len).unwrap();
            assert_eq!((header_len, header[0], &header[12..20]), (20, 0x45, &ipv4[12..20]));
            assert_eq!(usize::from(u16::from_be_bytes([header[2], header[3]])), len);
            let words = header[..20].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
            let sum: u32 = words.sum();
            assert_ne!((sum & 0xFFFF) + (sum >> 16), 0xFFFF, "the checksum is wrong");
        }
        assert!(discarded(&[0x45; 19], 1400).is_none() && discarded(&[0x60; 39], 1400).is_none());
        assert!(discarded(&[], 1400).is_none());
    }

    #[test]
    fn short_packets_are_never_tried() {
        let mut trials = Trials::new(0, false);
        trials.tick(100_000);
        assert!(!trials.suits(SHORTEST - 1, IPV4_TCP) && !trials.suits(SHORTEST - 1, &[]));
        assert!(trials.suits(SHORTEST, IPV4_TCP));
    }

    #[test]
    fn a_trial_that_could_not_be_made_is_made_later() {
        let mut trials = Trials::new(0, false);
        trials.tick(2000);
        assert!(trials.suits(1400, IPV4_TCP) && trials.suits(1400, IPV4_TCP));
    }

    #[test]
    fn another_route_is_tried_soon() {
        let mut trials = Trials::new(0, false);
        trials.made(1000);
        trials.route_changed(1500);
        trials.tick(2499);
        assert!(!trials.suits(1400, IPV4_TCP));
        trials.tick(2500);
        assert!(trials.suits(1400, IPV4_TCP));
    }
}
