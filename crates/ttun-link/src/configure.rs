//! Applying settings to an interface, and undoing the changes.

use std::collections::HashSet;
use std::net::IpAddr;

use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::RouteMessage;

use crate::error::{Error, Step};
use crate::link::{self, IPV6_MIN_MTU};
use crate::netlink::{Netlink, Refusal};
use crate::present::{Present, explain};
use crate::route;

/// Settings of an interface. All others stay unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Addresses, with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Networks to be routed into it, by the main table, as address and prefix length.
    pub routes: Vec<(IpAddr, u8)>,
    /// MTU, bytes; `None` leaves it.
    pub mtu: Option<u32>,
    /// Up or down; `None` leaves it.
    pub up: Option<bool>,
}

/// Applies `settings` to the interface with index `index`, and returns the changes: settings that it already had are not
/// changes.
///
/// The MTU comes first, because IPv6 addresses need one of 1,280 bytes; routes come last, because the kernel
/// takes none through an interface that is down.
///
/// # Errors
/// The step that failed. The steps before it have been undone.
pub fn configure(index: u32, settings: &Settings) -> Result<Changes, Error> {
    let numbered = format!("interface {index}");
    let unknown = |refusal| Error::new(&numbered, Step::Inspect, refusal);
    let netlink = Netlink::open().map_err(|cause| unknown(cause.into()))?;
    let link = link::by_index(&netlink, index).map_err(unknown)?;
    let name = link::name(&link);

    // Dropped when a step fails, which undoes the steps before.
    let mut changes = Changes::none(netlink, index);
    let mut present = Present::default();
    for step in steps(settings, &link) {
        changes
            .take(step, &link, &mut present)
            .map_err(|refusal| Error::new(&name, step, explain(&changes.netlink, index, refusal, step)))?;
    }
    Ok(changes)
}

/// The steps, in order.
fn steps(settings: &Settings, link: &LinkMessage) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(settings.mtu.filter(|mtu| *mtu != link::mtu(link)).map(Step::Mtu));
    steps.extend(settings.addresses.iter().map(|(ip, prefix_len)| Step::Address(*ip, *prefix_len)));
    steps.extend(settings.up.filter(|up| *up != link::is_up(link)).map(Step::up));
    steps.extend(settings.routes.iter().map(|(ip, prefix_len)| Step::Route(*ip, *prefix_len)));
    steps
}

fn change_mtu(netlink: &Netlink, link: &LinkMessage, set: u32) -> Result<MtuChange, Refusal> {
    let (index, was) = (link.header.index, link::mtu(link));
    // With less than that the kernel removes IPv6 from the interface, addresses and routes.
    let ends_ipv6 = was >= IPV6_MIN_MTU && set < IPV6_MIN_MTU;
    let (addresses, routes) = if ends_ipv6 {
        (link::addresses_of(netlink, index)?, route::through(netlink, index)?)
    } else {
        (Vec::new(), Vec::new())
    };
    link::set_mtu(netlink, index, set)?;
    Ok(MtuChange { was, set, addresses, routes })
}

/// With the interface down the kernel removes the routes through it, and its IPv6 addresses, which this
/// restores at once.
fn take_down(netlink: &Netlink, index: u32) -> Result<StateChange, Refusal> {
    let routes = route::through(netlink, index)?;
    let addresses = link::addresses_of(netlink, index)?;
    link::set_up(netlink, index, false)?;
    link::restore_addresses(netlink, &addresses);
    Ok(StateChange::TakenDown { routes })
}

/// The changes made by [`configure`]. Dropping it restores the interface, except for settings that have disappeared or were changed by
/// others meanwhile.
#[derive(Debug)]
#[must_use = "dropping the changes undoes them"]
pub struct Changes {
    pub(crate) netlink: Netlink,
    pub(crate) index: u32,
    /// Whether they stay when this is dropped.
    kept: bool,
    mtu: Option<MtuChange>,
    addresses: Vec<(IpAddr, u8)>,
    state: Option<StateChange>,
    routes: Vec<(IpAddr, u8)>,
}

#[derive(Debug)]
struct MtuChange {
    was: u32,
    set: u32,
    /// Addresses and routes that an MTU too small for IPv6 removed from the interface.
    addresses: Vec<AddressMessage>,
    routes: Vec<RouteMessage>,
}

#[derive(Debug)]
enum StateChange {
    BroughtUp,
    TakenDown { routes: Vec<RouteMessage> },
}

impl Changes {
    const fn none(netlink: Netlink, index: u32) -> Self {
        Self {
            netlink,
            index,
            kept: false,
            mtu: None,
            addresses: Vec::new(),
            state: None,
            routes: Vec::new(),
        }
    }

    fn take(&mut self, step: Step, link: &LinkMessage, present: &mut Present) -> Result<(), Refusal> {
        let Self { netlink, index, .. } = &*self;
        let index = *index;
        match step {
            Step::Inspect | Step::Connected(..) => {}
            Step::Mtu(mtu) => self.mtu = Some(change_mtu(netlink, link, mtu)?),
            Step::Address(ip, prefix_len) => match link::add_address(netlink, index, ip, prefix_len) {
                Ok(()) => self.addresses.push((ip, prefix_len)),
                Err(refusal) => present.check_address(netlink, index, (ip, prefix_len), refusal)?,
            },
            Step::Up => {
                link::set_up(netlink, index, true)?;
                self.state = Some(StateChange::BroughtUp);
            }
            Step::Down => self.state = Some(take_down(netlink, index)?),
            Step::Route(ip, prefix_len) => match route::add(netlink, index, ip, prefix_len) {
                Ok(()) => self.routes.push((ip, prefix_len)),
                Err(refusal) => present.check_route(netlink, index, (ip, prefix_len), refusal)?,
            },
        }
        Ok(())
    }

    /// Whether nothing had to be changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.mtu.is_none() && self.addresses.is_empty() && self.state.is_none() && self.routes.is_empty()
    }

    /// The interface has another index.
    pub fn renumber(&mut self, index: u32) {
        self.index = index;
    }

    /// Leaves the interface as it is when this is dropped.
    pub fn keep(&mut self) {
        self.kept = true;
    }

    /// Changes the MTU, in addition to the changes already made.
    ///
    /// # Errors
    /// When the kernel refuses it; then nothing has changed.
    pub fn set_mtu(&mut self, mtu: u32) -> Result<(), Error> {
        let Self { netlink, index, .. } = &*self;
        let unknown = |refusal| Error::new(&format!("interface {index}"), Step::Inspect, refusal);
        let link = link::by_index(netlink, *index).map_err(unknown)?;
        if link::mtu(&link) == mtu {
            return Ok(());
        }
        let refused = |refusal| Error::new(&link::name(&link), Step::Mtu(mtu), refusal);
        let change = change_mtu(netlink, &link, mtu).map_err(refused)?;
        let Some(first) = &mut self.mtu else {
            self.mtu = Some(change);
            return Ok(());
        };
        first.set = mtu;
        first.addresses.extend(change.addresses);
        first.routes.extend(change.routes);
        if mtu >= IPV6_MIN_MTU {
            link::restore_addresses(&self.netlink, &std::mem::take(&mut first.addresses));
            route::restore(&self.netlink, &std::mem::take(&mut first.routes));
        }
        Ok(())
    }
}

impl Drop for Changes {
    /// Undoes the last change first. A change that cannot be undone has disappeared, or this process has lost its privileges: there is nowhere to
    /// report that.
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let _ = self.remove_routes();
        let _ = self.restore_state();
        let _ = self.remove_addresses();
        let _ = self.restore_mtu();
    }
}

impl Changes {
    fn remove_routes(&self) -> Result<(), Refusal> {
        let Self { netlink, index, routes, .. } = self;
        let (ipv4, ipv6): (Vec<_>, Vec<_>) = routes.iter().rev().partition(|(ip, _)| ip.is_ipv4());
        for ours in [ipv4, ipv6] {
            let Some((family, _)) = ours.first() else { continue };
            let present = route::routed(netlink, *family, Some(*index))?;
            for (ip, prefix_len) in ours.into_iter().filter(|network| present.contains_key(network)) {
                let _ = route::remove(netlink, *index, ip, prefix_len);
            }
        }
        Ok(())
    }

    fn restore_state(&self) -> Result<(), Refusal> {
        let Self { netlink, index, .. } = self;
        match &self.state {
            None => {}
            // If it was taken down meanwhile, this changes nothing.
            Some(StateChange::BroughtUp) => {
                let addresses = link::addresses_of(netlink, *index)?;
                link::set_up(netlink, *index, false)?;
                link::restore_addresses(netlink, &addresses);
            }
            Some(StateChange::TakenDown { routes }) => {
                let link = link::by_index(netlink, *index)?;
                if !link::is_up(&link) {
                    link::set_up(netlink, *index, true)?;
                    route::restore(netlink, routes);
                }
            }
        }
        Ok(())
    }

    fn remove_addresses(&self) -> Result<(), Refusal> {
        let Self { netlink, index, addresses, .. } = self;
        if addresses.is_empty() {
            return Ok(());
        }
        let ours: HashSet<_> = addresses.iter().copied().collect();
        let mut others = link::addresses_of(netlink, *index)?;
        others.retain(|other| link::own_address(other).is_none_or(|other| !ours.contains(&other)));
        for (ip, prefix_len) in addresses.iter().rev() {
            let _ = link::remove_address(netlink, *index, *ip, *prefix_len);
        }
        // Removing the first IPv4 address of a network also removes those added after it (`__inet_del_ifa`),
        // unless the sysctl promote_secondaries says otherwise.
        link::restore_addresses(netlink, &others);
        Ok(())
    }

    fn restore_mtu(&self) -> Result<(), Refusal> {
        let Self { netlink, index, .. } = self;
        if let Some(MtuChange { was, set, addresses, routes }) = &self.mtu
            && link::mtu(&link::by_index(netlink, *index)?) == *set
        {
            link::set_mtu(netlink, *index, *was)?;
            link::restore_addresses(netlink, addresses);
            route::restore(netlink, routes);
        }
        Ok(())
    }
}
