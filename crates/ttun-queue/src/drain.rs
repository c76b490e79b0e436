//! The rate at which a link takes datagrams, measured while others wait for it.

/// The shortest measurement, µs: what waits below the queue differs by some datagrams between its start and its end.
const LEAST_US: u64 = 100_000;

/// Measures the rate at which a link takes datagrams.
#[derive(Clone, Debug, Default)]
pub struct DrainMeter {
    /// When the measurement began, µs, and the bytes sent since.
    measuring: Option<(u64, usize)>,
}

impl DrainMeter {
    /// Bytes were sent.
    pub fn sent(&mut self, bytes: usize) {
        if let Some((_, sent)) = &mut self.measuring {
            *sent += bytes;
        }
    }

    /// Nothing waits for the link any more, or not only for the link.
    pub fn interrupt(&mut self) {
        self.measuring = None;
    }

    /// The link takes no more at `now`, while packets wait. Returns the rate once it is known, in bytes per second.
    pub fn filled(&mut self, now: u64) -> Option<u64> {
        let Some((since, sent)) = self.measuring else {
            self.measuring = Some((now, 0));
            return None;
        };
        let elapsed = now.saturating_sub(since);
        if elapsed < LEAST_US {
            return None;
        }
        self.measuring = Some((now, 0));
        Some((sent as u64).saturating_mul(1_000_000) / elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_rate_of_a_link_that_is_always_busy() {
        let (mut meter, mut now) = (DrainMeter::default(), 7);
        let mut measured = Vec::new();
        for _ in 0..100 {
            measured.extend(meter.filled(now));
            meter.sent(15_000);
            now += 6_000;
        }
        assert_eq!(measured, [2_500_000; 5]);
    }

    #[test]
    fn time_without_packets_that_wait_is_left_out() {
        let mut meter = DrainMeter::default();
        assert_eq!(meter.filled(0), None);
        meter.sent(100_000);
        meter.interrupt();
        meter.sent(1000);
        assert_eq!(meter.filled(90_000), None);
        meter.sent(100_000);
        assert_eq!(meter.filled(190_000), Some(1_000_000));
    }
}
