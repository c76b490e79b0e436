//! Existing addresses and routes of an interface, and whether they are the reason why the kernel refuses to add another.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use crate::error::Step;
use crate::link::{self, IPV6_MIN_MTU};
use crate::netlink::{Netlink, Refusal};
use crate::route::{self, Routed};

/// Existing addresses and routes, listed when the first of them is in the way: looked up one by one, thousands of them would take
/// minutes.
#[derive(Default)]
pub(crate) struct Present {
    addresses: HashMap<IpAddr, Vec<u8>>,
    routed: Routed,
}

impl Present {
    /// An address that the interface already has is not an error, even for a user who may not add one.
    pub(crate) fn check_address(
        &mut self,
        netlink: &Netlink,
        index: u32,
        (ip, prefix_len): (IpAddr, u8),
        refusal: Refusal,
    ) -> Result<(), Refusal> {
        if !refusal.is(libc::EEXIST) && !refusal.is(libc::EPERM) {
            return Err(refusal);
        }
        let has = |present: &Self| present.addresses.get(&ip).is_some_and(|lens| lens.contains(&prefix_len));
        if !has(self) {
            self.addresses.clear();
            let present = link::addresses_of(netlink, index)?;
            for (ip, prefix_len) in present.iter().filter_map(link::own_address) {
                self.addresses.entry(ip).or_default().push(prefix_len);
            }
        }
        if has(self) {
            return Ok(());
        }
        if refusal.is(libc::EPERM) {
            return Err(refusal);
        }
        // An IPv6 address is refused as a duplicate whatever its prefix length, which may differ.
        let other = self.addresses.get(&ip).and_then(|lens| lens.first());
        Err(exists(other.map(|other| format!("it already has {ip}/{other}"))))
    }

    /// A route that already exists is not an error, even for a user who may not add one; a route into another interface is.
    pub(crate) fn check_route(
        &mut self,
        netlink: &Netlink,
        index: u32,
        network: (IpAddr, u8),
        refusal: Refusal,
    ) -> Result<(), Refusal> {
        if !refusal.is(libc::EEXIST) && !refusal.is(libc::EPERM) {
            return Err(refusal);
        }
        let has = |routed: &Routed| routed.get(&network).is_some_and(|devices| devices.contains(&index));
        if !has(&self.routed) {
            self.routed.extend(route::routed(netlink, network.0, None)?);
        }
        if has(&self.routed) {
            return Ok(());
        }
        if refusal.is(libc::EPERM) {
            return Err(refusal);
        }
        let other = self.routed.get(&network).and_then(|devices| devices.first()).map(|other| {
            link::by_index(netlink, *other)
                .map_or_else(|_| format!("interface {other}"), |other| link::name(&other))
        });
        Err(exists(other.map(|other| format!("it is already routed into {other}"))))
    }
}

/// Adds why the kernel has no IPv6 on the interface, which the kernel does not report.
pub(crate) fn explain(netlink: &Netlink, index: u32, mut refusal: Refusal, step: Step) -> Refusal {
    let (Step::Address(ip, _) | Step::Route(ip, _)) = step else { return refusal };
    let mtu = link::by_index(netlink, index).map(|link| link::mtu(&link));
    if ip.is_ipv6() && mtu.is_ok_and(|mtu| mtu < IPV6_MIN_MTU) {
        refusal.reason = Some(format!("IPv6 requires an MTU of {IPV6_MIN_MTU} bytes or more"));
    }
    refusal
}

fn exists(reason: Option<String>) -> Refusal {
    Refusal { cause: io::Error::from_raw_os_error(libc::EEXIST), reason }
}
