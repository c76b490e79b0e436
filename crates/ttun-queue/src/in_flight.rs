//! How much may wait below the queue: in the socket's send buffer, which the interface drains.
//!
//! What waits there can no longer be reordered, dropped or marked, so it should be as little as keeps the link busy: what the link
//! takes in a millisecond, as with the byte queue limits of network cards (lib/dynamic_queue_limits.c).
//! All sizes are in the kernel's own account of the send buffer (`sk_wmem_alloc`), which includes the overhead of its buffers.

use std::mem;

/// How much waits below while all is well, as time at the measured rate, µs.
const HORIZON_US: u64 = 1_000;

/// The limit before the first measurement, bytes: a super-packet. A slow link is noticed when it is full for the first time.
const INITIAL: usize = 65_536;

/// The least limit, bytes: two datagrams of 1,500 bytes with the kernel's overhead, and a little more, as a sender is woken when less than
/// half of the limit is used (`sock_writeable` in include/net/sock.h): while the second of them is on its way.
const LEAST: usize = 2 * 2304 + 64;

/// Weight of a new measurement of the rate: an eighth, as a shift.
const WEIGHT: u32 = 3;

/// The horizon is a multiple of this part of [`HORIZON_US`].
const NO_SLACK: u64 = 16;

/// The longest horizon: 16 ms. Longer delays of a thread cannot be compensated for.
const MOST_SLACK: u64 = 16 * NO_SLACK;

/// How often the horizon is revised, µs.
const REVISE_EVERY_US: u64 = 100_000;

/// The time in which the link may be idle between two revisions while packets wait, µs: with more the horizon is extended by a half, with
/// less than a quarter of it shortened by a quarter.
const IDLE_US: u64 = REVISE_EVERY_US / 50;

/// Follows the rate at which a socket drains, and limits what waits in it.
#[derive(Clone, Debug)]
pub struct InFlightLimit {
    most: usize,
    limit: usize,
    /// Bytes per second; `None` before the first measurement.
    rate: Option<u64>,
    /// The last time the socket was full: when, and what it held.
    full: Option<(u64, usize)>,
    /// The horizon, in parts of [`NO_SLACK`].
    slack: u64,
    revised_at: u64,
    /// How long the link has been idle since then, µs.
    idle: u64,
}

impl InFlightLimit {
    /// `most` is the largest send buffer that the system grants, bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            limit: INITIAL.min(most),
            rate: None,
            full: None,
            slack: NO_SLACK,
            revised_at: 0,
            idle: 0,
        }
    }

    /// Forgets what was measured: the socket now has another route.
    pub fn reset(&mut self) {
        *self = Self::new(self.most);
    }

    /// What is below stands there without being full, while the link takes `rate` bytes per second: lowers the limit, so that it becomes
    /// full and is measured.
    pub fn stands(&mut self, rate: u64) {
        (self.rate, self.slack, self.full) = (Some(rate), NO_SLACK, None);
        self.limit = self.wanted(rate).min(self.limit);
    }

    /// The current limit, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.limit
    }

    /// The rate at which the socket drains, bytes per second in the kernel's account, which is up to twice what is on the wire, or more if
    /// packets are small; `None` while it is not known.
    #[must_use]
    pub fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// The socket has accepted no more at `now`, while it held `held` bytes.
    pub fn filled(&mut self, now: u64, held: usize) {
        self.full = Some((now, held));
    }

    /// The socket has room again at `now`, and holds `held` bytes, while packets wait for it. Returns whether the limit has changed.
    pub fn drained(&mut self, now: u64, held: usize) -> bool {
        let Some((since, before)) = self.full.take() else { return false };
        let elapsed = now.saturating_sub(since).max(1);
        let measured = before.saturating_sub(held) as u64 * 1_000_000 / elapsed;
        let ran_dry = held == 0;
        let rate = match self.rate {
            // The link was idle for an unknown part of that time. At once, a queue is emptied by an interface that goes down.
            Some(rate) if ran_dry => rate.max(measured.min(2 * rate)),
            Some(rate) => rate - (rate >> WEIGHT) + (measured >> WEIGHT),
            None => measured,
        };
        self.rate = Some(rate);
        if ran_dry {
            // This thread was late, or the link is faster than before.
            let busy = (before as u64).saturating_mul(1_000_000) / rate.max(1);
            self.idle = self.idle.saturating_add(elapsed.saturating_sub(busy));
        }
        self.revise_horizon(now);
        let wanted = self.wanted(rate);
        let is_different = wanted.abs_diff(self.limit) > self.limit / 8;
        if is_different {
            self.limit = wanted;
        }
        is_different
    }

    fn revise_horizon(&mut self, now: u64) {
        if now.saturating_sub(self.revised_at) < REVISE_EVERY_US {
            return;
        }
        self.revised_at = now;
        match mem::take(&mut self.idle) {
            idle if idle > IDLE_US => self.slack = (self.slack + self.slack / 2).min(MOST_SLACK),
            idle if idle < IDLE_US / 4 => self.slack = (self.slack - self.slack / 4).max(NO_SLACK),
            _ => {}
        }
    }

    /// The limit at this rate, bytes.
    fn wanted(&self, rate: u64) -> usize {
        let wanted = rate.saturating_mul(HORIZON_US * self.slack / NO_SLACK) / 1_000_000;
        usize::try_from(wanted).unwrap_or(usize::MAX).clamp(LEAST.min(self.most), self.most)
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a simulation with numbers that are small and positive"
)]
mod tests {
    use super::*;

    /// A link that takes the bytes of a socket at a rate, and a thread that is woken when half of the limit is free, a little late.
    struct Link {
        now: f64,
        held: f64,
        limit: InFlightLimit,
        /// Bytes that left.
        sent: f64,
        /// Time during which it was idle, µs.
        idle: f64,
    }

    impl Link {
        fn new() -> Self {
            Self { now: 0.0, held: 0.0, limit: InFlightLimit::new(4 << 20), sent: 0.0, idle: 0.0 }
        }

        /// Runs at `rate` bytes per µs; the thread is `late` µs late each time.
        fn run(&mut self, us: f64, rate: f64, late: f64) {
            let until = self.now + us;
            while self.now < until {
                let limit = self.limit.bytes() as f64;
                while self.held < limit {
                    self.held += 2304.0;
                }
                self.limit.filled(self.now as u64, self.held as usize);
                let wait = (self.held - limit / 2.0).max(0.0) / rate + late;
                let leaves = (wait * rate).min(self.held);
                self.idle += wait - leaves / rate;
                self.now += wait;
                self.sent += leaves;
                self.held -= leaves;
                self.limit.drained(self.now as u64, self.held as usize);
            }
        }

        /// How long a byte waits in the socket, ms.
        fn delay(&self, rate: f64) -> f64 {
            self.limit.bytes() as f64 / rate / 1e3
        }
    }

    /// The horizon, or two datagrams, with what a change of the limit must exceed, ms.
    fn bound(rate: f64) -> f64 {
        1.2 * (HORIZON_US as f64 / 1e3).max(LEAST as f64 / rate / 1e3)
    }

    const MBIT: f64 = 1e6 / 8.0 / 1e6;

    #[test]
    fn little_waits_below_at_any_rate_and_the_link_stays_busy() {
        for mbit in [1.0, 5.0, 20.0, 100.0, 1000.0, 10_000.0] {
            let (mut link, rate) = (Link::new(), mbit * MBIT);
            link.run(3e6, rate, 60.0);
            let (delay, idle) = (link.delay(rate), std::mem::take(&mut link.idle));
            assert!(delay < bound(rate), "{mbit} Mbit/s: {delay} ms");
            link.run(3e6, rate, 60.0);
            assert!(link.idle - idle < 0.01 * 3e6, "{mbit} Mbit/s: idle {} µs", link.idle);
        }
    }

    #[test]
    fn it_follows_a_rate_that_changes() {
        let mut link = Link::new();
        for mbit in [100.0, 5.0, 50.0, 1000.0, 20.0] {
            let rate = mbit * MBIT;
            link.run(1.5e6, rate, 60.0);
            link.idle = 0.0;
            link.run(1e6, rate, 60.0);
            assert!(link.delay(rate) < bound(rate), "{mbit} Mbit/s: {} ms", link.delay(rate));
            assert!(link.idle < 2e4, "{mbit} Mbit/s: idle {} µs", link.idle);
        }
    }

    #[test]
    fn a_thread_that_is_late_gets_a_longer_horizon() {
        let (mut link, rate) = (Link::new(), 100.0 * MBIT);
        link.run(3e6, rate, 5_000.0);
        link.idle = 0.0;
        link.run(3e6, rate, 5_000.0);
        assert!(link.idle < 0.2 * 3e6, "idle {} µs", link.idle);
        assert!(link.delay(rate) < 65.0);
        link.run(3e6, rate, 60.0);
        assert!(link.delay(rate) < bound(rate), "{} ms", link.delay(rate));
    }

    #[test]
    fn a_queue_that_is_emptied_at_once_hardly_changes_the_limit() {
        let (mut link, rate) = (Link::new(), 20.0 * MBIT);
        link.run(3e6, rate, 60.0);
        let before = link.limit.bytes();
        link.limit.filled(3_000_000, before);
        link.limit.drained(3_000_001, 0);
        assert!(link.limit.bytes() <= 2 * before, "{before}: {}", link.limit.bytes());
    }

    #[test]
    fn the_system_limits_the_limit() {
        let mut limit = InFlightLimit::new(4000);
        assert_eq!(limit.bytes(), 4000);
        limit.filled(0, 4000);
        limit.drained(1, 0);
        assert_eq!(limit.bytes(), 4000);
    }
}
