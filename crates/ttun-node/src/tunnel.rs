//! The handle of a running tunnel.

use std::sync::Arc;

use napi::Status;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use ttun_core::{Tunnel, Watch};

use crate::error::BindingError;
use crate::open::address;
use crate::stats::BindingTunnelStats;
use crate::watch::{BindingWatchOptions, BindingWatched};

/// A running tunnel. Garbage collection closes it.
#[napi]
pub struct BindingTunnel {
    tunnel: Arc<Tunnel>,
}

/// Somebody watches packets pass. Garbage collection ends it.
#[napi]
pub struct BindingWatch {
    watch: Option<Watch>,
}

/// Weak: watching alone does not keep the process alive. One call in the queue is enough to wake the watcher.
type WakeFunction = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

#[napi]
impl BindingTunnel {
    pub(crate) fn new(tunnel: Arc<Tunnel>) -> Self {
        Self { tunnel }
    }

    /// Everything the tunnel counts and knows about itself, now; still answers after the end.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn stats(&self) -> BindingTunnelStats {
        (&self.tunnel.stats()).into()
    }

    /// Wishes the tunnel to end; `onEnd` is called when it has.
    #[napi(catch_unwind)]
    pub fn request_close(&self) {
        self.tunnel.request_close();
    }

    /// Makes `remote`, a numeric address and port of the same family, the peer from now on.
    #[napi(catch_unwind)]
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "napi hands over strings as values")]
    pub fn set_remote(&self, remote: String) -> Option<BindingError> {
        let set = |remote| self.tunnel.set_remote(remote).map_err(|error| BindingError::from(&error));
        address(&remote).and_then(set).err()
    }

    /// Starts to copy passing packets; `wake` is called when there is something to take.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn watch(
        &self,
        options: BindingWatchOptions,
        #[napi(ts_arg_type = "() => void")] wake: WakeFunction,
    ) -> BindingWatch {
        let wake = move || {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        };
        BindingWatch { watch: Some(self.tunnel.watch(options.into(), wake)) }
    }
}

#[napi]
impl BindingWatch {
    /// What was copied since the last time; nothing after `end`.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn take(&self) -> BindingWatched {
        self.watch.as_ref().map(Watch::take).unwrap_or_default().into()
    }

    /// Ends watching.
    #[napi(catch_unwind)]
    pub fn end(&mut self) {
        self.watch = None;
    }
}

impl Drop for BindingTunnel {
    fn drop(&mut self) {
        self.tunnel.request_close();
    }
}
