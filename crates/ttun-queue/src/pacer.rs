//! A configured rate: when the next datagrams may be sent.

/// How far a sender may catch up that had packets to send and was late, ns: what a thread of a busy system is late by.
const CATCH_UP_NS: u64 = 10_000_000;

/// What may be sent at once by a sender that had nothing to send, as time, ns.
const BURST_NS: u64 = 1_000_000;

/// Paces datagrams to a rate.
#[derive(Clone, Debug)]
pub struct Pacer {
    /// Bytes per second.
    rate: u64,
    /// When the next datagram is due, ns.
    due: u64,
}

impl Pacer {
    /// `rate` in bytes per second, at least 1.
    #[must_use]
    pub fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), due: 0 }
    }

    /// Bytes per second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// Changes the rate at `now`. What was sent is not paid for at a lower rate than it was sent at, and at a higher one sooner.
    pub fn set_rate(&mut self, rate: u64, now: u64) {
        let rate = rate.max(1);
        let wait = u128::from(self.wait(now));
        let sooner = wait * u128::from(self.rate) / u128::from(rate);
        self.due = now.saturating_add(wait.min(sooner) as u64);
        self.rate = rate;
    }

    /// How long the next datagram has to wait at `now`, ns; 0 if it may be sent.
    #[must_use]
    pub fn wait(&self, now: u64) -> u64 {
        self.due.saturating_sub(now)
    }

    /// Datagrams of `bytes` together were sent at `now`, ns. `had_waited`: they could have been sent as soon as they were due.
    pub fn sent(&mut self, now: u64, bytes: usize, had_waited: bool) {
        let takes = (bytes as u64).saturating_mul(1_000_000_000) / self.rate;
        let credit = if had_waited { CATCH_UP_NS } else { BURST_NS };
        self.due = self.due.max(now.saturating_sub(credit)).saturating_add(takes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes sent in 10 s by a sender that is late by the times in turn, ns.
    fn sent_by(rate: u64, datagram: usize, late: &[u64]) -> usize {
        let mut pacer = Pacer::new(rate);
        let (mut now, mut sent) = (0, 0);
        for late in late.iter().cycle() {
            now += pacer.wait(now) + late;
            if now >= 10_000_000_000 {
                break;
            }
            while pacer.wait(now) == 0 {
                pacer.sent(now, datagram, true);
                sent += datagram;
            }
        }
        sent
    }

    #[test]
    fn it_is_accurate_to_one_percent_from_one_megabit_to_a_gigabit() {
        for rate in [125_000, 2_500_000, 12_500_000, 125_000_000] {
            for datagram in [28, 1500, 60_000] {
                let sent = sent_by(rate, datagram, &[1, 60_000, 1_500_000, 200_000, 8_000_000]);
                let expected = 10 * rate as usize;
                let difference = sent.abs_diff(expected).saturating_sub(datagram);
                assert!(difference <= expected / 100, "{rate} B/s, {datagram} B: {sent} of {expected}");
            }
        }
    }

    #[test]
    fn after_a_pause_there_is_no_burst() {
        let mut pacer = Pacer::new(1_000_000);
        let now = 60_000_000_000;
        let mut burst = 0;
        while pacer.wait(now) == 0 {
            pacer.sent(now, 1000, false);
            burst += 1;
        }
        assert_eq!(burst, 2, "1 ms, and the one that is due");
    }

    #[test]
    fn the_rate_may_change() {
        let mut pacer = Pacer::new(1_000_000);
        pacer.sent(0, 10_000, true);
        assert_eq!(pacer.wait(0), 10_000_000);
        pacer.set_rate(10_000_000, 0);
        assert_eq!((pacer.rate(), pacer.wait(0)), (10_000_000, 1_000_000));
        pacer.sent(0, 10_000, true);
        assert_eq!(pacer.wait(0), 2_000_000);
        pacer.set_rate(1_000_000, 1_500_000);
        assert_eq!(pacer.wait(1_500_000), 500_000, "no longer than before");
        pacer.set_rate(1_000_000, 3_000_000);
        assert_eq!(pacer.wait(3_000_000), 0);
    }
}
