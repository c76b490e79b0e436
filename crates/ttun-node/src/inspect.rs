//! Questions about this host's interfaces, routes and kernel, for which Node has no means: it has no netlink,
//! and no socket options by number.

use std::net::IpAddr;

use napi::bindgen_prelude::Result;
use napi_derive::napi;
use ttun_core::{Error, ErrorKind, probe_udp_offload};
use ttun_link::{Interface, LinkKind, Route, RouteQuery, describe, interfaces, route_to};

use crate::error::BindingError;
use crate::stats::number;

/// An interface of this network namespace.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingInterface {
    /// The kernel's number of it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it carries: IP packets, Ethernet frames, or it is not of the TUN driver.
    #[napi(ts_type = "'tun' | 'tap' | 'other'")]
    pub kind: &'static str,
    /// Whether it was made for several queues.
    pub multi_queue: bool,
    /// Id of the user who may attach to it.
    pub owner: Option<u32>,
    /// Id of the group whose members may attach to it.
    pub group: Option<u32>,
    /// The longest packet it takes, bytes.
    pub mtu: u32,
    /// Whether it was brought up.
    pub up: bool,
    /// Whether it is up and a program is attached to it.
    pub carrier: bool,
    /// Its addresses, as `address/prefix length`.
    pub addresses: Vec<String>,
    /// Packets that the kernel did not take from the attached program.
    pub rx_dropped: f64,
    /// Packets for which its queue had no room.
    pub tx_dropped: f64,
}

/// The interface called `name`; null when there is none.
#[napi(catch_unwind)]
#[allow(clippy::needless_pass_by_value, reason = "napi hands over strings as values")]
pub fn inspect_device(name: String) -> Result<Option<BindingInterface>> {
    Ok(describe(&name)?.map(BindingInterface::from))
}

/// All interfaces of this network namespace.
#[napi(catch_unwind)]
pub fn inspect_devices() -> Result<Vec<BindingInterface>> {
    Ok(interfaces()?.into_iter().map(BindingInterface::from).collect())
}

impl From<Interface> for BindingInterface {
    fn from(interface: Interface) -> Self {
        let (kind, multi_queue, owner, group) = match interface.kind {
            LinkKind::Tun { multi_queue, owner, group } => ("tun", multi_queue, owner, group),
            LinkKind::Tap => ("tap", false, None, None),
            LinkKind::Other => ("other", false, None, None),
        };
        Self {
            index: interface.index,
            name: interface.name,
            kind,
            multi_queue,
            owner,
            group,
            mtu: interface.mtu,
            up: interface.up,
            carrier: interface.carrier,
            addresses: interface.addresses.iter().map(|(ip, len)| format!("{ip}/{len}")).collect(),
            rx_dropped: number(interface.rx_dropped),
            tx_dropped: number(interface.tx_dropped),
        }
    }
}

/// A packet, as far as it decides its way.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct BindingRouteQuery {
    /// Where it goes: a numeric address.
    pub remote: String,
    /// Where it comes from; null for a socket that is bound to no address.
    pub local: Option<String>,
    /// Number of the interface that the socket is bound to.
    pub bind_device: Option<u32>,
    /// Mark of the socket's packets.
    pub fwmark: Option<u32>,
}

/// The way of a packet.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingRoute {
    /// Number of the interface by which it leaves.
    pub index: u32,
    /// Name of that interface.
    pub device: String,
    /// Whether the destination is this host itself.
    pub local: bool,
    /// The next router; null when the destination is reached directly.
    pub gateway: Option<String>,
    /// The source address that the kernel chooses.
    pub source: Option<String>,
    /// The longest packet that takes this way, bytes.
    pub mtu: u32,
}

/// A way, or why there is none.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingRouteResult {
    /// Why there is none.
    pub error: Option<BindingError>,
    /// The way.
    pub route: Option<BindingRoute>,
}

/// Which way a packet would go.
#[napi(catch_unwind)]
#[must_use]
#[allow(clippy::needless_pass_by_value, reason = "napi hands over objects as values")]
pub fn inspect_route(query: BindingRouteQuery) -> BindingRouteResult {
    match way(&query) {
        Ok(route) => BindingRouteResult { error: None, route: Some(route.into()) },
        Err(error) => BindingRouteResult { error: Some(error.into()), route: None },
    }
}

fn way(query: &BindingRouteQuery) -> std::result::Result<Route, Error> {
    let query = RouteQuery {
        destination: address(&query.remote)?,
        source: query.local.as_deref().map(address).transpose()?,
        bind_device: query.bind_device,
        mark: query.fwmark,
    };
    route_to(&query).map_err(|cause| {
        Error::new(ErrorKind::NoRoute, format!("there is no route to {}: {cause}", query.destination))
            .with_hint(format!("look at: ip route get {}", query.destination))
            .caused_by("recvmsg", &cause)
    })
}

fn address(text: &str) -> std::result::Result<IpAddr, Error> {
    text.parse().map_err(|_| {
        let message = format!("\"{}\" is not a numeric address", text.escape_debug());
        Error::new(ErrorKind::InvalidOptions, message).with_hint("write 192.0.2.1 or 2001:db8::1")
    })
}

impl From<Route> for BindingRoute {
    fn from(route: Route) -> Self {
        Self {
            index: route.index,
            device: route.device,
            local: route.local,
            gateway: route.gateway.map(|ip| ip.to_string()),
            source: route.source.map(|ip| ip.to_string()),
            mtu: route.mtu,
        }
    }
}

/// What the kernel's UDP sockets can do.
#[napi(object, object_from_js = false)]
pub struct BindingUdpOffload {
    /// One send can carry many datagrams (`UDP_SEGMENT`).
    pub segment: bool,
    /// One receive can bring many datagrams (`UDP_GRO`).
    pub receive: bool,
}

/// Asks by a socket that is bound to nothing and closed again.
#[napi(catch_unwind)]
pub fn probe_udp() -> Result<BindingUdpOffload> {
    let offload = probe_udp_offload()?;
    Ok(BindingUdpOffload { segment: offload.segment, receive: offload.receive })
}
