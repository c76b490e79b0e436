//! The queue before the socket, as the rest of the program sees it: its configuration, and its state.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::backlog::{Backlog, Discipline, Staged};
use crate::options::QueueOptions;
use crate::stats::{Counter, QueueStats};

/// Configuration and state of the queue of one tunnel.
pub(crate) struct Queue {
    pub(crate) discipline: Discipline,
    /// The most that may wait in the socket, bytes in the kernel's account; `None` if that is fixed.
    pub(crate) most_unsent: Option<usize>,
    /// Bits per second; 0 for as many as the socket accepts.
    rate: AtomicU64,
    packets: AtomicUsize,
    bytes: AtomicUsize,
    /// Of the packet that left last, µs.
    sojourn_us: AtomicU64,
    longest_sojourn_us: AtomicU64,
    delayed: Counter,
    delay_us: AtomicU64,
    marked: Counter,
    /// How much may wait in the socket, bytes.
    limit: AtomicUsize,
    /// The rate at which the link takes datagrams, bytes per second; 0 if it is not known.
    drain_rate: AtomicU64,
}

impl Queue {
    /// `send_buffer` is the size that the system has granted, bytes, as getsockopt(2) reports it.
    pub(crate) fn new(options: &QueueOptions, send_buffer: usize) -> Self {
        let discipline = if options.fair { Discipline::Fair } else { Discipline::Fifo };
        let is_followed = options.fair && options.send_buffer.is_none();
        Self {
            discipline,
            most_unsent: is_followed.then_some(send_buffer),
            rate: AtomicU64::new(options.rate.unwrap_or(0)),
            packets: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            sojourn_us: AtomicU64::new(0),
            longest_sojourn_us: AtomicU64::new(0),
            delayed: Counter::default(),
            delay_us: AtomicU64::new(0),
            marked: Counter::default(),
            limit: AtomicUsize::new(send_buffer),
            drain_rate: AtomicU64::new(0),
        }
    }

    /// The configured rate, bits per second; 0 without one.
    pub(crate) fn rate(&self) -> u64 {
        self.rate.load(Ordering::Relaxed)
    }

    /// Changes it.
    pub(crate) fn set_rate(&self, rate: Option<u64>) {
        self.rate.store(rate.unwrap_or(0), Ordering::Relaxed);
    }

    /// A packet has left the queue.
    pub(crate) fn left(&self, staged: &Staged) {
        if self.discipline == Discipline::Fifo {
            return;
        }
        self.delayed.add(1);
        self.delay_us.fetch_add(staged.sojourn_us, Ordering::Relaxed);
        self.sojourn_us.store(staged.sojourn_us, Ordering::Relaxed);
        self.longest_sojourn_us.fetch_max(staged.sojourn_us, Ordering::Relaxed);
        self.marked.add(usize::from(staged.marked));
    }

    /// What waits now.
    pub(crate) fn holds(&self, backlog: &Backlog) {
        self.packets.store(backlog.packets(), Ordering::Relaxed);
        self.bytes.store(backlog.bytes(), Ordering::Relaxed);
    }

    /// Nothing waits any more.
    pub(crate) fn emptied(&self) {
        self.packets.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// What may wait in the socket from now on, bytes in the kernel's account.
    pub(crate) fn limits(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// The rate at which the link takes datagrams, bytes per second.
    pub(crate) fn drains(&self, rate: Option<u64>) {
        self.drain_rate.store(rate.unwrap_or(0), Ordering::Relaxed);
    }

    /// How much may wait in the socket, bytes in the kernel's account.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    pub(crate) fn snapshot(&self) -> QueueStats {
        let load = |value: &AtomicU64| Some(value.load(Ordering::Relaxed)).filter(|&value| value > 0);
        QueueStats {
            packets: self.packets.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            sojourn_ms: load(&self.sojourn_us).map(milliseconds),
            sojourn_max_ms: load(&self.longest_sojourn_us).map(milliseconds),
            delayed: self.delayed.get(),
            delay_sum: self.delay_us.load(Ordering::Relaxed),
            marked: self.marked.get(),
            rate: load(&self.rate),
            drain_rate: load(&self.drain_rate).map(|bytes| 8 * bytes),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "times in a queue are far below 2^53 µs")]
fn milliseconds(us: u64) -> f64 {
    us as f64 / 1e3
}
