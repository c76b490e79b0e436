//! The source address of probes.

use std::io;
use std::net::IpAddr;

use ttun_link::{RouteQuery, route_to};

/// From where an address can be probed through an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// From this address.
    Address(IpAddr),
    /// From none: the interface has no address of that family and scope.
    None,
    /// It is an address of this host itself.
    Own,
}

impl Source {
    /// The address, if there is one.
    pub(crate) fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address),
            Self::None | Self::Own => None,
        }
    }
}

/// The address that the kernel would choose for packets to `destination` through the interface called `device`; where it would choose none,
/// because it has no route, the first one that fits.
///
/// # Errors
/// If the interface is gone or down, so that its addresses and routes are not known.
pub(crate) fn find_source(device: &str, index: u32, destination: IpAddr) -> io::Result<Source> {
    let Some(interface) = ttun_link::describe(device)?.filter(|interface| interface.index == index) else {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    };
    if !interface.up {
        return Err(io::Error::from_raw_os_error(libc::ENETDOWN));
    }
    let fits = |source: &IpAddr| is_of_scope(*source, destination);
    let has = |source: &IpAddr| interface.addresses.iter().any(|(address, _)| address == source);
    let query = RouteQuery { destination, source: None, bind_device: None, mark: None };
    let anywhere = route_to(&query).ok();
    if has(&destination) || anywhere.as_ref().is_some_and(|route| route.local) {
        return Ok(Source::Own);
    }
    // The address of another interface is right only if the route into this one says so.
    let routed = anywhere.filter(|route| route.index == interface.index).and_then(|route| route.source);
    let through = || {
        let query = RouteQuery { bind_device: Some(interface.index), ..query };
        route_to(&query).ok().and_then(|route| route.source).filter(has)
    };
    let first = || interface.addresses.iter().map(|&(address, _)| address).find(fits);
    let source = routed.filter(fits).or_else(|| through().filter(fits)).or_else(first);
    Ok(source.map_or(Source::None, Source::Address))
}

/// Whether `address` is one of this host.
pub(crate) fn is_own(address: IpAddr) -> bool {
    let query = RouteQuery { destination: address, source: None, bind_device: None, mark: None };
    route_to(&query).is_ok_and(|route| route.local)
}

/// Whether a reply to `source` finds its way back: not to a link-local address from beyond the link.
fn is_of_scope(source: IpAddr, destination: IpAddr) -> bool {
    match (source, destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) => true,
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            !source.is_unicast_link_local() || destination.is_unicast_link_local()
        }
        _ => false,
    }
}
