//! Inspecting interfaces, to diagnose tunnels: their state, and the attached processes.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process;

use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage, Stats64};

use crate::link::{self, LinkKind, kind, mtu, name};
use crate::netlink::Netlink;

/// An interface and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// The kind of interface.
    pub kind: LinkKind,
    /// The longest packet it can carry, bytes.
    pub mtu: u32,
    /// Whether it was brought up.
    pub up: bool,
    /// Whether it is up and could carry packets; of a TUN device, whether a program is attached to it.
    pub carrier: bool,
    /// Its addresses, with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Received packets that the kernel dropped; of a TUN device, packets that the program wrote.
    pub rx_dropped: u64,
    /// Packets that the kernel could not send through it; of a TUN device, those for which its queue had no room.
    pub tx_dropped: u64,
}

/// Describes the interface called `name`; `None` when there is none.
///
/// # Errors
/// Any error of the kernel, except that there is no such interface.
pub fn describe(name: &str) -> io::Result<Option<Interface>> {
    let netlink = Netlink::open()?;
    let Some(link) = link::by_name(&netlink, name)? else { return Ok(None) };
    let addresses = link::addresses_of(&netlink, link.header.index)?;
    Ok(Some(interface(&link, &addresses)))
}

/// Describes all interfaces of this network namespace.
///
/// # Errors
/// Any error of the kernel.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let netlink = Netlink::open()?;
    let links = link::all(&netlink)?;
    let addresses = link::all_addresses(&netlink)?;
    Ok(links.iter().map(|link| interface(link, &addresses)).collect())
}

/// An address of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of its interface.
    pub index: u32,
    /// Name of its interface.
    pub device: String,
    /// The length of its prefix.
    pub prefix_len: u8,
    /// Whether it may be the source of new packets: an IPv6 address is not while the kernel looks for duplicates, and when its
    /// preferred lifetime has ended (RFC 4862, sections 5.4 and 5.5.4).
    pub preferred: bool,
}

/// Looks up which interface has the address `ip`; `None` if none has it.
///
/// # Errors
/// Any error of the kernel.
pub fn place_of(ip: IpAddr) -> io::Result<Option<Place>> {
    let netlink = Netlink::open()?;
    for address in link::all_addresses(&netlink)? {
        if let Some((_, prefix_len)) = link::own_address(&address).filter(|(own, _)| *own == ip) {
            let index = address.header.index;
            let device = name(&link::by_index(&netlink, index)?);
            return Ok(Some(Place { index, device, prefix_len, preferred: link::is_preferred(&address) }));
        }
    }
    Ok(None)
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
        addresses: own.filter_map(link::own_address).collect(),
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

/// A process that is attached to a TUN device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process ID.
    pub pid: u32,
    /// The name of its program (`/proc/PID/comm`).
    pub program: String,
}

impl Holder {
    /// Whether it is the calling process.
    #[must_use]
    pub fn is_this_process(&self) -> bool {
        self.pid == process::id()
    }
}

/// Finds the process that is attached to the TUN device `name`, among those of this network namespace: a device of the same
/// name in another namespace is another device. Netlink does not report this; `/proc` does, for root and the process's own user.
/// `None` when this user may not see it.
#[must_use]
pub fn holder_of(name: &str) -> Option<Holder> {
    let namespace = namespace(Path::new("/proc/thread-self"))?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.into_iter().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let folder = entry.path();
        let holds = self::namespace(&folder) == Some(namespace) && has_open(&folder, name);
        holds.then(|| {
            let program = fs::read_to_string(folder.join("comm")).unwrap_or_default();
            Holder { pid, program: program.trim_end().to_owned() }
        })
    })
}

/// The inode of a process's or thread's network namespace.
fn namespace(folder: &Path) -> Option<u64> {
    fs::metadata(folder.join("ns/net")).ok().map(|namespace| namespace.ino())
}

fn has_open(folder: &Path, name: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(folder.join("fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        // The device node may have another path in the file system of that process.
        let is_tun = fs::read_link(descriptor.path()).is_ok_and(|target| target.ends_with("tun"));
        is_tun && attached_to(&folder.join("fdinfo").join(descriptor.file_name())).as_deref() == Some(name)
    })
}

/// The line `iff:` and the name (`tun_chr_show_fdinfo` in drivers/net/tun.c).
fn attached_to(path: &Path) -> Option<String> {
    let info = fs::read_to_string(path).ok()?;
    info.lines().find_map(|line| line.strip_prefix("iff:")).map(|name| name.trim().to_owned())
}
