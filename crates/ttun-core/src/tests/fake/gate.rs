//! Waiting for something that a test, or the other pump, will bring about.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Where one pump waits.
#[derive(Default)]
pub(super) struct Gate(RefCell<Option<Waker>>);

impl Gate {
    /// Resolves once `is_open`, and never at once: a kernel that says "try again" and "ready" in turn must
    /// not keep the thread from everything else.
    pub(super) async fn wait(&self, is_open: impl Fn() -> bool) {
        tokio::task::yield_now().await;
        poll_fn(|context| {
            if is_open() {
                return Poll::Ready(());
            }
            self.0.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// To be called after each change that may open it.
    pub(super) fn changed(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }

    /// Whether a pump waits and nothing has changed since.
    pub(super) fn is_parked(&self) -> bool {
        self.0.borrow().is_some()
    }
}
