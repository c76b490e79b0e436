//! Routes: those through an interface, and the one that a packet would take.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteProtocol,
    RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::link;
use crate::netlink::{Netlink, Refusal};

/// The properties that determine the route of a packet.
#[derive(Clone, Copy, Debug)]
pub struct RouteQuery {
    /// Its destination.
    pub destination: IpAddr,
    /// Its source; `None` for a socket that is not bound to an address.
    pub source: Option<IpAddr>,
    /// Index of the interface that the socket is bound to.
    pub bind_device: Option<u32>,
    /// Mark of the socket's packets.
    pub mark: Option<u32>,
}

/// The route of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Index of the outgoing interface.
    pub index: u32,
    /// Name of that interface.
    pub device: String,
    /// Whether the destination is this host itself.
    pub local: bool,
    /// The next router; `None` when the destination is reached directly.
    pub gateway: Option<IpAddr>,
    /// The source address that the kernel chooses for a socket that is not bound to one.
    pub source: Option<IpAddr>,
    /// The longest packet that this route can carry, bytes: the MTU of the route, learned or configured, or else of the interface.
    pub mtu: u32,
}

/// Looks up the route that a packet would take.
///
/// # Errors
/// `ENETUNREACH` or another routing error when there is none, and `EINVAL` for a source that is not an address of this host.
pub fn route_to(query: &RouteQuery) -> io::Result<Route> {
    let netlink = Netlink::open()?;
    let RouteNetlinkMessage::NewRoute(answer) = netlink.get(RouteNetlinkMessage::GetRoute(request(query)))?
    else {
        return Err(io::Error::other("unexpected reply from the kernel about a route"));
    };
    let index = device(&answer).ok_or_else(|| io::Error::from_raw_os_error(libc::ENETUNREACH))?;
    let link = link::by_index(&netlink, index)?;
    Ok(Route {
        index,
        device: link::name(&link),
        local: answer.header.kind == RouteType::Local,
        gateway: gateway(&answer),
        source: source(&answer),
        mtu: mtu(&answer).unwrap_or_else(|| link::mtu(&link)),
    })
}

/// The ports of a UDP flow.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Of this host.
    pub local_port: u16,
    /// Of the other.
    pub remote_port: u16,
}

/// The source address that the kernel chooses for a UDP flow whose socket is not bound to an address. Unlike [`route_to`], this knows
/// which of several routes of equal cost the flow takes (kernel 4.19).
///
/// # Errors
/// As [`route_to`].
pub fn source_of_flow(query: &RouteQuery, flow: Flow) -> io::Result<Option<IpAddr>> {
    const UDP: u8 = libc::IPPROTO_UDP as u8;
    let mut route = request(query);
    route.attributes.extend([
        RouteAttribute::IpProto(UDP),
        RouteAttribute::Sport(flow.local_port),
        RouteAttribute::Dport(flow.remote_port),
    ]);
    match Netlink::open()?.get(RouteNetlinkMessage::GetRoute(route))? {
        RouteNetlinkMessage::NewRoute(answer) => Ok(source(&answer)),
        _ => Err(io::Error::other("unexpected reply from the kernel about a route")),
    }
}

/// The source address that the route itself gives (`ip route add … src ADDRESS`); `None` if it leaves that to the kernel, or the kernel
/// does not report it (before 4.13).
///
/// # Errors
/// As [`route_to`].
pub fn configured_source(query: &RouteQuery) -> io::Result<Option<IpAddr>> {
    let mut route = request(query);
    // The entry of the routing table rather than what follows from it (RTM_F_FIB_MATCH).
    route.header.flags |= RouteFlags::FibMatch;
    match Netlink::open()?.get(RouteNetlinkMessage::GetRoute(route))? {
        RouteNetlinkMessage::NewRoute(answer) => Ok(source(&answer)),
        _ => Err(io::Error::other("unexpected reply from the kernel about a route")),
    }
}

fn request(query: &RouteQuery) -> RouteMessage {
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
        // An IPv4 route through an IPv6 router.
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

/// Adds a route to the main table as `ip route add NETWORK dev DEVICE proto static` does.
pub(crate) fn add(netlink: &Netlink, index: u32, ip: IpAddr, prefix_len: u8) -> Result<(), Refusal> {
    let request = RouteNetlinkMessage::NewRoute(message(index, ip, prefix_len));
    netlink.change(request, NLM_F_CREATE | NLM_F_EXCL)
}

/// Removes what [`add`] has added, which must be [there](routed): metric 0 means any, so that the kernel would remove a route
/// of another metric instead.
pub(crate) fn remove(netlink: &Netlink, index: u32, ip: IpAddr, prefix_len: u8) -> Result<(), Refusal> {
    netlink.change(RouteNetlinkMessage::DelRoute(message(index, ip, prefix_len)), 0)
}

/// The interfaces to which networks are routed.
pub(crate) type Routed = HashMap<(IpAddr, u8), Vec<u32>>;

/// The routes of the main table to networks of the family of `ip`, with the metric that [`add`] gives; through the interface with
/// index `through`, if one is given.
pub(crate) fn routed(netlink: &Netlink, ip: IpAddr, through: Option<u32>) -> Result<Routed, Refusal> {
    let mut request = RouteMessage::default();
    request.header.address_family = family(ip);
    request.header.table = RouteHeader::RT_TABLE_MAIN;
    request.attributes.extend(through.map(RouteAttribute::Oif));
    let mut routed = Routed::new();
    for route in list(netlink, request)? {
        let Some(device) = device(&route) else { continue };
        if route.header.table == RouteHeader::RT_TABLE_MAIN
            && metric(&route) == default_metric(ip)
            && through.is_none_or(|index| index == device)
        {
            let network = (destination(&route), route.header.destination_prefix_length);
            routed.entry(network).or_default().push(device);
        }
    }
    Ok(routed)
}

/// The networks that the main table routes into the interface with index `index`, by routes without a metric of their own: those that
/// [`configure`](crate::configure) adds are among them.
///
/// # Errors
/// Any error of the kernel.
pub fn networks_into(index: u32) -> io::Result<Vec<(IpAddr, u8)>> {
    let netlink = Netlink::open()?;
    let mut networks = Vec::new();
    for any in [IpAddr::from([0_u8; 4]), IpAddr::from([0_u16; 8])] {
        networks.extend(routed(&netlink, any, Some(index))?.into_keys());
    }
    networks.sort_unstable();
    Ok(networks)
}

/// The routes through an interface, except those that the kernel adds and removes along with its addresses.
pub(crate) fn through(netlink: &Netlink, index: u32) -> Result<Vec<RouteMessage>, Refusal> {
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        request.attributes.push(RouteAttribute::Oif(index));
        routes.extend(list(netlink, request)?.into_iter().filter(|route| {
            device(route) == Some(index)
                && route.header.protocol != RouteProtocol::Kernel
                && !route.header.flags.contains(RouteFlags::Cloned)
        }));
    }
    Ok(routes)
}

/// Adds those of `routes` that were lost.
pub(crate) fn restore(netlink: &Netlink, routes: &[RouteMessage]) {
    // A gateway must be reachable when a route through it is added, maybe by another of the routes.
    let (by_gateway, direct): (Vec<_>, Vec<_>) = routes.iter().partition(|route| has_gateway(route));
    for route in direct.into_iter().chain(by_gateway) {
        let mut route = route.clone();
        // The other flags are the state of the interface, and are refused in requests.
        route.header.flags &= RouteFlags::Onlink;
        // EEXIST: it was not lost. Anything else: the interface has disappeared or changed, and the route cannot be restored.
        let _ = netlink.change(RouteNetlinkMessage::NewRoute(route), NLM_F_CREATE | NLM_F_EXCL);
    }
}

/// Adds the route to the network of an address of the interface as the kernel does with the address (`fib_add_ifaddr`,
/// `addrconf_prefix_route`), so that it removes it with the address.
pub(crate) fn add_connected(
    netlink: &Netlink,
    index: u32,
    ip: IpAddr,
    prefix_len: u8,
) -> Result<(), Refusal> {
    /// `IP6_RT_PRIO_ADDRCONF` of net/ip6_route.h.
    const IPV6_METRIC: u32 = 256;
    let mut route = message(index, network_of(ip, prefix_len), prefix_len);
    route.header.protocol = RouteProtocol::Kernel;
    if ip.is_ipv4() {
        route.attributes.push(RouteAttribute::PrefSource(ip.into()));
    } else {
        route.attributes.retain(|attribute| !matches!(attribute, RouteAttribute::Priority(_)));
        route.attributes.push(RouteAttribute::Priority(IPV6_METRIC));
    }
    netlink.change(RouteNetlinkMessage::NewRoute(route), NLM_F_CREATE | NLM_F_EXCL)
}

/// The first address of the network.
pub(crate) fn network_of(ip: IpAddr, prefix_len: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_len.min(32))).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_len.min(128))).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

fn list(netlink: &Netlink, request: RouteMessage) -> Result<Vec<RouteMessage>, Refusal> {
    let answers = netlink.list(&RouteNetlinkMessage::GetRoute(request))?;
    let routes = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewRoute(route) => Some(route),
        _ => None,
    });
    Ok(routes.collect())
}

/// The interface that a route leads to.
fn device(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

fn metric(route: &RouteMessage) -> u32 {
    let metric = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Priority(metric) => Some(*metric),
        _ => None,
    });
    metric.unwrap_or(0)
}

/// The metric of a route that was added without one: in IPv6 `IP6_RT_PRIO_USER` of net/ip6_route.h.
fn default_metric(ip: IpAddr) -> u32 {
    if ip.is_ipv4() { 0 } else { 1024 }
}

fn destination(route: &RouteMessage) -> IpAddr {
    let destination = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(address) => self::ip(address),
        _ => None,
    });
    // The default route has none.
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
    // For routing daemons: added by an administrator (rtnetlink(7)).
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
