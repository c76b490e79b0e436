//! All that can be told about an interface, for those who look for what is wrong with it.

use std::io;
use std::net::IpAddr;

use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage, Stats64};

use crate::link::{LinkKind, kind, mtu, name};
use crate::netlink::Netlink;
use crate::{address, link};

/// An interface and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number of the interface.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it carries.
    pub kind: LinkKind,
    /// The longest packet it takes, bytes.
    pub mtu: u32,
    /// Whether it was brought up.
    pub up: bool,
    /// Whether it could carry packets; of a TUN device, whether a program is attached to it. An interface that is
    /// down tells nothing of this and has none.
    pub carrier: bool,
    /// Its addresses, with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Packets that the kernel did not take from it; of a TUN device, from the program.
    pub rx_dropped: u64,
    /// Packets that the kernel could not send by it; of a TUN device, those for which its queue had no room.
    pub tx_dropped: u64,
}

/// Describes the interface called `name`; `None` when there is none.
///
/// # Errors
/// Whatever the kernel answers but that there is no such interface.
pub fn describe(name: &str) -> io::Result<Option<Interface>> {
    let netlink = Netlink::open()?;
    let Some(link) = link::by_name(&netlink, name)? else { return Ok(None) };
    let addresses = address::list(&netlink, link.header.index)?;
    Ok(Some(interface(&link, &addresses)))
}

/// Describes all interfaces of this network namespace.
///
/// # Errors
/// Whatever the kernel answers.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let netlink = Netlink::open()?;
    let links = link::all(&netlink)?;
    let addresses = address::all(&netlink)?;
    Ok(links.iter().map(|link| interface(link, &addresses)).collect())
}

fn interface(link: &LinkMessage, addresses: &[AddressMessage]) -> Interface {
    let index = link.header.index;
    let own = addresses.iter().filter(|address| address.header.index == index);
    let counters = counters(link);
    Interface {
        index,
        name: name(link),
        kind: kind(link),
        mtu: mtu(link),
        up: link::is_up(link),
        carrier: link.header.flags.contains(LinkFlags::LowerUp),
        addresses: own.filter_map(|own| address::local(own).map(|ip| (ip, own.header.prefix_len))).collect(),
        rx_dropped: counters.rx_dropped,
        tx_dropped: counters.tx_dropped,
    }
}

fn counters(link: &LinkMessage) -> Stats64 {
    let counters = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Stats64(counters) => Some(*counters),
        _ => None,
    });
    counters.unwrap_or_default()
}
