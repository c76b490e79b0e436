//! The interfaces, routes and UDP offloads of this host, which Node cannot inspect: it has neither netlink nor socket options by
//! number.

use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Object, Result};
use napi_derive::napi;
use ttun_core::{Arrival, Error, arrivals, probe_udp_offload};
use ttun_link::{Interface, LinkKind, Route, RouteQuery, describe, interfaces, networks_into, route_to};

use crate::options::ip_address;
use crate::stats::number;
use crate::tunnel::off_thread;

/// An interface of this network namespace.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingInterface {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// A TUN device (IP packets), a TAP device (Ethernet frames), or not of the TUN driver.
    #[napi(ts_type = "'tun' | 'tap' | 'other'")]
    pub kind: &'static str,
    /// Whether it has several queues.
    pub multi_queue: bool,
    /// ID of the user who may attach to it.
    pub owner: Option<u32>,
    /// ID of the group whose members may attach to it.
    pub group: Option<u32>,
    /// The longest packet it can carry, bytes.
    pub mtu: u32,
    /// Whether it was brought up.
    pub up: bool,
    /// Whether it is up and a program is attached to it.
    pub carrier: bool,
    /// Its addresses, as `address/prefix length`.
    pub addresses: Vec<String>,
    /// Packets from the attached program that the kernel dropped.
    pub rx_dropped: f64,
    /// Packets for which its queue had no room.
    pub tx_dropped: f64,
}

/// The interface called `name`; null when there is none.
#[napi(catch_unwind)]
#[allow(clippy::needless_pass_by_value, reason = "napi passes strings as values")]
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

/// The networks that are routed into the interface with this index, as `address/prefix length`.
#[napi(catch_unwind)]
pub fn inspect_networks(index: u32) -> Result<Vec<String>> {
    Ok(networks_into(index)?.iter().map(|(ip, len)| format!("{ip}/{len}")).collect())
}

/// The properties that determine the route of a packet.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct BindingRouteQuery {
    /// Its destination: the bytes of the address.
    pub remote: Vec<u8>,
    /// Its source; null for a socket that is not bound to an address.
    pub local: Option<Vec<u8>>,
    /// Index of the interface that the socket is bound to.
    pub bind_device: Option<u32>,
    /// Mark of the socket's packets.
    pub fwmark: Option<u32>,
}

/// The route of a packet.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BindingRoute {
    /// Index of the outgoing interface.
    pub index: u32,
    /// Name of that interface.
    pub device: String,
    /// Whether the destination is this host itself.
    pub local: bool,
    /// The next router; null when the destination is reached directly.
    pub gateway: Option<String>,
    /// The source address that the kernel chooses.
    pub source: Option<String>,
    /// The longest packet that this route can carry, bytes.
    pub mtu: u32,
}

/// Looks up the route that a packet would take; null when there is none.
#[napi(catch_unwind)]
#[allow(clippy::needless_pass_by_value, reason = "napi passes objects as values")]
pub fn inspect_route(query: BindingRouteQuery) -> Result<Option<BindingRoute>> {
    let address = |bytes: &[u8]| ip_address(bytes).map_err(|error| napi::Error::from_reason(error.message()));
    let query = RouteQuery {
        destination: address(&query.remote)?,
        source: query.local.as_deref().map(address).transpose()?,
        bind_device: query.bind_device,
        mark: query.fwmark,
    };
    Ok(route_to(&query).ok().map(BindingRoute::from))
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

/// Datagrams that arrived at this host.
#[napi(object, object_from_js = false)]
pub struct BindingArrival {
    /// Address of the sender.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The port of this host to which they were sent.
    pub local_port: u16,
    /// How many.
    pub count: f64,
}

/// Listens for `ms` milliseconds to all UDP datagrams of a family that arrive at this host. Resolves to null if this user may not.
#[napi(catch_unwind, ts_return_type = "Promise<Array<BindingArrival> | null>")]
pub fn listen_for_arrivals(env: &Env, ipv6: bool, ms: u32) -> Result<Object<'_>> {
    let listen = move || {
        arrivals(ipv6, Duration::from_millis(ms.into()))
            .map_err(|cause| Error::system("socket", &cause, "listening to datagrams"))
    };
    off_thread(env, listen, |heard| {
        heard.ok().map(|heard| heard.into_iter().map(BindingArrival::from).collect::<Vec<_>>())
    })
}

impl From<(Arrival, u64)> for BindingArrival {
    fn from((Arrival { from, port }, count): (Arrival, u64)) -> Self {
        Self { address: from.ip().to_string(), port: from.port(), local_port: port, count: number(count) }
    }
}

/// Features of the kernel's UDP sockets.
#[napi(object, object_from_js = false)]
pub struct BindingUdpOffload {
    /// One send can carry many datagrams (`UDP_SEGMENT`).
    pub segment: bool,
    /// One receive can bring many datagrams (`UDP_GRO`).
    pub receive: bool,
}

/// Queries the kernel through a temporary socket.
#[napi(catch_unwind)]
pub fn probe_udp() -> Result<BindingUdpOffload> {
    let offload = probe_udp_offload()?;
    Ok(BindingUdpOffload { segment: offload.segment, receive: offload.receive })
}
