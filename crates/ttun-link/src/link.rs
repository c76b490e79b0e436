//! Interfaces and their addresses, by netlink: unlike `/sys/class/net`, which shows the namespace in which it was mounted, the
//! answer is always about this thread's network namespace.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL, Nla};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoTun, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::netlink::{Netlink, Refusal};

/// An interface of this network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// The kind of interface.
    pub kind: LinkKind,
}

/// The least MTU with which an interface has IPv6, bytes (RFC 8200 section 5).
pub const IPV6_MIN_MTU: u32 = 1280;

/// The kind of interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// Carries IP packets.
    Tun {
        /// Whether it has several queues; attaching must request the same.
        multi_queue: bool,
        /// ID of the user who may attach to it, in addition to those with `CAP_NET_ADMIN`.
        owner: Option<u32>,
        /// ID of the group whose members may attach to it.
        group: Option<u32>,
    },
    /// Carries Ethernet frames.
    Tap,
    /// Not a device of the TUN driver.
    Other,
}

/// Looks up the interface called `name`; `None` when there is none.
///
/// # Errors
/// Any error of the kernel, except that there is no such interface.
pub fn find(name: &str) -> io::Result<Option<Link>> {
    let link = by_name(&Netlink::open()?, name)?;
    Ok(link.map(|link| Link { index: link.header.index, kind: kind(&link) }))
}

pub(crate) fn by_name(netlink: &Netlink, name: &str) -> Result<Option<LinkMessage>, Refusal> {
    let mut request = LinkMessage::default();
    request.attributes.push(LinkAttribute::IfName(name.to_owned()));
    match get(netlink, request) {
        Ok(link) => Ok(Some(link)),
        Err(refusal) if refusal.is(libc::ENODEV) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

pub(crate) fn by_index(netlink: &Netlink, index: u32) -> Result<LinkMessage, Refusal> {
    get(netlink, of(index))
}

fn get(netlink: &Netlink, request: LinkMessage) -> Result<LinkMessage, Refusal> {
    match netlink.get(RouteNetlinkMessage::GetLink(request))? {
        RouteNetlinkMessage::NewLink(link) => Ok(link),
        _ => Err(io::Error::other("unexpected reply from the kernel about an interface").into()),
    }
}

/// All interfaces.
pub(crate) fn all(netlink: &Netlink) -> Result<Vec<LinkMessage>, Refusal> {
    let answers = netlink.list(&RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let links = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(link) => Some(link),
        _ => None,
    });
    Ok(links.collect())
}

pub(crate) fn set_mtu(netlink: &Netlink, index: u32, mtu: u32) -> Result<(), Refusal> {
    let mut request = of(index);
    request.attributes.push(LinkAttribute::Mtu(mtu));
    netlink.change(RouteNetlinkMessage::SetLink(request), 0)
}

/// Brings an interface up or down.
pub(crate) fn set_up(netlink: &Netlink, index: u32, up: bool) -> Result<(), Refusal> {
    let mut request = of(index);
    request.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    request.header.change_mask = LinkFlags::Up;
    netlink.change(RouteNetlinkMessage::SetLink(request), 0)
}

fn of(index: u32) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link
}

pub(crate) fn is_up(link: &LinkMessage) -> bool {
    link.header.flags.contains(LinkFlags::Up)
}

pub(crate) fn name(link: &LinkMessage) -> String {
    let name = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    });
    name.unwrap_or_else(|| format!("interface {}", link.header.index))
}

pub(crate) fn mtu(link: &LinkMessage) -> u32 {
    let mtu = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Mtu(mtu) => Some(*mtu),
        _ => None,
    });
    mtu.unwrap_or(0)
}

pub(crate) fn kind(link: &LinkMessage) -> LinkKind {
    let mut is_tun_driver = false;
    let mut details = &[][..];
    for attribute in &link.attributes {
        let LinkAttribute::LinkInfo(info) = attribute else { continue };
        for item in info {
            match item {
                LinkInfo::Kind(kind) => is_tun_driver = *kind == InfoKind::Tun,
                LinkInfo::Data(InfoData::Tun(data)) => details = data,
                _ => {}
            }
        }
    }
    if is_tun_driver { tun_kind(details) } else { LinkKind::Other }
}

/// Attributes of `IFLA_INFO_DATA` for the TUN driver (include/uapi/linux/if_link.h).
mod ifla_tun {
    pub(super) const OWNER: u16 = 1;
    pub(super) const GROUP: u16 = 2;
    pub(super) const TYPE: u16 = 3;
    pub(super) const MULTI_QUEUE: u16 = 7;
}

fn tun_kind(details: &[InfoTun]) -> LinkKind {
    let value = |kind: u16| {
        details.iter().find_map(|detail| match detail {
            InfoTun::Other(attribute) if attribute.kind() == kind => Some(number(attribute)),
            _ => None,
        })
    };
    if value(ifla_tun::TYPE) == Some(libc::IFF_TAP as u32) {
        return LinkKind::Tap;
    }
    LinkKind::Tun {
        multi_queue: value(ifla_tun::MULTI_QUEUE).is_some_and(|flag| flag != 0),
        owner: value(ifla_tun::OWNER),
        group: value(ifla_tun::GROUP),
    }
}

/// The value of a one- or four-byte attribute.
fn number(attribute: &DefaultNla) -> u32 {
    let mut bytes = [0; 8];
    let Some(value) = bytes.get_mut(..attribute.value_len()) else { return 0 };
    attribute.emit_value(value);
    match *value {
        [byte] => u32::from(byte),
        [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]),
        _ => 0,
    }
}

/// Adds an address as `ip address add IP/LEN dev DEVICE` does, for IPv6 with `nodad`: local and prefix address the
/// same, no broadcast address (a point-to-point device has none), the scope as the kernel sets it.
///
/// The kernel looks for IPv6 duplicates only on devices that resolve addresses, and TUN devices are `IFF_NOARP`
/// (`addrconf_dad_begin`). But it finds that out in a work queue, and until then the address is tentative and
/// nothing can be bound to it.
pub(crate) fn add_address(netlink: &Netlink, index: u32, ip: IpAddr, prefix_len: u8) -> Result<(), Refusal> {
    let mut address = address_message(index, ip, prefix_len);
    if ip.is_ipv6() {
        address.header.flags = AddressHeaderFlags::Nodad;
    }
    netlink.change(RouteNetlinkMessage::NewAddress(address), NLM_F_CREATE | NLM_F_EXCL)
}

pub(crate) fn remove_address(
    netlink: &Netlink,
    index: u32,
    ip: IpAddr,
    prefix_len: u8,
) -> Result<(), Refusal> {
    netlink.change(RouteNetlinkMessage::DelAddress(address_message(index, ip, prefix_len)), 0)
}

/// The addresses of an interface, in the order in which they were added.
pub(crate) fn addresses_of(netlink: &Netlink, index: u32) -> Result<Vec<AddressMessage>, Refusal> {
    let mut request = AddressMessage::default();
    request.header.index = index;
    let mut addresses = list_addresses(netlink, request)?;
    addresses.retain(|address| address.header.index == index);
    Ok(addresses)
}

/// The addresses of all interfaces.
pub(crate) fn all_addresses(netlink: &Netlink) -> Result<Vec<AddressMessage>, Refusal> {
    list_addresses(netlink, AddressMessage::default())
}

fn list_addresses(netlink: &Netlink, request: AddressMessage) -> Result<Vec<AddressMessage>, Refusal> {
    let answers = netlink.list(&RouteNetlinkMessage::GetAddress(request))?;
    let addresses = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewAddress(address) => Some(address),
        _ => None,
    });
    Ok(addresses.collect())
}

/// The interface's own address and the length of its prefix; a message may have the peer's address too.
pub(crate) fn own_address(address: &AddressMessage) -> Option<(IpAddr, u8)> {
    let mut found = None;
    for attribute in &address.attributes {
        match attribute {
            AddressAttribute::Local(ip) => return Some((*ip, address.header.prefix_len)),
            AddressAttribute::Address(ip) => found = Some((*ip, address.header.prefix_len)),
            _ => {}
        }
    }
    found
}

/// Whether the kernel may choose the address as a source where there are others.
pub(crate) fn is_preferred(address: &AddressMessage) -> bool {
    let not_preferred =
        AddressHeaderFlags::Deprecated | AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed;
    !address.header.flags.intersects(not_preferred)
}

/// Whether the kernel has routed the network of an address into the interface along with it.
pub(crate) fn has_connected_route(address: &AddressMessage) -> bool {
    let longest = if address.header.family == AddressFamily::Inet { 32 } else { 128 };
    let is_without = address.attributes.iter().any(|attribute| match attribute {
        AddressAttribute::Flags(flags) => flags.contains(AddressFlags::Noprefixroute),
        _ => false,
    });
    address.header.prefix_len < longest && !is_without
}

/// Adds the `addresses` that an interface has lost, except those that the kernel creates itself when the interface comes up.
pub(crate) fn restore_addresses(netlink: &Netlink, addresses: &[AddressMessage]) {
    for address in addresses.iter().filter(|address| !is_kernel_generated(address)) {
        // EEXIST: it was not lost. Anything else: the interface has disappeared or changed, and the address cannot be restored.
        let _ = netlink.change(RouteNetlinkMessage::NewAddress(address.clone()), NLM_F_CREATE | NLM_F_EXCL);
    }
}

/// The link-local address of a TUN device, which has no hardware address to derive one from, is random
/// (`addrconf_addr_gen`).
fn is_kernel_generated(address: &AddressMessage) -> bool {
    address.attributes.iter().any(|attribute| match attribute {
        AddressAttribute::Flags(flags) => flags.contains(AddressFlags::StablePrivacy),
        _ => false,
    })
}

fn address_message(index: u32, ip: IpAddr, prefix_len: u8) -> AddressMessage {
    let mut address = AddressMessage::default();
    address.header.family = if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    address.header.prefix_len = prefix_len;
    address.header.index = index;
    address.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    address
}
