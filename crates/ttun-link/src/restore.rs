//! Restoring settings that an interface has lost: the kernel removes its IPv6 addresses and its routes when it goes down, and
//! other programs may remove anything.

use std::collections::HashMap;
use std::net::IpAddr;

use netlink_packet_route::link::LinkMessage;

use crate::configure::{Changes, Settings};
use crate::error::{Error, Step};
use crate::link;
use crate::netlink::Refusal;
use crate::present::{Present, explain};
use crate::route;

/// The result of restoring the settings of an interface.
#[derive(Debug)]
pub struct Restored {
    /// The restored settings.
    pub steps: Vec<Step>,
    /// Why others could not be restored; the first reason.
    pub failed: Option<Error>,
}

/// Up to this many routes are restored by adding all of them, which fails for those that exist; with more, it takes less time to list
/// those that exist. The routes that belong to addresses are restored for up to this many addresses.
const MANY: usize = 64;

impl Changes {
    /// Applies those of `settings` that the interface has lost. One that is down, and is not to be brought up, is left as it is.
    ///
    /// What is restored is undone along with these changes if it was one of them. `None` if there is no such interface in the network
    /// namespace.
    ///
    /// # Errors
    /// When the state of the interface cannot be inspected.
    pub fn restore(&self, settings: &Settings) -> Result<Option<Restored>, Error> {
        let numbered = format!("interface {}", self.index);
        let unknown = |refusal| Error::new(&numbered, Step::Inspect, refusal);
        let link = match link::by_index(&self.netlink, self.index) {
            Ok(link) => link,
            Err(refusal) if refusal.is(libc::ENODEV) => return Ok(None),
            Err(refusal) => return Err(unknown(refusal)),
        };
        let mut restored = Restored { steps: Vec::new(), failed: None };
        if !link::is_up(&link) && settings.up != Some(true) {
            return Ok(Some(restored));
        }
        let mut present = Present::default();
        for step in self.lost(settings, &link).map_err(unknown)? {
            match self.take_again(step, &mut present) {
                Ok(true) => restored.steps.push(step),
                // It went down in the meantime: the rest is restored when it is up again.
                Err(refusal) if refusal.is(libc::ENETDOWN) => break,
                Err(refusal) if restored.failed.is_none() => {
                    let refusal = explain(&self.netlink, self.index, refusal, step);
                    restored.failed = Some(Error::new(&link::name(&link), step, refusal));
                }
                Ok(false) | Err(_) => {}
            }
        }
        Ok(Some(restored))
    }

    /// The steps of `settings` that have to be taken again, in order; of few routes, those that may have to be.
    fn lost(&self, settings: &Settings, link: &LinkMessage) -> Result<Vec<Step>, Refusal> {
        let mut lost = Vec::new();
        lost.extend(settings.mtu.filter(|mtu| *mtu != link::mtu(link)).map(Step::Mtu));
        let mut connected = Vec::new();
        if !settings.addresses.is_empty() {
            let mut present = HashMap::new();
            for address in link::addresses_of(&self.netlink, self.index)? {
                if let Some(own) = link::own_address(&address) {
                    present.insert(own, link::has_connected_route(&address));
                }
            }
            for (ip, prefix_len) in settings.addresses.iter().copied() {
                match present.get(&(ip, prefix_len)) {
                    None => lost.push(Step::Address(ip, prefix_len)),
                    Some(true) if settings.addresses.len() <= MANY => {
                        connected.push(Step::Connected(ip, prefix_len));
                    }
                    Some(_) => {}
                }
            }
        }
        lost.extend(settings.up.filter(|up| *up != link::is_up(link)).map(Step::up));
        lost.extend(connected);
        for of_family in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
            let mut routes: Vec<_> = settings.routes.iter().filter(|(ip, _)| of_family(ip)).collect();
            if let Some((ip, _)) = routes.first()
                && routes.len() > MANY
            {
                let present = route::routed(&self.netlink, *ip, Some(self.index))?;
                routes.retain(|network| !present.contains_key(network));
            }
            lost.extend(routes.into_iter().map(|(ip, prefix_len)| Step::Route(*ip, *prefix_len)));
        }
        Ok(lost)
    }

    /// Returns whether the interface had lost it.
    fn take_again(&self, step: Step, present: &mut Present) -> Result<bool, Refusal> {
        let Self { netlink, index, .. } = self;
        let taken = match step {
            Step::Inspect => Ok(()),
            Step::Mtu(mtu) => link::set_mtu(netlink, *index, mtu),
            Step::Address(ip, prefix_len) => link::add_address(netlink, *index, ip, prefix_len),
            Step::Up => link::set_up(netlink, *index, true),
            Step::Down => link::set_up(netlink, *index, false),
            Step::Route(ip, prefix_len) => route::add(netlink, *index, ip, prefix_len),
            Step::Connected(ip, prefix_len) => route::add_connected(netlink, *index, ip, prefix_len),
        };
        let Err(refusal) = taken else { return Ok(true) };
        match step {
            // Routed into it, or into another interface by someone who knows why.
            Step::Route(..) | Step::Connected(..) if refusal.is(libc::EEXIST) => Ok(false),
            // Of a user who may not add it: it may be there.
            Step::Connected(..) if refusal.is(libc::EPERM) => Ok(false),
            Step::Route(ip, len) => present.check_route(netlink, *index, (ip, len), refusal).map(|()| false),
            Step::Address(ip, len) => {
                present.check_address(netlink, *index, (ip, len), refusal).map(|()| false)
            }
            _ => Err(refusal),
        }
    }
}
