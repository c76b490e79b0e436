//! The wish that a tunnel end, seen by its pumps wherever they wait.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A flag that can be waited for. Once raised it stays so.
#[derive(Default)]
pub(crate) struct Shutdown {
    requested: AtomicBool,
    changed: Notify,
}

impl Shutdown {
    pub(crate) fn request(&self) {
        self.requested.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Resolves once [`Self::request`] was called, before or after.
    pub(crate) async fn requested(&self) {
        let changed = self.changed.notified();
        // `notified` sees every call of `notify_waiters` from its creation on, so none is missed here.
        if !self.is_requested() {
            changed.await;
        }
    }
}
