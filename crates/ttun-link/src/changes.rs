//! What was changed of an interface, and putting it back.

use std::net::IpAddr;

use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::route::RouteMessage;

use crate::netlink::{Netlink, Refusal};
use crate::{address, link, route};

/// What [`configure`](crate::configure) changed. Dropping it puts the interface back as it was; what has vanished
/// meanwhile, or was changed by somebody else, is left.
#[derive(Debug)]
#[must_use = "dropping the changes undoes them"]
pub struct Changes {
    pub(crate) netlink: Netlink,
    index: u32,
    pub(crate) done: Vec<Change>,
}

/// One thing that was changed, with what is needed to put it back.
#[derive(Debug)]
pub(crate) enum Change {
    Address(IpAddr, u8),
    Mtu {
        was: u32,
        set: u32,
        /// What an MTU too small for IPv6 takes from the interface.
        addresses: Vec<AddressMessage>,
        routes: Vec<RouteMessage>,
    },
    BroughtUp,
    TakenDown {
        routes: Vec<RouteMessage>,
    },
    Route(IpAddr, u8),
}

impl Changes {
    pub(crate) const fn none(netlink: Netlink, index: u32) -> Self {
        Self { netlink, index, done: Vec::new() }
    }

    /// Whether nothing had to be changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// Leaves the interface as it is now.
    pub fn keep(mut self) {
        self.done.clear();
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        for change in std::mem::take(&mut self.done).iter().rev() {
            // What can't be put back has vanished, or the privileges for it have: there is nobody to tell.
            let _ = self.undo(change);
        }
    }
}

impl Changes {
    fn undo(&self, change: &Change) -> Result<(), Refusal> {
        let Self { netlink, index, .. } = self;
        match change {
            Change::Address(ip, prefix_len) => {
                let mut others = address::list(netlink, *index)?;
                others.retain(|other| {
                    address::local(other) != Some(*ip) || other.header.prefix_len != *prefix_len
                });
                address::remove(netlink, *index, *ip, *prefix_len)?;
                // The first IPv4 address of a network takes those added after it along (`__inet_del_ifa`),
                // unless the sysctl promote_secondaries says otherwise.
                address::give_back(netlink, &others);
                Ok(())
            }
            Change::Mtu { was, set, addresses, routes } => {
                if link::mtu(&link::by_index(netlink, *index)?) == *set {
                    link::set_mtu(netlink, *index, *was)?;
                    address::give_back(netlink, addresses);
                    route::give_back(netlink, routes);
                }
                Ok(())
            }
            // If somebody has taken it down meanwhile, this changes nothing.
            Change::BroughtUp => {
                let addresses = address::list(netlink, *index)?;
                link::take_down(netlink, *index)?;
                address::give_back(netlink, &addresses);
                Ok(())
            }
            Change::TakenDown { routes } => {
                if !link::is_up(&link::by_index(netlink, *index)?) {
                    link::bring_up(netlink, *index)?;
                    route::give_back(netlink, routes);
                }
                Ok(())
            }
            Change::Route(ip, prefix_len) => route::remove(netlink, *index, *ip, *prefix_len),
        }
    }
}
