//! Times of a tunnel: when it began, when it last sent, and when it last received from the peer.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::stats::TunnelState;

/// A peer from which nothing was received for this long is silent.
pub(crate) const SILENCE_MS: u64 = 30_000;

/// Monotonic time since the tunnel began. Marks are stored plus one unit, so that 0 means never.
pub(crate) struct Clock {
    start: Instant,
    /// The same instant, in ms since the epoch.
    opened_at: f64,
    /// Milliseconds.
    sent: AtomicU64,
    /// Milliseconds.
    received: AtomicU64,
    /// From which peer that was, as the version of the endpoints.
    received_from: AtomicU32,
    /// When the socket last reported an error that says why the peer does not answer, milliseconds, and its number in the last byte.
    failed: AtomicU64,
    /// Nanoseconds, so that the uptime does not go back when it is frozen at the end.
    ended: AtomicU64,
    /// Milliseconds; tests advance it themselves.
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
            sent: never(),
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
        return self.test_time.load(Ordering::Relaxed);
        #[cfg(not(test))]
        return self.start.elapsed().as_millis() as u64;
    }

    #[cfg(test)]
    pub(crate) fn advance(&self, ms: u64) {
        self.test_time.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) fn mark_sent(&self) {
        self.sent.store(self.now() + 1, Ordering::Relaxed);
    }

    /// `peer` is the version of the endpoints under which the datagram was received.
    pub(crate) fn mark_received(&self, peer: u32) {
        self.received.store(self.now() + 1, Ordering::Relaxed);
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

    /// Whether `peer` answers.
    pub(crate) fn state(&self, peer: u32) -> TunnelState {
        if read(&self.ended).is_some() {
            return TunnelState::Closed;
        }
        let now = self.now();
        let recent = |at: Option<u64>| at.is_some_and(|at| now.saturating_sub(at) < SILENCE_MS);
        match self.last_received(peer) {
            None => TunnelState::Waiting,
            received if recent(received) || !recent(read(&self.sent)) => TunnelState::Up,
            _ => TunnelState::Waiting,
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

    /// When something was last received from `peer`, ms of uptime.
    pub(crate) fn last_received(&self, peer: u32) -> Option<u64> {
        if self.received_from.load(Ordering::Acquire) == peer { read(&self.received) } else { None }
    }
}

/// Milliseconds since the epoch, with their fraction.
pub(crate) fn epoch_ms(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3)
}

fn read(mark: &AtomicU64) -> Option<u64> {
    mark.load(Ordering::Acquire).checked_sub(1)
}
