//! What the kernel knows of an interface, asked by netlink: unlike `/sys/class/net`, which shows the
//! namespace in which it was mounted, the answer is always about this thread's network namespace.

use std::io;

use netlink_packet_core::{DefaultNla, Nla};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoTun, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use crate::netlink::{Netlink, Refusal};

/// An interface of this network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number of the interface.
    pub index: u32,
    /// What it carries.
    pub kind: LinkKind,
}

/// What kind of interface it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// Carries IP packets.
    Tun {
        /// Whether it was made for several queues; attaching must ask for the same.
        multi_queue: bool,
        /// The user who may attach to it besides those with `CAP_NET_ADMIN`.
        owner: Option<u32>,
        /// The group that may attach to it.
        group: Option<u32>,
    },
    /// Carries Ethernet frames.
    Tap,
    /// Not made by the TUN driver.
    Other,
}

/// Looks up the interface called `name`; `None` when there is none.
///
/// # Errors
/// Whatever the kernel answers but that there is no such interface.
pub fn find(name: &str) -> io::Result<Option<Link>> {
    let link = by_name(&Netlink::open()?, name)?;
    Ok(link.map(|link| Link { index: link.header.index, kind: kind(&link) }))
}

pub(crate) fn by_name(netlink: &Netlink, name: &str) -> Result<Option<LinkMessage>, Refusal> {
    let mut question = LinkMessage::default();
    question.attributes.push(LinkAttribute::IfName(name.to_owned()));
    match get(netlink, question) {
        Ok(link) => Ok(Some(link)),
        Err(refusal) if refusal.is(libc::ENODEV) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

pub(crate) fn by_index(netlink: &Netlink, index: u32) -> Result<LinkMessage, Refusal> {
    get(netlink, of(index))
}

fn get(netlink: &Netlink, question: LinkMessage) -> Result<LinkMessage, Refusal> {
    match netlink.get(RouteNetlinkMessage::GetLink(question))? {
        RouteNetlinkMessage::NewLink(link) => Ok(link),
        _ => Err(io::Error::other("the kernel gave an unexpected answer about an interface").into()),
    }
}

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

pub(crate) fn bring_up(netlink: &Netlink, index: u32) -> Result<(), Refusal> {
    set_flags(netlink, index, LinkFlags::Up)
}

pub(crate) fn take_down(netlink: &Netlink, index: u32) -> Result<(), Refusal> {
    set_flags(netlink, index, LinkFlags::empty())
}

fn set_flags(netlink: &Netlink, index: u32, flags: LinkFlags) -> Result<(), Refusal> {
    let mut request = of(index);
    request.header.flags = flags;
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
