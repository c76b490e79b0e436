//! The loop guard: recognises the tunnel's own datagrams when they are routed back into its device.
//!
//! Such a packet arrives when the route to the peer leads into the tunnel, or into another tunnel whose own peer is reached through
//! this one. In the second case the tunnel's datagram comes back inside a datagram of the other, or of several. Forwarding it would
//! encapsulate it again and again.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;

use crate::packet::{Fragment, IpPacket, Transport, UDP, UDP_HEADER_LEN, Version};

/// Recognises the datagrams of one tunnel.
#[derive(Clone, Debug)]
pub struct LoopGuard {
    local: SocketAddr,
    remote: SocketAddr,
    fragments: LoopedFragments,
}

/// The guard's verdict on a packet that was read from the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be forwarded.
    Passes,
    /// It is, or carries, one of the tunnel's own datagrams.
    Loops,
    /// It is a super-packet of datagrams that carry packets, each of which may loop or not: see [`LoopGuard::loops_inside`].
    EachPayload(Outside),
}

/// The headers around a payload, as far as they matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    to_peer: bool,
}

/// How many levels of nested packets are examined. No loop of fewer tunnels goes unnoticed.
const MAX_DEPTH: usize = 8;

impl LoopGuard {
    /// For a tunnel whose datagrams go from `local` to `remote`. An IPv4-mapped IPv6 address counts as IPv4, because the kernel
    /// sends IPv4.
    #[must_use]
    pub fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        let [local, remote] = [local, remote].map(canonical);
        Self { local, remote, fragments: LoopedFragments::default() }
    }

    /// Examines a packet that was read from the device; `is_super_packet`: it represents several, of one flow.
    ///
    /// The tunnel's own datagrams are known by both addresses and both ports, or where the source was translated on the way into the
    /// device (masquerading), by containing another datagram to the peer: these go round once before they are found. Later
    /// fragments, which have no ports, are judged as the first one was.
    #[inline]
    pub fn examine<Bytes: Deref<Target = [u8]>>(
        &mut self,
        packet: &IpPacket<Bytes>,
        is_super_packet: bool,
    ) -> Verdict {
        match packet.transport() {
            Some(transport) if may_carry_packets(transport.protocol()) => {
                self.examine_carrier(packet.shared(), is_super_packet)
            }
            _ => Verdict::Passes,
        }
    }

    /// Whether `payload`, of one of the datagrams of a super-packet, is or carries one of the tunnel's own.
    pub fn loops_inside(&mut self, outside: Outside, payload: &[u8]) -> bool {
        IpPacket::parse_start(payload).is_some_and(|packet| self.search(packet, outside.to_peer))
    }

    fn examine_carrier(&mut self, packet: IpPacket<&[u8]>, is_super_packet: bool) -> Verdict {
        let to_peer = self.is_to_peer(&packet);
        let is_whole = packet.transport().is_some_and(|transport| transport.fragment() == Fragment::Whole);
        // Nearly all packets.
        if is_whole && !to_peer && carried(&packet).is_none() {
            return Verdict::Passes;
        }
        let loops = match is_super_packet {
            true if !self.is_own(&packet) => {
                return carried(&packet)
                    .map_or(Verdict::Passes, |_| Verdict::EachPayload(Outside { to_peer }));
            }
            true => true,
            false => self.search(packet, false),
        };
        if loops { Verdict::Loops } else { Verdict::Passes }
    }

    /// Whether one of the tunnel's own datagrams is in `packet`, which may be `inside_to_peer`, a datagram to the peer.
    fn search(&mut self, packet: IpPacket<&[u8]>, inside_to_peer: bool) -> bool {
        let mut first_fragments = [None; MAX_DEPTH];
        let loops = self.descend(packet, inside_to_peer, &mut first_fragments);
        for fragment in first_fragments.into_iter().flatten() {
            self.fragments.judge(fragment, loops);
        }
        loops
    }

    fn descend(
        &self,
        mut packet: IpPacket<&[u8]>,
        mut inside_to_peer: bool,
        first_fragments: &mut [Option<FragmentedPacket>; MAX_DEPTH],
    ) -> bool {
        for first_fragment in first_fragments {
            match packet.transport().map(Transport::fragment) {
                Some(Fragment::Whole) => {}
                Some(Fragment::First) => *first_fragment = FragmentedPacket::of(&packet),
                Some(Fragment::Later) => return self.fragments.contain(&packet),
                None => return false,
            }
            let to_peer = self.is_to_peer(&packet);
            if to_peer && (inside_to_peer || self.is_own(&packet)) {
                return true;
            }
            inside_to_peer |= to_peer;
            let Some(inner) = carried(&packet) else { return false };
            packet = inner;
        }
        false
    }

    fn is_own(&self, packet: &IpPacket<&[u8]>) -> bool {
        self.is_to_peer(packet)
            && packet.ports().is_some_and(|(source, _)| source == self.local.port())
            && packet.source() == Some(self.local.ip())
    }

    fn is_to_peer(&self, packet: &IpPacket<&[u8]>) -> bool {
        packet.transport().is_some_and(|transport| transport.protocol() == UDP)
            && packet.ports().is_some_and(|(_, destination)| destination == self.remote.port())
            && packet.destination() == Some(self.remote.ip())
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Protocols that carry IP packets, other than [`UDP`].
mod carrier {
    pub(super) const IPV4: u8 = 4;
    pub(super) const IPV6: u8 = 41;
    pub(super) const GRE: u8 = 47;
}

fn may_carry_packets(protocol: u8) -> bool {
    matches!(protocol, UDP | carrier::IPV4 | carrier::IPV6 | carrier::GRE)
}

/// The IP packet that `packet` carries: as the payload of a UDP datagram, as ttun and the kernel's FOU send it, by VXLAN, or by the
/// kernel's other tunnels without encryption. Any payload may happen to begin as an IP packet does.
fn carried<'p>(packet: &IpPacket<&'p [u8]>) -> Option<IpPacket<&'p [u8]>> {
    let transport = packet.transport()?;
    let bytes = packet.bytes().get(transport.offset()..)?;
    let inner = match transport.protocol() {
        UDP => {
            let payload = bytes.get(UDP_HEADER_LEN..)?;
            let is_vxlan = packet.ports().is_some_and(|(_, destination)| VXLAN_PORTS.contains(&destination));
            if is_vxlan { after_ethernet(payload.get(VXLAN_HEADER_LEN..)?)? } else { payload }
        }
        carrier::IPV4 | carrier::IPV6 => bytes,
        carrier::GRE => after_gre(bytes)?,
        _ => return None,
    };
    IpPacket::parse_start(inner)
}

/// That of RFC 7348, and Linux's default.
const VXLAN_PORTS: [u16; 2] = [4789, 8472];
const VXLAN_HEADER_LEN: usize = 8;

/// EtherTypes, which GRE uses as well.
mod ether_type {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const IPV6: u16 = 0x86DD;
    /// Ethernet frames in GRE.
    pub(super) const ETHERNET: u16 = 0x6558;
}

fn after_ethernet(frame: &[u8]) -> Option<&[u8]> {
    const ADDRESSES_LEN: usize = 12;
    let (kind, packet) = frame.get(ADDRESSES_LEN..)?.split_first_chunk()?;
    matches!(u16::from_be_bytes(*kind), ether_type::IPV4 | ether_type::IPV6).then_some(packet)
}

/// RFC 2784, with the key and sequence number of RFC 2890.
fn after_gre(bytes: &[u8]) -> Option<&[u8]> {
    const OPTIONAL_FIELDS: u16 = 0x8000 | 0x2000 | 0x1000; // checksum, key, sequence number
    let (header, _) = bytes.split_first_chunk::<4>()?;
    let flags = u16::from_be_bytes([header[0], header[1]]);
    let fields_len = 4 * (flags & OPTIONAL_FIELDS).count_ones() as usize;
    let payload = bytes.get(header.len() + fields_len..)?;
    match u16::from_be_bytes([header[2], header[3]]) {
        ether_type::IPV4 | ether_type::IPV6 => Some(payload),
        ether_type::ETHERNET => after_ethernet(payload),
        _ => None,
    }
}

/// The fragmented packets that were found to loop, of which more fragments may follow: the last few of them, as the kernel sends the
/// fragments of a packet one after the other.
#[derive(Clone, Debug, Default)]
struct LoopedFragments {
    recent: [Option<FragmentedPacket>; 8],
    /// The one to be replaced next.
    next: usize,
    count: usize,
}

/// The fields that all fragments of a packet have in common (RFC 791 section 2.3, RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FragmentedPacket {
    id: u32,
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
}

impl LoopedFragments {
    fn contain(&self, later_fragment: &IpPacket<&[u8]>) -> bool {
        // Nearly always there are none.
        self.count > 0
            && FragmentedPacket::of(later_fragment)
                .is_some_and(|packet| self.recent.iter().flatten().any(|known| *known == packet))
    }

    /// Remembers a packet that loops, or forgets it: another packet may have the ID later.
    fn judge(&mut self, packet: FragmentedPacket, loops: bool) {
        if self.count == 0 && !loops {
            return;
        }
        let known = self.recent.iter().position(|known| *known == Some(packet));
        match (known, loops) {
            (None, true) => {
                let Some(place) = self.recent.get_mut(self.next) else { return };
                self.count += usize::from(place.is_none());
                *place = Some(packet);
                self.next = (self.next + 1) % self.recent.len();
            }
            (Some(index), false) => {
                self.recent[index] = None;
                self.count -= 1;
            }
            (Some(_), true) | (None, false) => {}
        }
    }
}

impl FragmentedPacket {
    fn of(packet: &IpPacket<&[u8]>) -> Option<Self> {
        let transport = packet.transport()?;
        let id = match packet.version() {
            Version::V4 => packet.field(4).map(u16::from_be_bytes)?.into(),
            // The last field of the fragment header, after which the kernel puts no other extension header.
            Version::V6 => packet.field(transport.offset().checked_sub(4)?).map(u32::from_be_bytes)?,
        };
        let (source, destination) = (packet.source()?, packet.destination()?);
        Some(Self { id, source, destination, protocol: transport.protocol() })
    }
}
