//! Busy polling: keeps the tunnel's thread from sleeping for a while after each packet.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use tokio::task::yield_now;

use crate::shared::Context;

/// When other threads have run for this long in place of the polling one, this processor is needed elsewhere, ns.
const TAKEN_NS: u64 = 500_000;

/// Then there is no polling for so many times as long. Polling again and again would cost more than it gains: a thread that has slept is
/// preferred to one that has computed all the time, and one that has polled is not.
const PAUSES_PER_TAKEN: u64 = 100;

/// More bytes than that in one turn of the event loop are bulk, of which the next packets come soon, and in batches that are the
/// larger the later they are read.
const BULK_BYTES: u64 = 16 * 1024;

/// For so long there is no polling after bulk, ns: its senders and receivers need the processor.
const BULK_PAUSE_NS: u64 = 1_000_000;

/// Polls for `duration` after each packet; never resolves.
///
/// The event loop looks for events again and again without waiting (`epoll_wait` with a timeout of 0), so whatever wakes the thread from
/// its sleep does so as before. Other threads on the same processor go first: a program that a packet has just woken would otherwise wait
/// until the polling ends.
pub(crate) async fn run(context: &Context, duration: Duration) {
    let duration_ns = duration.as_nanos().try_into().unwrap_or(u64::MAX);
    let mut spell = Spell { duration_ns, ..Spell::default() };
    poll_fn(|waker| {
        let clock = &context.clock;
        // Probes do not count: a tunnel that only probes is idle.
        let carried = context.encap.reads.get().wrapping_add(context.decap.receives.get());
        let bytes = context.encap.bytes.get().wrapping_add(context.decap.bytes.get());
        let now = clock.now_ns();
        if spell.continues(carried, bytes, now) {
            thread::yield_now();
            spell.gave_way(now, clock.now_ns());
            // Wakes this future once the event loop has looked.
            let _ = pin!(yield_now()).poll(waker);
        }
        Poll::<()>::Pending
    })
    .await;
}

/// The time after a packet in which to poll. Times are in ns of uptime.
#[derive(Default)]
struct Spell {
    duration_ns: u64,
    /// Reads and receives that brought packets, as last seen.
    carried: u64,
    /// Bytes that were sent and written, as last seen.
    bytes: u64,
    until: u64,
    paused_until: u64,
}

impl Spell {
    /// Whether to poll, when `carried` reads and receives have brought packets so far, and `bytes` were passed on.
    fn continues(&mut self, carried: u64, bytes: u64, now: u64) -> bool {
        if carried != self.carried {
            self.carried = carried;
            self.until = now.saturating_add(self.duration_ns);
            if bytes.wrapping_sub(std::mem::replace(&mut self.bytes, bytes)) > BULK_BYTES {
                self.pause(now, BULK_PAUSE_NS);
            }
        }
        now < self.until && now >= self.paused_until
    }

    /// Other threads had the processor from `from` to `now`.
    fn gave_way(&mut self, from: u64, now: u64) {
        let taken = now.saturating_sub(from);
        if taken >= TAKEN_NS {
            self.pause(now, taken.saturating_mul(PAUSES_PER_TAKEN));
        }
    }

    fn pause(&mut self, now: u64, time: u64) {
        self.paused_until = self.paused_until.max(now.saturating_add(time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: u64 = 1000;

    fn spell() -> Spell {
        Spell { duration_ns: 50 * US, ..Spell::default() }
    }

    #[test]
    fn polling_begins_with_a_packet_and_ends_after_the_time_without_one() {
        let mut spell = spell();
        assert!(!spell.continues(0, 0, 1000 * US), "there was no packet");
        assert!(spell.continues(1, 0, 1001 * US));
        assert!(spell.continues(1, 0, 1050 * US));
        assert!(spell.continues(2, 0, 1050 * US), "another packet");
        assert!(spell.continues(2, 0, 1099 * US));
        assert!(!spell.continues(2, 0, 1100 * US));
        assert!(!spell.continues(2, 0, 9000 * US));
        assert!(spell.continues(1, 0, 9001 * US), "a counter may wrap");
    }

    #[test]
    fn there_is_no_polling_for_a_while_where_other_threads_need_the_processor() {
        let mut spell = spell();
        assert!(spell.continues(1, 0, 1000 * US));
        spell.gave_way(1000 * US, 1499 * US);
        assert!(spell.continues(2, 0, 1500 * US), "that was a short turn");
        spell.gave_way(1500 * US, 2500 * US);
        assert!(!spell.continues(3, 0, 2501 * US));
        assert!(!spell.continues(4, 0, 102_499 * US));
        assert!(spell.continues(5, 0, 102_500 * US));
    }

    #[test]
    fn there_is_no_polling_after_bulk() {
        let mut spell = spell();
        assert!(spell.continues(1, 9000, 1000 * US));
        assert!(spell.continues(2, 9000 + BULK_BYTES, 1010 * US));
        assert!(!spell.continues(3, 9001 + 2 * BULK_BYTES, 1020 * US));
        assert!(!spell.continues(4, 9101 + 2 * BULK_BYTES, 2019 * US));
        assert!(spell.continues(5, 9201 + 2 * BULK_BYTES, 2020 * US));
    }

    #[test]
    fn a_short_pause_does_not_end_a_longer_one() {
        let mut spell = spell();
        spell.gave_way(0, 1000 * US);
        assert!(!spell.continues(1, 2 * BULK_BYTES, 1000 * US));
        assert!(!spell.continues(2, 2 * BULK_BYTES, 100_999 * US));
        assert!(spell.continues(3, 2 * BULK_BYTES, 101_000 * US));
    }

    #[test]
    fn times_beyond_every_uptime_are_no_fault() {
        let mut spell = Spell { duration_ns: u64::MAX, ..spell() };
        assert!(spell.continues(1, 0, 1));
        spell.gave_way(0, u64::MAX);
        assert!(!spell.continues(2, 0, u64::MAX - 1));
    }
}
