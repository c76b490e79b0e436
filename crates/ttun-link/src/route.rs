//! Routes through an interface.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::link;
use crate::netlink::{Netlink, Refusal};

/// Whether a route is ours to remove.
pub(crate) enum Added {
    Now,
    ThereAlready,
}

/// Adds a route to the main table as `ip route add NETWORK dev DEVICE proto static` does.
///
/// Fails with `EEXIST` when the network is routed elsewhere.
pub(crate) fn add(netlink: &Netlink, index: u32, ip: IpAddr, prefix_len: u8) -> Result<Added, Refusal> {
    let request = RouteNetlinkMessage::NewRoute(message(index, ip, prefix_len));
    let Err(refusal) = netlink.change(request, NLM_F_CREATE | NLM_F_EXCL) else { return Ok(Added::Now) };
    // Who may not change routes is told so whether or not there is anything to change.
    if !refusal.is(libc::EEXIST) && !refusal.is(libc::EPERM) {
        return Err(refusal);
    }
    let standing = standing(netlink, None, ip, prefix_len)?;
    if standing.iter().any(|route| device(route) == Some(index)) {
        return Ok(Added::ThereAlready);
    }
    if refusal.is(libc::EPERM) {
        return Err(refusal);
    }
    let reason = standing.first().and_then(device).map(|other| {
        let name = link::by_index(netlink, other)
            .map_or_else(|_| format!("interface {other}"), |other| link::name(&other));
        format!("it is routed into {name}")
    });
    Err(Refusal { cause: io::Error::from_raw_os_error(libc::EEXIST), reason })
}

/// Removes what [`add`] has made. A request that names no metric would also fit a route of another one, which the kernel
/// takes if ours has gone.
pub(crate) fn remove(netlink: &Netlink, index: u32, ip: IpAddr, prefix_len: u8) -> Result<(), Refusal> {
    if standing(netlink, Some(index), ip, prefix_len)?.is_empty() {
        return Ok(());
    }
    netlink.change(RouteNetlinkMessage::DelRoute(message(index, ip, prefix_len)), 0)
}

/// The routes through an interface that somebody has made: those that come with its addresses do so again.
pub(crate) fn list(netlink: &Netlink, index: u32) -> Result<Vec<RouteMessage>, Refusal> {
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut question = RouteMessage::default();
        question.header.address_family = family;
        question.attributes.push(RouteAttribute::Oif(index));
        routes.extend(routes_of(netlink, question)?.into_iter().filter(|route| {
            device(route) == Some(index)
                && route.header.protocol != RouteProtocol::Kernel
                && !route.header.flags.contains(RouteFlags::Cloned)
        }));
    }
    Ok(routes)
}

/// Puts back those of `routes` that are no longer there.
pub(crate) fn give_back(netlink: &Netlink, routes: &[RouteMessage]) {
    // A gateway must be reachable when a route by it is made, by one of the other routes maybe.
    let (by_gateway, direct): (Vec<_>, Vec<_>) = routes.iter().partition(|route| has_gateway(route));
    for route in direct.into_iter().chain(by_gateway) {
        let mut route = route.clone();
        // The others tell the state of the interface, and are refused in requests.
        route.header.flags &= RouteFlags::Onlink;
        // EEXIST: it was kept. Anything else: the interface has vanished or changed, and can't be as it was.
        let _ = netlink.change(RouteNetlinkMessage::NewRoute(route), NLM_F_CREATE | NLM_F_EXCL);
    }
}

/// The interface that a route leads to.
pub(crate) fn device(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

/// Routes of the main table to just this network, into one interface or any, with the metric that [`add`] gives.
fn standing(
    netlink: &Netlink,
    index: Option<u32>,
    ip: IpAddr,
    prefix_len: u8,
) -> Result<Vec<RouteMessage>, Refusal> {
    let mut question = RouteMessage::default();
    question.header.address_family = family(ip);
    question.header.table = RouteHeader::RT_TABLE_MAIN;
    question.attributes.extend(index.map(RouteAttribute::Oif));
    let mut routes = routes_of(netlink, question)?;
    routes.retain(|route| {
        route.header.table == RouteHeader::RT_TABLE_MAIN
            && route.header.destination_prefix_length == prefix_len
            && destination(route) == ip
            && metric(route) == default_metric(ip)
            && (index.is_none() || device(route) == index)
    });
    Ok(routes)
}

fn metric(route: &RouteMessage) -> u32 {
    let metric = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Priority(metric) => Some(*metric),
        _ => None,
    });
    metric.unwrap_or(0)
}

/// The metric of a route for which none was named: in IPv6 `IP6_RT_PRIO_USER` of net/ip6_route.h.
fn default_metric(ip: IpAddr) -> u32 {
    if ip.is_ipv4() { 0 } else { 1024 }
}

fn routes_of(netlink: &Netlink, question: RouteMessage) -> Result<Vec<RouteMessage>, Refusal> {
    let answers = netlink.list(&RouteNetlinkMessage::GetRoute(question))?;
    let routes = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewRoute(route) => Some(route),
        _ => None,
    });
    Ok(routes.collect())
}

fn destination(route: &RouteMessage) -> IpAddr {
    let destination = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(ip)) => Some(IpAddr::from(*ip)),
        RouteAttribute::Destination(RouteAddress::Inet6(ip)) => Some(IpAddr::from(*ip)),
        _ => None,
    });
    // The default route names none.
    destination.unwrap_or(match route.header.address_family {
        AddressFamily::Inet6 => IpAddr::from([0_u16; 8]),
        _ => IpAddr::from([0_u8; 4]),
    })
}

fn has_gateway(route: &RouteMessage) -> bool {
    route
        .attributes
        .iter()
        .any(|attribute| matches!(attribute, RouteAttribute::Gateway(_) | RouteAttribute::Via(_)))
}

fn message(index: u32, ip: IpAddr, prefix_len: u8) -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header.address_family = family(ip);
    route.header.destination_prefix_length = prefix_len;
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    // Made by an administrator, for routing daemons (rtnetlink(7)).
    route.header.protocol = RouteProtocol::Static;
    // Without a gateway; IPv6 knows no scopes of routes.
    route.header.scope = if ip.is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
    route.header.kind = RouteType::Unicast;
    route.attributes = vec![
        RouteAttribute::Destination(ip.into()),
        RouteAttribute::Oif(index),
        RouteAttribute::Priority(default_metric(ip)),
    ];
    route
}

fn family(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}
