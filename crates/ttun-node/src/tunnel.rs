//! Opening a tunnel, and the handles of a running tunnel and of a packet tap.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::UNIX_EPOCH;

use napi::Status;
use napi::bindgen_prelude::{Buffer, Env, Object, Result, ToNapiValue};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use ttun_core::{Advice, Direction, Endpoint, Error, PacketTap, TapOptions, Tapped, Tunnel, TunnelStats};

use crate::changes::BindingChange;
use crate::options::{BindingEndpoint, BindingTunnelOptions, bits_per_second};
use crate::stats::{self, BindingDescription, number};
use crate::{BindingEnd, BindingError, Registry};

/// A running tunnel. Garbage collection closes it.
#[napi]
pub struct BindingTunnel {
    pub(crate) tunnel: Arc<Tunnel>,
    /// As they were read last.
    stats: TunnelStats,
}

/// A tunnel, or why there is none.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingOpenResult {
    /// Why the tunnel could not be opened.
    pub error: Option<BindingError>,
    /// The running tunnel.
    pub tunnel: Option<BindingTunnel>,
}

/// The settings of a device that were applied again.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingReconcileResult {
    /// In words, such as `route 10.9.0.0/16`.
    pub restored: Vec<String>,
    /// Why some could not be applied.
    pub error: Option<BindingError>,
}

/// Weak: a running tunnel alone does not keep the process alive. It is called once.
type EndFunction = ThreadsafeFunction<BindingEnd, (), BindingEnd, Status, false, true, 1>;

/// Weak. It is called for each change, all of which are rare.
type ChangeFunction = ThreadsafeFunction<BindingChange, (), BindingChange, Status, false, true>;

/// Opens a tunnel; `onEnd` is called once when it has ended, for any reason, and `onChange` for each change that it notices.
#[napi(catch_unwind, ts_return_type = "Promise<BindingOpenResult>")]
pub fn open_tunnel(
    env: &Env,
    options: BindingTunnelOptions,
    #[napi(ts_arg_type = "(end: BindingEnd) => void")] on_end: EndFunction,
    #[napi(ts_arg_type = "(change: BindingChange) => void")] on_change: ChangeFunction,
) -> Result<Object<'_>> {
    let registry = Registry::of(*env)?;
    let open = move || {
        let tunnel = Arc::new(Tunnel::open(&options.try_into()?)?);
        registry.keep(&tunnel);
        tunnel.on_change(move |change| {
            on_change.call(change.clone().into(), ThreadsafeFunctionCallMode::NonBlocking);
        });
        tunnel.on_end(move |end| {
            on_end.call(end.clone().into(), ThreadsafeFunctionCallMode::NonBlocking);
        });
        Ok(BindingTunnel { stats: tunnel.stats(), tunnel })
    };
    off_thread(env, open, |opened| match opened {
        Ok(tunnel) => BindingOpenResult { error: None, tunnel: Some(tunnel) },
        Err(error) => BindingOpenResult { error: Some(error.into()), tunnel: None },
    })
}

/// Runs `work` on its own thread and resolves the promise with its result, converted by `convert`.
///
/// Not on a thread of Node's pool, which name lookups may keep busy for half a minute.
pub(crate) fn off_thread<T, R>(
    env: &Env,
    work: impl FnOnce() -> std::result::Result<T, Error> + Send + 'static,
    convert: fn(std::result::Result<T, Error>) -> R,
) -> Result<Object<'_>>
where
    T: Send + 'static,
    R: ToNapiValue + 'static,
{
    let (deferred, promise) = env.create_deferred()?;
    let resolve = move |done| deferred.resolve(move |_| Ok(convert(done)));
    // Called by the thread, or here if no thread can be started.
    let resolve = Arc::new(Mutex::new(Some(resolve)));
    let take = |resolve: &Mutex<Option<_>>| resolve.lock().unwrap_or_else(PoisonError::into_inner).take();
    let for_thread = Arc::clone(&resolve);
    let started = thread::Builder::new().name("ttun-open".to_owned()).spawn(move || {
        if let Some(resolve) = take(&for_thread) {
            resolve(work());
        }
    });
    if let Err(cause) = started
        && let Some(resolve) = take(&resolve)
    {
        resolve(Err(Error::system("clone", &cause, "starting a thread")));
    }
    Ok(promise)
}

/// Typed arrays of JavaScript; napi's macro would treat a plain `&mut` as a native object.
type Numbers<'a> = &'a mut [f64];
type Integers<'a> = &'a mut [u64];

#[napi]
impl BindingTunnel {
    /// Fills the buffer, in the layout of `statsLayout`, with the current statistics; after the end, with the last ones.
    /// Returns whether the description has changed since they were read last.
    #[napi(catch_unwind)]
    pub fn read_stats(&mut self, #[napi(ts_arg_type = "Float64Array")] buffer: Numbers<'_>) -> bool {
        let stats = self.tunnel.stats();
        stats::write_numbers(&stats, buffer);
        self.note(stats)
    }

    /// The same with counts as integers; gauges are in it as the bits of their numbers.
    #[napi(catch_unwind)]
    pub fn read_exact_stats(&mut self, #[napi(ts_arg_type = "BigUint64Array")] buffer: Integers<'_>) -> bool {
        let stats = self.tunnel.stats();
        stats::write_exact(&stats, buffer);
        self.note(stats)
    }

    /// The statistics that are not in the buffer, as of when it was filled last, or of when the tunnel was opened.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn describe(&self) -> BindingDescription {
        (&self.stats).into()
    }

    /// The device and both ends of the tunnel, in one line.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn attached(&self) -> String {
        self.tunnel.stats().attached()
    }

    /// How to make the tunnel faster; null if there is nothing to improve.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn advice(&self) -> Option<BindingAdvice> {
        self.tunnel.advice().map(|Advice { text, command }| BindingAdvice { text, command })
    }

    /// A summary of the tunnel's traffic and drops, line by line.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        self.tunnel.stats().summary()
    }

    /// The current state, as in the statistics.
    #[napi(catch_unwind, ts_return_type = "'up' | 'waiting' | 'idle' | 'closed'")]
    #[must_use]
    pub fn state(&self) -> &'static str {
        self.tunnel.state().name()
    }

    /// Changes the rate to which datagrams are paced, bits per second; null: as fast as the socket accepts. Returns an error if the rate
    /// is impossible.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn set_rate(&self, rate: Option<f64>) -> Option<BindingError> {
        self.tunnel.set_rate(rate.map(bits_per_second)).err().map(BindingError::from)
    }

    /// Restores settings that the device has lost. Resolves to those settings, in words, and the reason why others could not be
    /// restored.
    #[napi(catch_unwind, ts_return_type = "Promise<BindingReconcileResult>")]
    pub fn reconcile<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let tunnel = Arc::clone(&self.tunnel);
        off_thread(
            env,
            move || tunnel.reconcile(),
            |result| match result {
                Ok(restored) => BindingReconcileResult { restored, error: None },
                Err(error) => BindingReconcileResult { restored: Vec::new(), error: Some(error.into()) },
            },
        )
    }

    /// The problem of the running tunnel, for example that its device is gone; null when there is none.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn problem(&self) -> Option<BindingError> {
        self.tunnel.problem().map(BindingError::from)
    }

    /// The probable reason why the peer does not answer, in a sentence with what to check.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn diagnosis(&self) -> Option<String> {
        self.tunnel.diagnosis()
    }

    /// The last 50 changes, the oldest first.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn history(&self) -> Vec<BindingChange> {
        self.tunnel.history().into_iter().map(BindingChange::from).collect()
    }

    /// Requests shutdown; `onEnd` is called when it is done.
    #[napi(catch_unwind)]
    pub fn request_close(&self) {
        self.tunnel.request_close();
    }

    /// Makes `remote` the peer from now on; it may be of the other address family if the local address is left open. Resolves to an error
    /// if that is not possible; the tunnel then keeps its peer.
    #[napi(catch_unwind, ts_return_type = "Promise<BindingError | null>")]
    pub fn set_remote<'e>(&self, env: &'e Env, remote: BindingEndpoint) -> Result<Object<'e>> {
        let tunnel = Arc::clone(&self.tunnel);
        let set = move || tunnel.set_remote(Endpoint::try_from(remote)?);
        off_thread(env, set, |done| done.err().map(BindingError::from))
    }

    /// Starts to copy passing packets; `wake` is called when there are some to take. Several taps may be open at once.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn tap(
        &self,
        options: BindingTapOptions,
        #[napi(ts_arg_type = "() => void")] wake: WakeFunction,
    ) -> BindingTapResult {
        let wake = move || {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        };
        match self.tunnel.tap(options.into(), wake) {
            Ok(tap) => BindingTapResult { error: None, tap: Some(BindingTap { tap: Some(tap) }) },
            Err(error) => BindingTapResult { error: Some(error.into()), tap: None },
        }
    }

    /// Keeps the statistics that were read; returns whether the description changed.
    fn note(&mut self, stats: TunnelStats) -> bool {
        let changed = stats::described(&self.stats) != stats::described(&stats);
        self.stats = stats;
        changed
    }
}

impl Drop for BindingTunnel {
    fn drop(&mut self) {
        self.tunnel.request_close();
    }
}

/// Advice about a setting that makes the tunnel slower than necessary.
#[napi(object, object_from_js = false)]
pub struct BindingAdvice {
    /// The problem; shown before a colon and the command.
    pub text: String,
    /// The command to type.
    pub command: String,
}

/// A packet tap. Garbage collection ends it.
#[napi]
pub struct BindingTap {
    tap: Option<PacketTap>,
}

/// A packet tap, or why there is none.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingTapResult {
    /// Why the tunnel cannot be tapped.
    pub error: Option<BindingError>,
    /// The tap.
    pub tap: Option<BindingTap>,
}

/// Weak: a tap alone does not keep the process alive. One queued call is enough to wake its reader.
type WakeFunction = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

#[napi]
impl BindingTap {
    /// The packets copied since the last call; none after `end`.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn take(&self) -> BindingTapped {
        self.tap.as_ref().map(PacketTap::take).unwrap_or_default().into()
    }

    /// Ends the tap.
    #[napi(catch_unwind)]
    pub fn end(&mut self) {
        self.tap = None;
    }
}

/// How much of the traffic to copy.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct BindingTapOptions {
    /// Bytes kept of each packet.
    pub snap_length: u32,
    /// Packets kept until they are taken.
    pub capacity: u32,
    /// The most packets copied in any one second; null copies all.
    pub packets_per_second: Option<u32>,
    /// True copies only packets from the device, false only those from the network; null both.
    pub outbound: Option<bool>,
}

impl From<BindingTapOptions> for TapOptions {
    fn from(options: BindingTapOptions) -> Self {
        let direction = |outbound| if outbound { Direction::Outbound } else { Direction::Inbound };
        Self {
            snap_length: options.snap_length as usize,
            capacity: options.capacity as usize,
            packets_per_second: options.packets_per_second,
            direction: options.outbound.map(direction),
        }
    }
}

/// The packets copied since the last call.
#[napi(object, object_from_js = false)]
pub struct BindingTapped {
    /// The packets, oldest first.
    pub packets: Vec<BindingPacket>,
    /// How many passed without being copied.
    pub left_out: f64,
}

/// The beginning of a packet.
#[napi(object, object_from_js = false)]
pub struct BindingPacket {
    /// True from the device to the peer, false the other way.
    pub outbound: bool,
    /// When it passed, ms since the epoch, with fraction.
    pub at: f64,
    /// Length of the whole packet, bytes.
    pub length: u32,
    /// Its first bytes.
    pub data: Buffer,
}

impl From<Tapped> for BindingTapped {
    fn from(tapped: Tapped) -> Self {
        let packets = tapped.packets.into_iter().map(|packet| BindingPacket {
            outbound: packet.direction == Direction::Outbound,
            at: packet.at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1e3),
            length: packet.len as u32,
            data: packet.data.into(),
        });
        Self { packets: packets.collect(), left_out: number(tapped.left_out) }
    }
}
