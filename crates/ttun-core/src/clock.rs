//! Times of a tunnel: when it began, when it last sent, and when it last received from the peer.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::stats::TunnelState;

/// A peer from which nothing was received for this long is silent, unless a probe runs.
pub(crate) const SILENCE_MS: u64 = 30_000;

/// How long an idle peer has to answer when packets are sent to it again.
const ANSWER_MS: u64 = 3000;

/// Monotonic time since the tunnel began. Marks are stored plus one unit, so that 0 means never.
pub(crate) struct Clock {
    start: Instant,
    /// The same instant, in ms since the epoch.
    opened_at: f64,
    /// Milliseconds.
    silence: AtomicU64,
    /// Milliseconds.
    sent: AtomicU64,
    /// The first time since something was received, in milliseconds.
    unanswered: AtomicU64,
    /// Milliseconds.
    received: AtomicU64,
    /// From which peer that was, as the version of the endpoints.
    received_from: AtomicU32,
    /// When the socket last reported an error that says why the peer does not answer, milliseconds, and its number in the last byte.
    failed: AtomicU64,
    /// Nanoseconds, so that the uptime does not go back when it is frozen at the end.
    ended: AtomicU64,
    /// Microseconds; tests advance it themselves.
    #[cfg(test)]
    test_time: AtomicU64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let never = || AtomicU64::new(0);
        let received_from = AtomicU32::new(0);
        let (start, opened_at) = (Instant::now(), epoch_ms(SystemTime::now()));
        Self {
            start,
            opened_at,
            silence: AtomicU64::new(SILENCE_MS),
            sent: never(),
            unanswered: never(),
            received: never(),
            received_from,
            failed: never(),
            ended: never(),
            #[cfg(test)]
            test_time: never(),
        }
    }

    /// When the tunnel began, in ms since the epoch.
    pub(crate) fn opened_at(&self) -> f64 {
        self.opened_at
    }

    /// Uptime, ms.
    pub(crate) fn now(&self) -> u64 {
        #[cfg(test)]
        return self.test_time.load(Ordering::Relaxed) / 1000;
        #[cfg(not(test))]
        return self.start.elapsed().as_millis() as u64;
    }

    /// Uptime, ns.
    pub(crate) fn now_ns(&self) -> u64 {
        #[cfg(test)]
        return self.test_time.load(Ordering::Relaxed) * 1000;
        #[cfg(not(test))]
        return self.start.elapsed().as_nanos() as u64;
    }

    /// Uptime, µs.
    pub(crate) fn now_us(&self) -> u64 {
        self.now_ns() / 1000
    }

    #[cfg(test)]
    pub(crate) fn advance(&self, ms: u64) {
        self.advance_us(ms * 1000);
    }

    #[cfg(test)]
    pub(crate) fn advance_us(&self, us: u64) {
        self.test_time.fetch_add(us, Ordering::Relaxed);
    }

    /// From now on a peer counts as silent when nothing was received from it for this long, ms.
    pub(crate) fn set_silence(&self, ms: u64) {
        self.silence.store(ms, Ordering::Relaxed);
    }

    /// How long nothing was received from a silent peer, ms.
    pub(crate) fn silence(&self) -> u64 {
        self.silence.load(Ordering::Relaxed)
    }

    /// How long a peer has to answer after a pause, ms; with a probe that runs, there is no longer pause than between two probes.
    pub(crate) fn answer_time(&self, usual: u64) -> u64 {
        usual.min(self.silence() / 3 * 2)
    }

    pub(crate) fn mark_sent(&self) {
        let now = self.now() + 1;
        self.sent.store(now, Ordering::Relaxed);
        if self.unanswered.load(Ordering::Relaxed) == 0 {
            self.unanswered.store(now, Ordering::Relaxed);
        }
    }

    /// `peer` is the version of the endpoints under which the datagram was received.
    pub(crate) fn mark_received(&self, peer: u32) {
        self.received.store(self.now() + 1, Ordering::Relaxed);
        self.unanswered.store(0, Ordering::Relaxed);
        self.received_from.store(peer, Ordering::Release);
    }

    /// Numbers from 256 on are ignored: there are none.
    pub(crate) fn mark_failed(&self, errno: i32) {
        self.failed.store((self.now() << 8) | u64::from(u8::try_from(errno).unwrap_or(0)), Ordering::Relaxed);
    }

    pub(crate) fn mark_ended(&self) {
        self.ended.store(self.start.elapsed().as_nanos() as u64 + 1, Ordering::Release);
    }

    /// How long the tunnel has run or ran.
    pub(crate) fn uptime(&self) -> Duration {
        read(&self.ended).map_or_else(|| self.start.elapsed(), Duration::from_nanos)
    }

    /// Whether the peer answers that has been the present one since the version `peer` of the endpoints.
    pub(crate) fn state(&self, peer: u32) -> TunnelState {
        if read(&self.ended).is_some() {
            return TunnelState::Closed;
        }
        let now = self.now();
        let recent = |at: Option<u64>| at.is_some_and(|at| now.saturating_sub(at) < self.silence());
        let answer_ms = self.answer_time(ANSWER_MS);
        let is_unanswered = || self.unanswered().is_some_and(|at| now.saturating_sub(at) >= answer_ms);
        match self.last_received(peer) {
            None => TunnelState::Waiting,
            received if recent(received) => TunnelState::Up,
            _ if recent(read(&self.sent)) && is_unanswered() => TunnelState::Waiting,
            _ => TunnelState::Idle,
        }
    }

    /// When something was last received from `peer`, on the clock that shows `timestamp` now (ms since the epoch).
    pub(crate) fn received_at(&self, timestamp: f64, peer: u32) -> Option<f64> {
        let ago = Duration::from_millis(self.now().saturating_sub(self.last_received(peer)?));
        Some(timestamp - ago.as_secs_f64() * 1e3)
    }

    /// When something was last sent, or tried to be, ms of uptime.
    pub(crate) fn last_sent(&self) -> Option<u64> {
        read(&self.sent)
    }

    /// When the socket last reported an error that says why the peer does not answer, ms of uptime, and the error.
    pub(crate) fn last_failure(&self) -> Option<(u64, i32)> {
        let mark = self.failed.load(Ordering::Relaxed);
        let errno = i32::from(mark as u8);
        (errno > 0).then_some((mark >> 8, errno))
    }

    /// When something was first sent, or tried to be, since something was last received, ms of uptime.
    pub(crate) fn unanswered(&self) -> Option<u64> {
        read(&self.unanswered)
    }

    /// When something was last received from `peer`, ms of uptime.
    pub(crate) fn last_received(&self, peer: u32) -> Option<u64> {
        let is_since = self.received_from.load(Ordering::Acquire).wrapping_sub(peer) <= u32::MAX / 2;
        if is_since { read(&self.received) } else { None }
    }
}

/// Milliseconds since the epoch, with their fraction.
pub(crate) fn epoch_ms(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3)
}

fn read(mark: &AtomicU64) -> Option<u64> {
    mark.load(Ordering::Acquire).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use TunnelState::{Closed, Idle, Up, Waiting};

    const PEER: u32 = 3;

    fn states<const N: usize>(clock: &Clock, waits: [u64; N]) -> [TunnelState; N] {
        waits.map(|ms| {
            clock.advance(ms);
            clock.state(PEER)
        })
    }

    #[test]
    fn a_peer_is_waited_for_until_it_is_heard_first() {
        let clock = Clock::start();
        assert_eq!(states(&clock, [0, 100_000]), [Waiting, Waiting]);
        clock.mark_sent();
        assert_eq!(states(&clock, [0, 100_000]), [Waiting, Waiting]);
        clock.mark_received(PEER - 1);
        assert_eq!(states(&clock, [0]), [Waiting], "that was another peer");
        clock.mark_received(PEER);
        assert_eq!(states(&clock, [0, 29_999]), [Up, Up]);
        clock.mark_received(PEER + 1);
        assert_eq!(states(&clock, [0]), [Up], "the same peer, from another local address");
    }

    #[test]
    fn without_traffic_it_is_idle() {
        let clock = Clock::start();
        clock.mark_sent();
        clock.mark_received(PEER);
        assert_eq!(states(&clock, [29_999, 1, 1_000_000]), [Up, Idle, Idle]);
    }

    #[test]
    fn a_peer_that_answers_is_never_waited_for() {
        let clock = Clock::start();
        clock.mark_sent();
        clock.mark_received(PEER);
        for _ in 0..3 {
            assert_eq!(states(&clock, [40_000]), [Idle]);
            clock.mark_sent();
            assert_eq!(states(&clock, [0, 2999]), [Idle, Idle]);
            clock.mark_received(PEER);
            assert_eq!(states(&clock, [0]), [Up]);
        }
    }

    #[test]
    fn a_peer_that_does_not_answer_is_waited_for_while_it_is_sent_to() {
        let clock = Clock::start();
        clock.mark_received(PEER);
        for _ in 0..29 {
            clock.mark_sent();
            assert_eq!(states(&clock, [1000]), [Up]);
        }
        assert_eq!(states(&clock, [1000, 27_999, 1001]), [Waiting, Waiting, Idle]);
        clock.mark_sent();
        assert_eq!(states(&clock, [0]), [Waiting], "the first of these packets still has no answer");
    }

    #[test]
    fn while_a_probe_runs_silence_is_noticed_after_three_of_its_intervals() {
        let clock = Clock::start();
        clock.set_silence(3000);
        clock.mark_sent();
        assert_eq!(states(&clock, [0, 100_000]), [Waiting, Waiting]);
        clock.mark_received(PEER);
        assert_eq!(states(&clock, [500]), [Up]);
        clock.mark_sent();
        assert_eq!(states(&clock, [1000]), [Up]);
        clock.mark_sent();
        assert_eq!(states(&clock, [1499, 1]), [Up, Waiting]);
        clock.mark_received(PEER);
        assert_eq!(states(&clock, [0]), [Up]);
        // No more probes are sent.
        clock.set_silence(SILENCE_MS);
        assert_eq!(states(&clock, [29_999, 1]), [Up, Idle]);
    }

    #[test]
    fn after_the_end_it_is_closed() {
        let clock = Clock::start();
        clock.mark_received(PEER);
        clock.mark_ended();
        assert_eq!(states(&clock, [0, 100_000]), [Closed, Closed]);
    }
}
