//! The handle of a running tunnel.

use std::sync::Arc;

use napi::Status;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use ttun_core::{PacketTap, Tunnel, TunnelStats};

use crate::description::{BindingDescription, Description};
use crate::error::BindingError;
use crate::open::address;
use crate::stats;
use crate::watch::{BindingWatchOptions, BindingWatched};

/// A running tunnel. Garbage collection closes it.
#[napi]
pub struct BindingTunnel {
    tunnel: Arc<Tunnel>,
    /// As it was when the figures were read last.
    description: Description,
}

/// Somebody watches packets pass. Garbage collection ends it.
#[napi]
pub struct BindingWatch {
    watch: Option<PacketTap>,
}

/// Typed arrays of JavaScript; napi's macro takes a plain `&mut` for an object of its own.
type Numbers<'a> = &'a mut [f64];
type Integers<'a> = &'a mut [u64];

/// A watch, or why there is none.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingWatchResult {
    /// Why the tunnel can't be watched.
    pub error: Option<BindingError>,
    /// Where packets are taken.
    pub watch: Option<BindingWatch>,
}

/// Weak: watching alone does not keep the process alive. One call in the queue is enough to wake the watcher.
type WakeFunction = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

#[napi]
impl BindingTunnel {
    pub(crate) fn new(tunnel: Arc<Tunnel>) -> Self {
        let description = (&tunnel.stats()).into();
        Self { tunnel, description }
    }

    /// Fills the buffer, laid out as `statsLayout` says, with the figures of this instant; still answers after
    /// the end. Returns whether the description has changed since they were read last.
    #[napi(catch_unwind)]
    pub fn read_stats(&mut self, #[napi(ts_arg_type = "Float64Array")] buffer: Numbers<'_>) -> bool {
        let stats = self.tunnel.stats();
        stats::write_numbers(&stats, buffer);
        self.note_description(&stats)
    }

    /// The same with what is counted as integers; measures stand in it as the bits of their numbers.
    #[napi(catch_unwind)]
    pub fn read_exact_stats(&mut self, #[napi(ts_arg_type = "BigUint64Array")] buffer: Integers<'_>) -> bool {
        let stats = self.tunnel.stats();
        stats::write_exact(&stats, buffer);
        self.note_description(&stats)
    }

    /// What the tunnel told of itself besides numbers when its figures were read last, or when it was opened.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn describe(&self) -> BindingDescription {
        (&self.description).into()
    }

    /// Whether anybody answers.
    #[napi(catch_unwind, ts_return_type = "'up' | 'waiting' | 'closed'")]
    #[must_use]
    pub fn state(&self) -> &'static str {
        self.tunnel.state().name()
    }

    /// What keeps the running tunnel from working as it should: its device is gone, and why it can't be attached to again.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn problem(&self) -> Option<BindingError> {
        self.tunnel.problem().map(BindingError::from)
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
        address(&remote).and_then(|remote| self.tunnel.set_remote(remote)).err().map(BindingError::from)
    }

    /// Starts to copy passing packets, beside who watches already; `wake` is called when there is something to take.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn watch(
        &self,
        options: BindingWatchOptions,
        #[napi(ts_arg_type = "() => void")] wake: WakeFunction,
    ) -> BindingWatchResult {
        let wake = move || {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        };
        match self.tunnel.tap(options.into(), wake) {
            Ok(watch) => BindingWatchResult { error: None, watch: Some(BindingWatch { watch: Some(watch) }) },
            Err(error) => BindingWatchResult { error: Some(error.into()), watch: None },
        }
    }
}

#[napi]
impl BindingWatch {
    /// What was copied since the last time; nothing after `end`.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn take(&self) -> BindingWatched {
        self.watch.as_ref().map(PacketTap::take).unwrap_or_default().into()
    }

    /// Ends watching.
    #[napi(catch_unwind)]
    pub fn end(&mut self) {
        self.watch = None;
    }
}

impl BindingTunnel {
    fn note_description(&mut self, stats: &TunnelStats) -> bool {
        let description = stats.into();
        let changed = self.description != description;
        self.description = description;
        changed
    }
}

impl Drop for BindingTunnel {
    fn drop(&mut self) {
        self.tunnel.request_close();
    }
}
