//! Errors that a call is to fail with.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;

/// The results of the next calls of one kind.
#[derive(Default)]
pub(in crate::tests) struct Faults {
    script: RefCell<VecDeque<Option<i32>>>,
    lasting: Cell<Option<i32>>,
    calls: Cell<usize>,
}

impl Faults {
    /// The next calls fail with these error numbers, or do their work where it says `None`.
    pub(in crate::tests) fn next(&self, script: impl IntoIterator<Item = Option<i32>>) {
        self.script.borrow_mut().extend(script);
    }

    /// All calls after the script fail with `errno`, until this is called again.
    pub(super) fn last(&self, errno: Option<i32>) {
        self.lasting.set(errno);
    }

    /// Calls so far.
    pub(in crate::tests) fn calls(&self) -> usize {
        self.calls.get()
    }

    /// To be asked at each call.
    pub(super) fn strike(&self) -> io::Result<()> {
        self.calls.set(self.calls.get() + 1);
        let scripted = self.script.borrow_mut().pop_front();
        match scripted.unwrap_or(self.lasting.get()) {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(()),
        }
    }

    /// Whether the next call would fail in a way that the kernel announces by readiness.
    pub(super) fn is_pending(&self) -> bool {
        let next = self.script.borrow().front().copied().unwrap_or(self.lasting.get());
        next.is_some_and(|errno| errno != libc::EAGAIN)
    }

    /// Whether all calls fail until the test ends that.
    pub(super) fn blocks(&self) -> bool {
        self.script.borrow().is_empty() && self.lasting.get() == Some(libc::EAGAIN)
    }
}
