//! Waiting for something that a test, or the other pump, will bring about.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Where one pump waits.
#[derive(Default)]
pub(super) struct Gate {
    waiting: RefCell<Option<Waker>>,
    /// Whether the pump was woken and has not looked yet.
    woken: Cell<bool>,
}

/// A pump may give up waiting, for another gate.
struct Leave<'g>(&'g Gate);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.waiting.take();
        self.0.woken.set(false);
    }
}

impl Gate {
    /// Resolves once `is_open`, and never at once: a kernel that says "try again" and "ready" in turn must
    /// not keep the thread from everything else.
    pub(super) async fn wait(&self, is_open: impl Fn() -> bool) {
        tokio::task::yield_now().await;
        let _leave = Leave(self);
        poll_fn(|context| {
            self.woken.set(false);
            if is_open() {
                return Poll::Ready(());
            }
            self.waiting.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// To be called after each change that may open it.
    pub(super) fn changed(&self) {
        if let Some(waker) = self.waiting.take() {
            self.woken.set(true);
            waker.wake();
        }
    }

    /// Whether a pump waits and nothing has changed since.
    pub(super) fn is_parked(&self) -> bool {
        self.waiting.borrow().is_some()
    }

    /// Whether a pump is about to look whether it is open.
    pub(super) fn is_woken(&self) -> bool {
        self.woken.get()
    }
}
