//! Statistics of the probe: totals, and a sliding window of the last probes.
//!
//! Times are nanoseconds on one monotonic clock.

use std::collections::VecDeque;

use crate::stats::{PROBE_BOUNDS_NS, ProbeStats, RttStats};

/// A reply that takes longer counts as lost, ns.
pub(crate) const TIMEOUT_NS: u64 = 3_000_000_000;

/// The window reaches back this far, ns,
const SPAN_NS: u64 = 60_000_000_000;

/// or has this many probes.
const LEAST_PROBES: usize = 20;

/// Numbers of probes since the tunnel was opened, and the last ones individually.
#[derive(Default)]
pub(crate) struct Window {
    /// The last probes, oldest first.
    probes: VecDeque<Probe>,
    /// The number of the first of them; they are numbered from 0.
    first: u64,
    /// How many of them, at the front, are answered or lost.
    decided: usize,
    /// Round-trip times of those that are answered, ns, in ascending order.
    times: Vec<u32>,
    /// Their sum, ns.
    times_sum: u64,
    lost_of_them: usize,
    sent: u64,
    received: u64,
    lost: u64,
    late: u64,
    /// Of all answers, ns.
    rtt_sum: u64,
    /// The last answer.
    last_rtt: Option<u32>,
    last_at: Option<u64>,
    /// RFC 3550 section 6.4.1, ns.
    jitter: Option<f64>,
    /// Answers up to each bound and above the one before it.
    buckets: [u64; PROBE_BOUNDS_NS.len()],
}

#[derive(Clone, Copy)]
struct Probe {
    sent_at: u64,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Pending,
    /// After so many ns.
    Answered(u32),
    Lost,
}

impl Window {
    /// A probe is sent. Returns its number.
    pub(crate) fn sent(&mut self, now: u64) -> u64 {
        self.settle(now);
        self.sent += 1;
        self.probes.push_back(Probe { sent_at: now, outcome: Outcome::Pending });
        self.first + self.probes.len() as u64 - 1
    }

    /// A reply to the probe `number` has arrived. Only the first one within the timeout is an answer.
    pub(crate) fn replied(&mut self, number: u64, now: u64) {
        self.settle(now);
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let pending = index
            .and_then(|index| self.probes.get_mut(index))
            .filter(|probe| probe.outcome == Outcome::Pending);
        let Some(probe) = pending else {
            self.late += 1;
            return;
        };
        // The timeout, which is over for no pending probe, fits.
        let rtt = u32::try_from(now.saturating_sub(probe.sent_at)).unwrap_or(u32::MAX);
        probe.outcome = Outcome::Answered(rtt);
        self.answered(rtt, now);
    }

    /// Probes whose time is over are lost, and those that have left the window are forgotten.
    pub(crate) fn settle(&mut self, now: u64) {
        while let Some(probe) = self.probes.get_mut(self.decided) {
            if probe.outcome == Outcome::Pending {
                if now.saturating_sub(probe.sent_at) <= TIMEOUT_NS {
                    break;
                }
                probe.outcome = Outcome::Lost;
                self.lost += 1;
                self.lost_of_them += 1;
            }
            self.decided += 1;
        }
        while let Some(&oldest) = self.probes.front() {
            let is_old = now.saturating_sub(oldest.sent_at) > SPAN_NS;
            if self.decided == 0 || !is_old || self.probes.len() <= LEAST_PROBES {
                return;
            }
            self.forget(oldest.outcome);
        }
    }

    fn answered(&mut self, rtt: u32, now: u64) {
        self.received += 1;
        self.rtt_sum += u64::from(rtt);
        if let Some(bucket) = PROBE_BOUNDS_NS.iter().position(|&bound| u64::from(rtt) <= bound) {
            self.buckets[bucket] += 1;
        }
        if let Some(last) = self.last_rtt {
            let jitter = self.jitter.unwrap_or(0.0);
            self.jitter = Some(jitter + (f64::from(last.abs_diff(rtt)) - jitter) / 16.0);
        }
        (self.last_rtt, self.last_at) = (Some(rtt), Some(now));
        let place = self.times.partition_point(|&time| time < rtt);
        self.times.insert(place, rtt);
        self.times_sum += u64::from(rtt);
    }

    fn forget(&mut self, outcome: Outcome) {
        self.probes.pop_front();
        self.first += 1;
        self.decided -= 1;
        match outcome {
            Outcome::Answered(rtt) => {
                if let Ok(place) = self.times.binary_search(&rtt) {
                    self.times.remove(place);
                    self.times_sum -= u64::from(rtt);
                }
            }
            Outcome::Lost => self.lost_of_them -= 1,
            Outcome::Pending => {}
        }
    }

    /// How many probes were answered so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// How many of the last probes in a row are lost.
    pub(crate) fn lost_in_a_row(&self) -> usize {
        let decided = self.probes.iter().rev().filter(|probe| probe.outcome != Outcome::Pending);
        decided.take_while(|probe| probe.outcome == Outcome::Lost).count()
    }

    /// Fills in all statistics but those of the configuration. `timestamp` is now, in ms since the epoch.
    pub(crate) fn describe(&mut self, now: u64, timestamp: f64, stats: &mut ProbeStats) {
        self.settle(now);
        (stats.sent, stats.received, stats.lost, stats.late) =
            (self.sent, self.received, self.lost, self.late);
        stats.rtt_sum = self.rtt_sum / 1000;
        stats.last_at = self.last_at.map(|at| timestamp - ms(now.saturating_sub(at)));
        let decided = self.times.len() + self.lost_of_them;
        stats.loss = (decided > 0).then(|| ratio(self.lost_of_them, decided));
        let mut sum = 0;
        for (total, count) in stats.buckets.iter_mut().zip(self.buckets) {
            sum += count;
            *total = sum;
        }
        if self.times.is_empty() {
            return;
        }
        stats.jitter_ms = self.jitter.map(|jitter| jitter / 1e6);
        stats.rtt_ms = RttStats {
            last: self.last_rtt.map(to_ms),
            min: self.times.first().copied().map(to_ms),
            mean: Some(ms(self.times_sum) / ratio(self.times.len(), 1)),
            p50: self.percentile(50),
            p99: self.percentile(99),
            max: self.times.last().copied().map(to_ms),
        };
    }

    /// The least time that is at least as long as `percent` of all, ms (nearest rank).
    fn percentile(&self, percent: usize) -> Option<f64> {
        let rank = (self.times.len() * percent).div_ceil(100);
        self.times.get(rank.checked_sub(1)?).copied().map(to_ms)
    }
}

fn to_ms(ns: u32) -> f64 {
    f64::from(ns) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "sums of a window are far below 2^53")]
fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "a window has some thousand probes")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const S: u64 = 1000 * MS;

    fn described(window: &mut Window, now: u64) -> ProbeStats {
        let mut stats = ProbeStats::default();
        window.describe(now, 0.0, &mut stats);
        stats
    }

    /// Probes a second apart, each answered after so many ms, or never.
    fn window(rtts: impl IntoIterator<Item = Option<u64>>) -> (Window, u64) {
        let mut window = Window::default();
        let mut now = 0;
        for rtt in rtts {
            let number = window.sent(now);
            if let Some(rtt) = rtt {
                window.replied(number, now + rtt * MS);
            }
            now += S;
        }
        (window, now)
    }

    fn is(value: Option<f64>, expected: f64) {
        assert!(value.is_some_and(|value| (value - expected).abs() < 1e-9), "{value:?}, not {expected}");
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        let (mut window, now) = window([]);
        let stats = described(&mut window, now);
        assert_eq!((stats.loss, stats.jitter_ms, stats.last_at), (None, None, None));
        assert_eq!((stats.rtt_ms.min, stats.rtt_ms.p50, stats.rtt_ms.last), (None, None, None));
        window.sent(0);
        assert_eq!(described(&mut window, 3 * S).loss, None, "it may still be answered");
        is(described(&mut window, 3 * S + 1).loss, 1.0);
    }

    #[test]
    fn percentiles_are_exact() {
        let (mut window, _) = window((1..=50).rev().map(Some));
        let rtt = described(&mut window, 50 * S).rtt_ms;
        is(rtt.min, 1.0);
        is(rtt.mean, 25.5);
        is(rtt.p50, 25.0);
        is(rtt.p99, 50.0);
        is(rtt.max, 50.0);
        is(rtt.last, 1.0);
    }

    #[test]
    fn jitter_is_that_of_rfc_3550() {
        let (mut window, now) = window([Some(10)]);
        assert_eq!(described(&mut window, now).jitter_ms, None, "one answer has none");
        let (mut window, now) = self::window([Some(10), Some(26), Some(10)]);
        // 16/16 = 1, then 1 + (16 - 1)/16.
        is(described(&mut window, now).jitter_ms, 1.9375);
    }

    #[test]
    fn a_late_reply_is_no_answer_and_its_probe_is_lost_once() {
        let mut window = Window::default();
        let (late, in_time) = (window.sent(0), window.sent(S));
        window.replied(in_time, S + 3 * S);
        window.replied(late, 3 * S + 1);
        window.replied(late, 4 * S);
        let stats = described(&mut window, 10 * S);
        assert_eq!((stats.sent, stats.received, stats.lost, stats.late), (2, 1, 1, 2));
        is(stats.loss, 0.5);
        is(stats.rtt_ms.max, 3000.0);
    }

    #[test]
    fn a_duplicate_is_not_a_second_answer() {
        let mut window = Window::default();
        let number = window.sent(0);
        window.replied(number, 5 * MS);
        window.replied(number, 6 * MS);
        window.replied(number + 1, 6 * MS);
        let stats = described(&mut window, S);
        assert_eq!((stats.sent, stats.received, stats.lost, stats.late), (1, 1, 0, 2));
        is(stats.rtt_ms.max, 5.0);
    }

    #[test]
    fn the_window_slides_by_time_and_its_memory_is_bounded() {
        let mut window = Window::default();
        for turn in 0..100_000 {
            let now = turn * 10 * MS;
            let number = window.sent(now);
            if turn % 4 != 0 {
                window.replied(number, now + if turn < 90_000 { 9 * MS } else { 5 * MS });
            }
        }
        assert!(window.probes.len() <= 6001 && window.times.len() <= 4501, "{}", window.probes.len());
        let now = 1_000_000 * MS + 4 * S;
        let stats = described(&mut window, now);
        is(stats.rtt_ms.max, 5.0);
        is(stats.rtt_ms.min, 5.0);
        assert_eq!((stats.sent, stats.received, stats.lost), (100_000, 75_000, 25_000));
        assert!(stats.loss.is_some_and(|loss| (loss - 0.25).abs() < 0.001));
        // The last ones stay although they are old.
        is(described(&mut window, now + 3600 * S).loss, 0.25);
        assert_eq!(window.probes.len(), LEAST_PROBES);
    }

    #[test]
    fn at_long_intervals_the_last_twenty_count() {
        let mut window = Window::default();
        for minute in 0..40 {
            let number = window.sent(minute * 60 * S);
            window.replied(number, minute * 60 * S + (minute + 1) * MS);
        }
        let rtt = described(&mut window, 39 * 60 * S + S).rtt_ms;
        is(rtt.min, 21.0);
        is(rtt.max, 40.0);
    }

    #[test]
    fn buckets_are_cumulative() {
        let (mut window, now) = window([Some(0), Some(1), Some(2), Some(700), Some(2900)]);
        let stats = described(&mut window, now);
        let up_to =
            |bound: u64| stats.buckets[PROBE_BOUNDS_NS.iter().position(|&ns| ns == bound * MS).unwrap()];
        assert_eq!([1, 2, 500, 1000, 2000].map(up_to), [2, 3, 3, 4, 4]);
        assert_eq!((stats.received, stats.rtt_sum), (5, 3_603_000));
    }

    #[test]
    fn losses_in_a_row_end_with_an_answer() {
        let (mut window, now) = window([Some(1), None, None]);
        window.settle(now + 3 * S);
        assert_eq!(window.lost_in_a_row(), 2);
        let number = window.sent(now + 3 * S);
        window.replied(number, now + 3 * S);
        window.settle(now + 3 * S);
        assert_eq!(window.lost_in_a_row(), 0);
    }
}
