//! A queue that stands below although there is room for more: in a socket whose limit is too large for a link that has become slow, or
//! whose rate is not known yet. Nothing waits above then, so the link is not measured.

/// The least time between two observations, µs.
const EVERY_US: u64 = 10_000;

/// The shortest measurement, µs.
const LEAST_US: u64 = 100_000;

/// What stands below for longer than this waits in the wrong place, µs: more than the longest horizon, since the kernel's account of small
/// packets is some times their length.
const TOO_LONG_US: u64 = 30_000;

/// What may stand there at any rate, bytes: three datagrams of 1,500 bytes with the kernel's overhead.
const HARMLESS: u64 = 3 * 2304;

/// Notices a queue that stands, by Little's law: what is below on average, divided by what passes in a time, is how long it stays there.
#[derive(Clone, Debug, Default)]
pub struct StandingQueue {
    /// The last observation: when, µs, and how much was below, bytes.
    last: Option<(u64, usize)>,
    since: u64,
    /// Bytes that were below then, and those sent since.
    passing: u64,
    /// What was below at least, times how long: bytes · µs.
    area: u64,
}

impl StandingQueue {
    /// Bytes were sent.
    pub fn sent(&mut self, bytes: usize) {
        self.passing += bytes as u64;
    }

    /// Whether it is time to observe again. While little is sent, nothing can stand.
    #[must_use]
    pub fn is_due(&self, now: u64) -> bool {
        self.passing > HARMLESS && self.last.is_none_or(|(at, _)| now.saturating_sub(at) >= EVERY_US)
    }

    /// A new measurement begins at `now`, with `held` bytes below.
    pub fn begin(&mut self, now: u64, held: usize) {
        *self = Self { last: Some((now, held)), since: now, passing: held as u64, area: 0 };
    }

    /// At `now`, `held` bytes are below. Returns the rate at which they leave if they stand there, in bytes per second.
    pub fn observe(&mut self, now: u64, held: usize) -> Option<u64> {
        let Some((at, before)) = self.last else {
            self.begin(now, held);
            return None;
        };
        // Between two observations it can have been empty if it was so at one of them.
        self.area = self.area.saturating_add(before.min(held) as u64 * now.saturating_sub(at));
        self.last = Some((now, held));
        let elapsed = now.saturating_sub(self.since);
        if elapsed < LEAST_US {
            return None;
        }
        let stands = self.area > HARMLESS.saturating_mul(elapsed)
            && self.area > TOO_LONG_US.saturating_mul(self.passing);
        let rate = self.passing.saturating_mul(1_000_000) / elapsed;
        self.begin(now, held);
        stands.then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observes a link that takes `rate` bytes per second from a socket, for 2 s. The sender refills it to `window` bytes each time `every`
    /// µs have passed.
    fn observed(rate: u64, window: usize, every: u64) -> Option<u64> {
        let (mut standing, mut held) = (StandingQueue::default(), 0);
        (0..2_000_000 / every).find_map(|step| {
            let now = step * every;
            let noticed = if standing.is_due(now) { standing.observe(now, held) } else { None };
            standing.sent(window - held);
            held = window.saturating_sub((rate * every / 1_000_000) as usize);
            noticed
        })
    }

    #[test]
    fn a_window_that_stands_before_a_slow_link_is_noticed_with_the_rate_of_the_link() {
        for rate in [8_000, 125_000, 625_000] {
            let every = 3_000_000_000 / rate / 1000;
            let noticed = observed(rate, 40_000, every.max(1000)).unwrap();
            assert!(noticed >= rate && noticed < 6 * rate + 500_000, "{rate}: {noticed}");
        }
    }

    #[test]
    fn what_leaves_soon_is_not() {
        // A fast link, bursts before a link that is empty in between, and two datagrams.
        assert_eq!(observed(125_000_000, 1_000_000, 1000), None);
        assert_eq!(observed(125_000, 60_000, 500_000), None);
        assert_eq!(observed(8_000, 4608, 100_000), None);
    }
}
