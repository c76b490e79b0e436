//! Addresses of an interface.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::netlink::{Netlink, Refusal};

/// Adds an address as `ip address add IP/LEN dev DEVICE` does, for IPv6 with `nodad`: local and prefix address the
/// same, no broadcast address (a point-to-point device has none), the scope as the kernel sets it.
///
/// The kernel looks for IPv6 duplicates only on devices that resolve addresses, and TUN devices are `IFF_NOARP`
/// (`addrconf_dad_begin`). But it finds that out in a task of its own, and until then the address is tentative and
/// nothing can be bound to it.
pub(crate) fn add(netlink: &Netlink, index: u32, ip: IpAddr, prefix_len: u8) -> Result<(), Refusal> {
    let mut address = message(index, ip, prefix_len);
    if ip.is_ipv6() {
        address.header.flags = AddressHeaderFlags::Nodad;
    }
    netlink.change(RouteNetlinkMessage::NewAddress(address), NLM_F_CREATE | NLM_F_EXCL)
}

pub(crate) fn remove(netlink: &Netlink, index: u32, ip: IpAddr, prefix_len: u8) -> Result<(), Refusal> {
    netlink.change(RouteNetlinkMessage::DelAddress(message(index, ip, prefix_len)), 0)
}

/// The addresses of an interface, in the order in which they were given to it.
pub(crate) fn list(netlink: &Netlink, index: u32) -> Result<Vec<AddressMessage>, Refusal> {
    let mut question = AddressMessage::default();
    question.header.index = index;
    addresses(netlink, question)
        .map(|all| all.into_iter().filter(|address| address.header.index == index).collect())
}

/// The addresses of all interfaces.
pub(crate) fn all(netlink: &Netlink) -> Result<Vec<AddressMessage>, Refusal> {
    addresses(netlink, AddressMessage::default())
}

/// The address itself, which is not the peer's where the message has both.
pub(crate) fn local(address: &AddressMessage) -> Option<IpAddr> {
    let mut found = None;
    for attribute in &address.attributes {
        match attribute {
            AddressAttribute::Local(ip) => return Some(*ip),
            AddressAttribute::Address(ip) => found = Some(*ip),
            _ => {}
        }
    }
    found
}

/// Gives an interface those of `addresses` again that it has no longer. Those that the kernel makes by itself
/// when the interface comes up are left to it.
pub(crate) fn give_back(netlink: &Netlink, addresses: &[AddressMessage]) {
    for address in addresses.iter().filter(|address| !is_made_by_kernel(address)) {
        // EEXIST: it has kept it. Anything else: the interface has vanished or changed, and can't be as it was.
        let _ = netlink.change(RouteNetlinkMessage::NewAddress(address.clone()), NLM_F_CREATE | NLM_F_EXCL);
    }
}

fn addresses(netlink: &Netlink, question: AddressMessage) -> Result<Vec<AddressMessage>, Refusal> {
    let answers = netlink.list(&RouteNetlinkMessage::GetAddress(question))?;
    let addresses = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewAddress(address) => Some(address),
        _ => None,
    });
    Ok(addresses.collect())
}

fn message(index: u32, ip: IpAddr, prefix_len: u8) -> AddressMessage {
    let mut address = AddressMessage::default();
    address.header.family = if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    address.header.prefix_len = prefix_len;
    address.header.index = index;
    address.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    address
}

/// The link-local address of a TUN device, which has no hardware address to make one of, is a random one
/// (`addrconf_addr_gen`).
fn is_made_by_kernel(address: &AddressMessage) -> bool {
    address.attributes.iter().any(|attribute| match attribute {
        AddressAttribute::Flags(flags) => flags.contains(AddressFlags::StablePrivacy),
        _ => false,
    })
}
