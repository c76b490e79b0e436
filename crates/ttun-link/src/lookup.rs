//! Which way a packet would go.

use std::io;
use std::net::IpAddr;

use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::netlink::Netlink;
use crate::{link, route};

/// A packet, as far as it decides its way.
#[derive(Clone, Copy, Debug)]
pub struct RouteQuery {
    /// Where it goes.
    pub destination: IpAddr,
    /// Where it comes from; `None` for a socket that is bound to no address.
    pub source: Option<IpAddr>,
    /// Number of the interface that the socket is bound to.
    pub bind_device: Option<u32>,
    /// Mark of the socket's packets.
    pub mark: Option<u32>,
}

/// The way of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Number of the interface by which it leaves.
    pub index: u32,
    /// Name of that interface.
    pub device: String,
    /// Whether the destination is this host itself.
    pub local: bool,
    /// The next router; `None` when the destination is reached directly.
    pub gateway: Option<IpAddr>,
    /// The source address that the kernel chooses for a socket bound to none.
    pub source: Option<IpAddr>,
    /// The longest packet that takes this way, bytes: what the route or a router on the way says, or else the
    /// interface's MTU.
    pub mtu: u32,
}

/// Asks the kernel which way a packet would go.
///
/// # Errors
/// `ENETUNREACH` or another error of routing when there is no way, and `EINVAL` for a source that is no address
/// of this host.
pub fn route_to(query: &RouteQuery) -> io::Result<Route> {
    let netlink = Netlink::open()?;
    let RouteNetlinkMessage::NewRoute(answer) =
        netlink.get(RouteNetlinkMessage::GetRoute(question(query)))?
    else {
        return Err(io::Error::other("the kernel gave an unexpected answer about a route"));
    };
    let index = route::device(&answer).ok_or_else(|| io::Error::from_raw_os_error(libc::ENETUNREACH))?;
    let device = link::by_index(&netlink, index)?;
    Ok(Route {
        index,
        device: link::name(&device),
        local: answer.header.kind == RouteType::Local,
        gateway: gateway(&answer),
        source: source(&answer),
        mtu: mtu(&answer).unwrap_or_else(|| link::mtu(&device)),
    })
}

fn question(query: &RouteQuery) -> RouteMessage {
    let (family, bits) =
        if query.destination.is_ipv4() { (AddressFamily::Inet, 32) } else { (AddressFamily::Inet6, 128) };
    let mut route = RouteMessage::default();
    route.header.address_family = family;
    route.header.destination_prefix_length = bits;
    route.attributes.push(RouteAttribute::Destination(query.destination.into()));
    if let Some(source) = query.source {
        route.header.source_prefix_length = bits;
        route.attributes.push(RouteAttribute::Source(source.into()));
    }
    route.attributes.extend(query.bind_device.map(RouteAttribute::Oif));
    route.attributes.extend(query.mark.map(RouteAttribute::Mark));
    route
}

fn gateway(route: &RouteMessage) -> Option<IpAddr> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        // An IPv4 route by an IPv6 router.
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some((*address).into()),
        _ => None,
    })
}

fn source(route: &RouteMessage) -> Option<IpAddr> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::PrefSource(address) => ip(address),
        _ => None,
    })
}

fn mtu(route: &RouteMessage) -> Option<u32> {
    let metrics = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Metrics(metrics) => Some(metrics),
        _ => None,
    });
    metrics?.iter().find_map(|metric| match metric {
        RouteMetric::Mtu(bytes) if *bytes > 0 => Some(*bytes),
        _ => None,
    })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some((*ip).into()),
        RouteAddress::Inet6(ip) => Some((*ip).into()),
        _ => None,
    }
}
