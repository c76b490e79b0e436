//! Opening a tunnel without holding up JavaScript.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use napi::Status;
use napi::bindgen_prelude::{Env, Object, Result, ToNapiValue};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use ttun_core::{Error, ErrorKind, InterfaceOptions, MtuChoice, Offload, Tunnel, TunnelOptions};

use crate::error::{BindingEnd, BindingError};
use crate::process::{group_id, user_id};
use crate::registry::Registry;
use crate::tunnel::BindingTunnel;

/// What a tunnel is made of; every value is finished and checked by the TypeScript layer.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct BindingTunnelOptions {
    /// Name of an existing TUN device.
    pub device: String,
    /// Numeric address and port: `192.0.2.1:8000` or `[2001:db8::1]:8000`.
    pub local: String,
    /// The same, of the peer.
    pub remote: String,
    /// Inner source addresses accepted from the peer, as `address/prefix length`; null accepts all.
    pub allowed_sources: Option<Vec<String>>,
    /// Whether to lower the MSS of passing TCP SYNs to what fits the route.
    pub clamp_mss: bool,
    /// What may be used at most of the kernel's offloads.
    pub offload: BindingOffload,
    /// Interface that the socket is bound to.
    pub bind_device: Option<String>,
    /// Mark of the socket's datagrams.
    pub fwmark: Option<u32>,
    /// Whether to wait for a deleted device to come back.
    pub reattach: bool,
    /// What to set up of the device; null uses it as it is.
    pub interface: Option<BindingInterfaceOptions>,
}

/// What to set up of the device.
#[napi(object, object_to_js = false, use_nullable = true)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each named")]
pub struct BindingInterfaceOptions {
    /// Make the device if it is not there.
    pub create: bool,
    /// Leave it, as it was set up, when the tunnel ends.
    pub persist: bool,
    /// User who may attach to a device that is made, by name or number.
    pub owner: Option<String>,
    /// Group that may attach to a device that is made, by name or number.
    pub group: Option<String>,
    /// Make the device for several queues.
    pub multi_queue: bool,
    /// Addresses to give it, as `address/prefix length`.
    pub addresses: Vec<String>,
    /// Networks to route into it, as `address/prefix length`.
    pub routes: Vec<String>,
    /// Its MTU, bytes; null leaves it, unless `mtuAuto` is set.
    pub mtu: Option<u32>,
    /// Choose the MTU by the route to the peer.
    pub mtu_auto: bool,
    /// Bring it up or down; null: up if it was made here, otherwise left as it is.
    pub up: Option<bool>,
}

/// What may be used at most of the kernel's offloads.
#[napi(object, object_to_js = false)]
#[expect(clippy::struct_excessive_bools, reason = "six independent switches, each named")]
pub struct BindingOffload {
    /// A virtio-net header on each packet of the device.
    pub virtio_header: bool,
    /// The device leaves checksums to this program.
    pub checksum: bool,
    /// TCP super-packets at the device.
    pub tso: bool,
    /// UDP super-packets at the device.
    pub uso: bool,
    /// Many datagrams by one send (`UDP_SEGMENT`).
    pub segment: bool,
    /// Many datagrams by one receive (`UDP_GRO`).
    pub receive: bool,
}

/// A tunnel, or why there is none.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingOpenResult {
    /// Why the tunnel could not be opened.
    pub error: Option<BindingError>,
    /// The running tunnel.
    pub tunnel: Option<BindingTunnel>,
}

impl From<std::result::Result<BindingTunnel, Error>> for BindingOpenResult {
    fn from(opened: std::result::Result<BindingTunnel, Error>) -> Self {
        match opened {
            Ok(tunnel) => Self { error: None, tunnel: Some(tunnel) },
            Err(error) => Self { error: Some(error.into()), tunnel: None },
        }
    }
}

/// Weak: a running tunnel alone does not keep the process alive. One end is all that is ever told.
type EndFunction = ThreadsafeFunction<BindingEnd, (), BindingEnd, Status, false, true, 1>;

/// Opens a tunnel; `onEnd` is called once when it ends, whatever ends it.
#[napi(catch_unwind, ts_return_type = "Promise<BindingOpenResult>")]
pub fn open_tunnel(
    env: &Env,
    options: BindingTunnelOptions,
    #[napi(ts_arg_type = "(end: BindingEnd) => void")] on_end: EndFunction,
) -> Result<Object<'_>> {
    let registry = Registry::of(*env)?;
    off_thread::<_, BindingOpenResult>(env, move || open(&options, on_end, &registry))
}

fn open(
    options: &BindingTunnelOptions,
    on_end: EndFunction,
    registry: &Registry,
) -> std::result::Result<BindingTunnel, Error> {
    let tunnel = Arc::new(Tunnel::open(&finished(options)?)?);
    registry.keep(&tunnel);
    tunnel.on_end(move |end| {
        on_end.call(end.clone().into(), ThreadsafeFunctionCallMode::NonBlocking);
    });
    Ok(BindingTunnel::new(tunnel))
}

/// Runs `work` on a thread of its own and resolves the promise with its result.
///
/// Not on a thread of Node's pool: name lookups may keep all of those busy for half a minute.
fn off_thread<T, R>(
    env: &Env,
    work: impl FnOnce() -> std::result::Result<T, Error> + Send + 'static,
) -> Result<Object<'_>>
where
    T: Send + 'static,
    R: From<std::result::Result<T, Error>> + ToNapiValue + 'static,
{
    let (deferred, promise) = env.create_deferred()?;
    // Resolved by the thread, or here if there can be none.
    let resolve = move |done: std::result::Result<T, Error>| deferred.resolve(move |_| Ok(R::from(done)));
    let resolve = Arc::new(Mutex::new(Some(resolve)));
    let take = |resolve: &Mutex<Option<_>>| resolve.lock().unwrap_or_else(PoisonError::into_inner).take();
    let theirs = Arc::clone(&resolve);
    let spawned = thread::Builder::new().name("ttun-open".to_owned()).spawn(move || {
        if let Some(resolve) = take(&theirs) {
            resolve(work());
        }
    });
    if let Err(cause) = spawned
        && let Some(resolve) = take(&resolve)
    {
        resolve(Err(Error::system("clone", &cause, "starting a thread")));
    }
    Ok(promise)
}

fn finished(options: &BindingTunnelOptions) -> std::result::Result<TunnelOptions, Error> {
    let allowed_sources = options.allowed_sources.as_deref().map(prefixes).transpose()?;
    let interface = options.interface.as_ref().map(interface).transpose()?;
    let BindingOffload { virtio_header, checksum, tso, uso, segment, receive } = options.offload;
    Ok(TunnelOptions {
        device: options.device.clone(),
        local: address(&options.local)?,
        remote: address(&options.remote)?,
        allowed_sources,
        clamp_mss: options.clamp_mss,
        offload: Offload { virtio_header, checksum, tso, uso, segment, receive },
        bind_device: options.bind_device.clone(),
        fwmark: options.fwmark,
        reattach: options.reattach,
        interface,
    })
}

fn interface(options: &BindingInterfaceOptions) -> std::result::Result<InterfaceOptions, Error> {
    Ok(InterfaceOptions {
        create: options.create,
        persist: options.persist,
        owner: options.owner.as_deref().map(user_id).transpose()?,
        group: options.group.as_deref().map(group_id).transpose()?,
        multi_queue: options.multi_queue,
        addresses: prefixes(&options.addresses)?,
        routes: prefixes(&options.routes)?,
        mtu: match options.mtu {
            _ if options.mtu_auto => MtuChoice::Auto,
            Some(bytes) => MtuChoice::Bytes(bytes),
            None => MtuChoice::Unchanged,
        },
        up: options.up,
    })
}

pub(crate) fn address(text: &str) -> std::result::Result<SocketAddr, Error> {
    text.parse().map_err(|_| {
        let message = format!("\"{}\" is not a numeric address and port", text.escape_debug());
        Error::new(ErrorKind::InvalidOptions, message).with_hint("write 192.0.2.1:8000 or [2001:db8::1]:8000")
    })
}

fn prefixes(texts: &[String]) -> std::result::Result<Vec<(IpAddr, u8)>, Error> {
    texts.iter().map(|text| prefix(text)).collect()
}

fn prefix(text: &str) -> std::result::Result<(IpAddr, u8), Error> {
    let parts = text.split_once('/').and_then(|(ip, len)| Some((ip.parse().ok()?, len.parse().ok()?)));
    parts.ok_or_else(|| {
        let message = format!("\"{}\" is not an address with a prefix length", text.escape_debug());
        Error::new(ErrorKind::InvalidOptions, message).with_hint("write 10.0.2.0/24 or fd00:2::/64")
    })
}
