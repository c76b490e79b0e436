//! Counters that the packet path adds to and other threads read.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter or gauge with one writer at a time: adding is a plain load and store.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: usize) {
        self.set(self.get().wrapping_add(amount as u64));
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Linux error numbers go up to 133 (`EHWPOISON`); higher numbers are counted at 0.
pub const ERROR_NUMBERS: usize = 134;

/// Failed sends and receives by error number; ICMP answers from the path arrive as these.
pub(crate) struct ErrnoCounters([Counter; ERROR_NUMBERS]);

impl ErrnoCounters {
    pub(crate) fn count(&self, error: &std::io::Error) {
        let errno = error.raw_os_error().and_then(|errno| usize::try_from(errno).ok()).unwrap_or(0);
        let [unknown, ..] = &self.0;
        self.0.get(errno).unwrap_or(unknown).add(1);
    }

    /// The error numbers that occurred, with how often.
    pub(crate) fn occurred(&self) -> Vec<(i32, u64)> {
        (0..).zip(self.0.iter().map(Counter::get)).filter(|&(_, count)| count > 0).collect()
    }
}

impl Default for ErrnoCounters {
    fn default() -> Self {
        Self([const { Counter(AtomicU64::new(0)) }; ERROR_NUMBERS])
    }
}
