//! What the kernel knows of an interface, asked by netlink: unlike `/sys/class/net`, which shows the
//! namespace in which it was mounted, the answer is always about this process's network namespace.

use std::io;

use netlink_packet_core::{DefaultNla, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoKind, InfoTun, LinkAttribute, LinkInfo, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

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
    let mut request = LinkMessage::default();
    request.attributes.push(LinkAttribute::IfName(name.to_owned()));
    match ask(RouteNetlinkMessage::GetLink(request)) {
        Ok(link) => Ok(Some(link)),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

fn ask(question: RouteNetlinkMessage) -> io::Result<Link> {
    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&SocketAddr::new(0, 0))?;

    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(question));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;

    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).map_err(io::Error::other)?;
    match answer.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => Ok(describe(&link)),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::Error::other("the kernel gave an unexpected answer about an interface")),
    }
}

fn describe(link: &LinkMessage) -> Link {
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
    let kind = if is_tun_driver { tun_kind(details) } else { LinkKind::Other };
    Link { index: link.header.index, kind }
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
