//! The rate at which a link takes datagrams, measured while others wait for it.

/// The shortest measurement, µs: what waits below the queue differs by some datagrams between its start and its end.
const LEAST_US: u64 = 100_000;

/// Measures the rate at which a link takes datagrams.
#[derive(Clone, Debug, Default)]
pub struct DrainMeter {
    measuring: Option<Measuring>,
}

#[derive(Clone, Debug)]
struct Measuring {
    /// When it began, µs.
    since: u64,
    /// How much could wait below the queue then.
    room: usize,
    /// Bytes sent since.
    sent: usize,
}

impl DrainMeter {
    /// Bytes were sent.
    pub fn sent(&mut self, bytes: usize) {
        if let Some(measuring) = &mut self.measuring {
            measuring.sent += bytes;
        }
    }

    /// Nothing waits for the link any more, or not only for the link.
    pub fn interrupt(&mut self) {
        self.measuring = None;
    }

    /// The link takes no more at `now`, while packets wait, as much as there is `room` for waits below the queue. Returns the rate once it
    /// is known, in bytes per second.
    pub fn filled(&mut self, now: u64, room: usize) -> Option<u64> {
        let begin = Measuring { since: now, room, sent: 0 };
        let measured = self.measuring.get_or_insert_with(|| begin.clone()).clone();
        if measured.room.abs_diff(room) > measured.room / 2 {
            // The link has also taken what there is no room for any more, or less than was sent.
            self.measuring = Some(begin);
            return None;
        }
        let elapsed = now.saturating_sub(measured.since);
        if elapsed < LEAST_US {
            return None;
        }
        self.measuring = Some(begin);
        Some((measured.sent as u64).saturating_mul(1_000_000) / elapsed)
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
            measured.extend(meter.filled(now, 10_000));
            meter.sent(15_000);
            now += 6_000;
        }
        assert_eq!(measured, [2_500_000; 5]);
    }

    #[test]
    fn time_without_packets_that_wait_is_left_out() {
        let mut meter = DrainMeter::default();
        assert_eq!(meter.filled(0, 10_000), None);
        meter.sent(100_000);
        meter.interrupt();
        meter.sent(1000);
        assert_eq!(meter.filled(90_000, 10_000), None);
        meter.sent(100_000);
        assert_eq!(meter.filled(190_000, 10_000), Some(1_000_000));
    }

    #[test]
    fn time_in_which_a_large_buffer_drains_is_left_out() {
        let mut meter = DrainMeter::default();
        assert_eq!(meter.filled(0, 200_000), None);
        assert_eq!(meter.filled(300_000, 5_000), None);
        meter.sent(62_500);
        assert_eq!(meter.filled(400_000, 5_500), Some(625_000));
    }
}
