//! The queue before the socket, as the rest of the program sees it: its configuration, and its state.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::backlog::{Backlog, Discipline, Staged};
use crate::options::QueueOptions;
use crate::stats::{Counter, QueueStats};

/// Configuration and state of the queue of one tunnel.
pub(crate) struct Queue {
    pub(crate) discipline: Discipline,
    /// The most that may wait in the socket, bytes in the kernel's account; `None` if that is fixed.
    pub(crate) most_unsent: Option<usize>,
    /// Bits per second; 0 for as many as the socket accepts.
    rate: Counter,
    packets: Counter,
    bytes: Counter,
    /// Of the packet that left last, µs.
    sojourn_us: Counter,
    longest_sojourn_us: Counter,
    delayed: Counter,
    delay_us: Counter,
    marked: Counter,
    /// How much may wait in the socket, bytes.
    limit: Counter,
    /// Whether a datagram is being sent for which that is too little.
    exceeded: AtomicBool,
    /// The rate at which the link takes datagrams, bytes per second; 0 if it is not known.
    drain_rate: Counter,
}

impl Queue {
    /// `send_buffer` is the size that the system has granted, bytes, as getsockopt(2) reports it.
    pub(crate) fn new(options: &QueueOptions, send_buffer: usize) -> Self {
        let discipline = if options.fair { Discipline::Fair } else { Discipline::Fifo };
        let is_followed = options.fair && options.send_buffer.is_none();
        let queue = Self {
            discipline,
            most_unsent: is_followed.then_some(send_buffer),
            rate: Counter::default(),
            packets: Counter::default(),
            bytes: Counter::default(),
            sojourn_us: Counter::default(),
            longest_sojourn_us: Counter::default(),
            delayed: Counter::default(),
            delay_us: Counter::default(),
            marked: Counter::default(),
            limit: Counter::default(),
            exceeded: AtomicBool::new(false),
            drain_rate: Counter::default(),
        };
        queue.set_rate(options.rate);
        queue.limits(send_buffer);
        queue
    }

    /// The configured rate, bits per second; 0 without one.
    pub(crate) fn rate(&self) -> u64 {
        self.rate.get()
    }

    /// Changes it.
    pub(crate) fn set_rate(&self, rate: Option<u64>) {
        self.rate.set(rate.unwrap_or(0));
    }

    /// A packet has left the queue.
    pub(crate) fn left(&self, staged: &Staged) {
        if self.discipline == Discipline::Fifo {
            return;
        }
        self.delayed.add(1);
        self.delay_us.set(self.delay_us.get() + staged.sojourn_us);
        self.sojourn_us.set(staged.sojourn_us);
        self.longest_sojourn_us.set(self.longest_sojourn_us.get().max(staged.sojourn_us));
        self.marked.add(usize::from(staged.marked));
    }

    /// What waits now.
    pub(crate) fn holds(&self, backlog: &Backlog) {
        self.packets.set(backlog.packets() as u64);
        self.bytes.set(backlog.bytes() as u64);
    }

    /// Nothing waits any more.
    pub(crate) fn emptied(&self) {
        self.packets.set(0);
        self.bytes.set(0);
    }

    /// What may wait in the socket from now on, bytes in the kernel's account.
    pub(crate) fn limits(&self, bytes: usize) {
        self.limit.set(bytes as u64);
    }

    /// The rate at which the link takes datagrams, bytes per second.
    pub(crate) fn drains(&self, rate: Option<u64>) {
        self.drain_rate.set(rate.unwrap_or(0));
    }

    /// How much may wait in the socket, bytes in the kernel's account.
    pub(crate) fn limit(&self) -> usize {
        self.limit.get() as usize
    }

    /// The limit is exceeded for a single send. Returns whether it was not so already.
    pub(crate) fn exceed_limit(&self) -> bool {
        !self.exceeded.swap(true, Ordering::Relaxed)
    }

    /// Returns whether the limit was exceeded, and has to be applied again.
    pub(crate) fn ends_excess(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed) && self.exceeded.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn snapshot(&self) -> QueueStats {
        let if_any = |value: &Counter| Some(value.get()).filter(|&value| value > 0);
        let have_waited = self.delayed.get() > 0;
        let waited = |us: &Counter| have_waited.then(|| milliseconds(us.get()));
        QueueStats {
            packets: self.packets.get() as usize,
            bytes: self.bytes.get() as usize,
            sojourn_ms: waited(&self.sojourn_us),
            sojourn_max_ms: waited(&self.longest_sojourn_us),
            delayed: self.delayed.get(),
            delay_sum: self.delay_us.get(),
            marked: self.marked.get(),
            rate: if_any(&self.rate),
            drain_rate: if_any(&self.drain_rate).map(|bytes| 8 * bytes),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "times in a queue are far below 2^53 µs")]
fn milliseconds(us: u64) -> f64 {
    us as f64 / 1e3
}
