//! Giving an interface what is wished of it.

use std::io;
use std::net::IpAddr;

use netlink_packet_route::link::LinkMessage;

use crate::changes::{Change, Changes};
use crate::error::{Error, Step};
use crate::netlink::{Netlink, Refusal};
use crate::route::Added;
use crate::{address, link, route};

/// What an interface should have. What it has besides stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Addresses, with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Networks to be routed into it, by the main table, as address and prefix length.
    pub routes: Vec<(IpAddr, u8)>,
    /// MTU, bytes; `None` leaves it.
    pub mtu: Option<u32>,
    /// Up or down; `None` leaves it.
    pub up: Option<bool>,
}

/// The least MTU with which an interface has IPv6, bytes (RFC 8200 section 5).
pub const IPV6_MIN_MTU: u32 = 1280;

/// Gives the interface with number `index` what is wished, and says what that changed: what was there already
/// is not among it.
///
/// The MTU comes first, because IPv6 addresses need one of 1,280 bytes; routes come last, because the kernel
/// takes none through an interface that is down.
///
/// # Errors
/// The step that failed. What was done before it has been undone.
pub fn configure(index: u32, wishes: &Wishes) -> Result<Changes, Error> {
    let numbered = format!("interface {index}");
    let unknown = |refusal| Error::new(&numbered, Step::Inspect, refusal);
    let netlink = Netlink::open().map_err(|cause| unknown(cause.into()))?;
    let link = link::by_index(&netlink, index).map_err(unknown)?;
    let name = link::name(&link);

    // Dropped on the way out of a failed step, which undoes what it holds.
    let mut changes = Changes::none(netlink, index);
    for step in steps(wishes, &link) {
        let taken = take(step, &changes.netlink, &link);
        let change = taken
            .map_err(|refusal| Error::new(&name, step, explained(refusal, step, &changes.netlink, index)))?;
        changes.done.extend(change);
    }
    Ok(changes)
}

/// What is to be done, in order.
fn steps(wishes: &Wishes, link: &LinkMessage) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(wishes.mtu.filter(|mtu| *mtu != link::mtu(link)).map(Step::Mtu));
    steps.extend(wishes.addresses.iter().map(|(ip, prefix_len)| Step::Address(*ip, *prefix_len)));
    steps.extend(
        wishes.up.filter(|up| *up != link::is_up(link)).map(|up| if up { Step::Up } else { Step::Down }),
    );
    steps.extend(wishes.routes.iter().map(|(ip, prefix_len)| Step::Route(*ip, *prefix_len)));
    steps
}

fn take(step: Step, netlink: &Netlink, link: &LinkMessage) -> Result<Option<Change>, Refusal> {
    let index = link.header.index;
    match step {
        Step::Inspect => Ok(None),
        Step::Mtu(mtu) => set_mtu(netlink, link, mtu).map(Some),
        Step::Address(ip, prefix_len) => add_address(netlink, index, ip, prefix_len),
        Step::Up => link::bring_up(netlink, index).map(|()| Some(Change::BroughtUp)),
        Step::Down => take_down(netlink, index).map(Some),
        Step::Route(ip, prefix_len) => Ok(match route::add(netlink, index, ip, prefix_len)? {
            Added::Now => Some(Change::Route(ip, prefix_len)),
            Added::ThereAlready => None,
        }),
    }
}

fn set_mtu(netlink: &Netlink, link: &LinkMessage, set: u32) -> Result<Change, Refusal> {
    let (index, was) = (link.header.index, link::mtu(link));
    // With less than that the kernel takes IPv6 from the interface, addresses and routes.
    let ends_ipv6 = was >= IPV6_MIN_MTU && set < IPV6_MIN_MTU;
    let (addresses, routes) = if ends_ipv6 {
        (address::list(netlink, index)?, route::list(netlink, index)?)
    } else {
        (Vec::new(), Vec::new())
    };
    link::set_mtu(netlink, index, set)?;
    Ok(Change::Mtu { was, set, addresses, routes })
}

fn add_address(netlink: &Netlink, index: u32, ip: IpAddr, prefix_len: u8) -> Result<Option<Change>, Refusal> {
    match address::add(netlink, index, ip, prefix_len) {
        Ok(()) => Ok(Some(Change::Address(ip, prefix_len))),
        Err(refusal) if refusal.is(libc::EEXIST) => {
            has_address(netlink, index, ip, prefix_len).map(|()| None)
        }
        // Who may not add addresses is told so whether or not there is one to add.
        Err(refusal) if refusal.is(libc::EPERM) => {
            has_address(netlink, index, ip, prefix_len).map(|()| None).map_err(|_| refusal)
        }
        Err(refusal) => Err(refusal),
    }
}

/// An IPv6 address is refused as a duplicate whatever its prefix length, which may be another one.
fn has_address(netlink: &Netlink, index: u32, ip: IpAddr, prefix_len: u8) -> Result<(), Refusal> {
    let addresses = address::list(netlink, index)?;
    let same = addresses.iter().filter(|standing| address::local(standing) == Some(ip));
    let prefix_lens: Vec<u8> = same.map(|standing| standing.header.prefix_len).collect();
    if prefix_lens.contains(&prefix_len) {
        return Ok(());
    }
    let reason = prefix_lens.first().map(|other| format!("it has it as {ip}/{other}"));
    Err(Refusal { cause: io::Error::from_raw_os_error(libc::EEXIST), reason })
}

/// With the interface down the kernel removes the routes through it, and its IPv6 addresses, which this
/// gives back at once.
fn take_down(netlink: &Netlink, index: u32) -> Result<Change, Refusal> {
    let routes = route::list(netlink, index)?;
    let addresses = address::list(netlink, index)?;
    link::take_down(netlink, index)?;
    address::give_back(netlink, &addresses);
    Ok(Change::TakenDown { routes })
}

/// The kernel does not say why it has no IPv6 on an interface.
fn explained(mut refusal: Refusal, step: Step, netlink: &Netlink, index: u32) -> Refusal {
    let (Step::Address(ip, _) | Step::Route(ip, _)) = step else { return refusal };
    let mtu = link::by_index(netlink, index).map(|link| link::mtu(&link));
    if ip.is_ipv6() && mtu.is_ok_and(|mtu| mtu < IPV6_MIN_MTU) {
        refusal.reason = Some(format!("IPv6 needs an MTU of {IPV6_MIN_MTU} bytes or more"));
    }
    refusal
}
