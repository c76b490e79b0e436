//! Changes of tunnels, and notices of changes in the network.

use napi::Status;
use napi::bindgen_prelude::Result;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use ttun_core::{Change, NetworkWatch, watch_network};

/// A change that a tunnel has noticed. What does not apply to its kind is absent.
#[napi(object, object_from_js = false)]
#[derive(Clone)]
pub struct BindingChange {
    /// When the tunnel noticed it, in ms since the epoch.
    pub at: f64,
    /// Its kind: `source-changed`.
    pub kind: &'static str,
    /// How important it is.
    pub level: &'static str,
    /// One sentence, without a full stop.
    pub message: String,
    /// The new local address.
    pub local: Option<String>,
    /// The address of the peer after the change.
    pub remote: Option<String>,
    /// The previous value: an address, the name of a device, or an MTU.
    pub previous: Option<String>,
    /// The name of the device or interface.
    pub device: Option<String>,
    /// How long the peer was silent, ms.
    pub silent_ms: Option<f64>,
}

impl From<Change> for BindingChange {
    fn from(change: Change) -> Self {
        let Change { at, kind, level, message, local, remote, previous, device, silent_ms } = change;
        let text = |address: Option<std::net::SocketAddr>| address.map(|address| address.to_string());
        Self {
            at,
            kind: kind.name(),
            level: level.name(),
            message,
            local: text(local),
            remote: text(remote),
            previous,
            device,
            silent_ms,
        }
    }
}

/// Weak: a watch alone does not keep the process alive.
type NetworkFunction = ThreadsafeFunction<(), (), (), Status, false, true>;

/// Calls a function after changes in the network, until it is stopped or garbage-collected.
#[napi]
pub struct BindingNetworkWatch {
    watch: Option<NetworkWatch>,
}

#[napi]
impl BindingNetworkWatch {
    /// Stops watching.
    #[napi(catch_unwind)]
    pub fn stop(&mut self) {
        self.watch = None;
    }
}

/// Calls `onChange` when interfaces, addresses, routes or rules of this network namespace have changed: within 50 ms, but at most four
/// times a second; and once at the start.
#[napi(catch_unwind)]
pub fn watch_network_changes(
    #[napi(ts_arg_type = "() => void")] on_change: NetworkFunction,
) -> Result<BindingNetworkWatch> {
    let watch = watch_network(move || {
        on_change.call((), ThreadsafeFunctionCallMode::NonBlocking);
    })?;
    Ok(BindingNetworkWatch { watch: Some(watch) })
}
