//! A checked view of an IP packet.
//!
//! The headers of each packet are read once, in [`IpPacket::parse`]. The source filter, the loop guard, the MSS
//! clamp, segmentation and coalescing take the view and never search for a header again.

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::ops::Deref;

/// An IP packet whose headers have been read and checked.
///
/// `Bytes` is `&[u8]` or `&mut [u8]`: exactly the packet, without anything that followed it.
#[derive(Clone, Copy, Debug)]
pub struct IpPacket<Bytes> {
    bytes: Bytes,
    version: Version,
    transport: Option<Transport>,
}

/// Why bytes are not an IP packet that can be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// There are no bytes.
    #[error("empty packet")]
    Empty,
    /// Not an IPv4 or IPv6 packet, or not all of it; or its virtio-net header does not fit it.
    #[error("malformed IP packet")]
    Malformed,
}

/// The IP version of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The transport header after the IP headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// At most the length of the packet.
    offset: u32,
    protocol: u8,
    header_len: Option<NonZeroU8>,
    fragment: Fragment,
    source_routed: bool,
}

/// Which part of a fragmented packet a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// Not a fragment.
    Whole,
    /// The first of several, with the transport header.
    First,
    /// Any other, without a transport header.
    Later,
}

impl<'p> IpPacket<&'p [u8]> {
    /// Reads and checks the headers of the packet at the start of `bytes`. What follows the packet is not part of the
    /// view, as an IP receiver ignores it too (RFC 1122 section 3.2.1).
    ///
    /// A broken chain of IPv6 extension headers and a truncated transport header are not errors: such packets
    /// are forwarded, but the view has no [`transport`](Self::transport), or no
    /// [`header_len`](Transport::header_len).
    ///
    /// # Errors
    /// [`Invalid::Empty`] without bytes. [`Invalid::Malformed`] when the version is neither 4 nor 6, the IP header is
    /// truncated or shorter than allowed, or the length it gives is shorter than itself or longer than `bytes`.
    #[inline]
    pub fn parse(bytes: &'p [u8]) -> Result<Self, Invalid> {
        let (version, len) = version_and_len(bytes).ok_or_else(|| invalid(bytes))?;
        let bytes = bytes.get(..len).ok_or(Invalid::Malformed)?;
        Ok(Self { version, transport: find_transport(version, bytes), bytes })
    }

    /// The packet at the start of `bytes`, of which the end may be missing, as it is in the first fragment of a datagram that
    /// carries it. `None` without a valid IP header.
    pub(crate) fn parse_start(bytes: &'p [u8]) -> Option<Self> {
        let (version, len) = version_and_stated_len(bytes)?;
        let bytes = bytes.get(..len).unwrap_or(bytes);
        Some(Self { version, transport: find_transport(version, bytes), bytes })
    }

    /// The bytes of the packet.
    #[must_use]
    pub fn bytes(&self) -> &'p [u8] {
        self.bytes
    }
}

impl<'p> IpPacket<&'p mut [u8]> {
    /// [`parse`](IpPacket::parse), for a packet that may be changed.
    ///
    /// # Errors
    /// As `parse`.
    #[inline]
    pub fn parse_mut(bytes: &'p mut [u8]) -> Result<Self, Invalid> {
        let (version, len) = version_and_len(bytes).ok_or_else(|| invalid(bytes))?;
        let bytes = bytes.get_mut(..len).ok_or(Invalid::Malformed)?;
        Ok(Self { version, transport: find_transport(version, bytes), bytes })
    }

    /// The same packet, no longer mutable.
    #[must_use]
    #[inline]
    pub fn into_shared(self) -> IpPacket<&'p [u8]> {
        IpPacket { bytes: self.bytes, version: self.version, transport: self.transport }
    }

    /// The bytes of the packet. Changes must keep the headers consistent with the view.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }
}

impl<Bytes: Deref<Target = [u8]>> IpPacket<Bytes> {
    /// The same view of the same bytes, for as long as this one lives.
    pub(crate) fn shared(&self) -> IpPacket<&[u8]> {
        IpPacket { bytes: &self.bytes, version: self.version, transport: self.transport }
    }

    /// The IP version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The source address. A packet always has one; callers that decide by it refuse a packet without.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        match self.version {
            Version::V4 => self.field(12).map(<[u8; 4]>::into),
            Version::V6 => self.field(8).map(<[u8; 16]>::into),
        }
    }

    /// The destination address in the IP header. A packet always has one.
    #[must_use]
    pub fn destination(&self) -> Option<IpAddr> {
        match self.version {
            Version::V4 => self.field(16).map(<[u8; 4]>::into),
            Version::V6 => self.field(24).map(<[u8; 16]>::into),
        }
    }

    /// The transport header after IPv4 options or IPv6 extension headers; `None` if those are broken.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// Length of the packet, bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a packet is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Source and destination port of TCP and UDP, if both are in this packet.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        let transport = self.transport()?;
        let has_ports = matches!(transport.protocol, TCP | UDP) && transport.fragment != Fragment::Later;
        let [s0, s1, d0, d1] = self.field(transport.offset()).filter(|_| has_ports)?;
        Some((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])))
    }

    /// Whether it is a TCP SYN or SYN-ACK.
    #[must_use]
    pub fn is_tcp_syn(&self) -> bool {
        self.transport().is_some_and(|transport| {
            transport.protocol == TCP
                && transport.fragment != Fragment::Later
                && self.field(transport.offset() + 13).is_some_and(|[flags]| flags & tcp_flag::SYN != 0)
        })
    }

    pub(crate) fn field<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }
}

/// Whether `bytes` are exactly one IP packet.
pub(crate) fn is_ip_packet(bytes: &[u8]) -> bool {
    version_and_len(bytes).is_some_and(|(_, len)| len == bytes.len())
}

fn invalid(bytes: &[u8]) -> Invalid {
    if bytes.is_empty() { Invalid::Empty } else { Invalid::Malformed }
}

/// Of the packet at the start of `bytes`, if its IP header is valid and it is complete.
#[inline]
fn version_and_len(bytes: &[u8]) -> Option<(Version, usize)> {
    version_and_stated_len(bytes).filter(|(_, len)| *len <= bytes.len())
}

/// Of the packet at the start of `bytes`, if its IP header is valid. The length is the one in the header.
#[inline]
fn version_and_stated_len(bytes: &[u8]) -> Option<(Version, usize)> {
    let found = match bytes.first()? >> 4 {
        4 => {
            let header: &[u8; IPV4_HEADER_LEN] = bytes.first_chunk()?;
            let header_len = usize::from(header[0] & 0x0F) * 4;
            let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
            if header_len < IPV4_HEADER_LEN || len < header_len {
                return None;
            }
            (Version::V4, len)
        }
        6 => {
            let header: &[u8; IPV6_HEADER_LEN] = bytes.first_chunk()?;
            let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
            // A length of zero before hop-by-hop options is a jumbogram (RFC 2675), longer than a datagram can be,
            // or the options are missing. Before anything else it is just an empty packet.
            if payload_len == 0 && header[6] == extension::HOP_BY_HOP {
                return None;
            }
            (Version::V6, IPV6_HEADER_LEN + payload_len)
        }
        _ => return None,
    };
    Some(found)
}

/// Finds the transport header; `None` where the headers before it are broken.
fn find_transport(version: Version, packet: &[u8]) -> Option<Transport> {
    match version {
        Version::V4 => find_transport_v4(packet),
        Version::V6 => find_transport_v6(packet),
    }
}

fn find_transport_v4(packet: &[u8]) -> Option<Transport> {
    const MORE_FRAGMENTS: u16 = 0x2000;
    const FRAGMENT_OFFSET: u16 = 0x1FFF;
    let header: &[u8; IPV4_HEADER_LEN] = packet.first_chunk()?;
    let offset = usize::from(header[0] & 0x0F) * 4;
    let options = packet.get(IPV4_HEADER_LEN..offset)?;
    let flags_and_offset = u16::from_be_bytes([header[6], header[7]]);
    let fragment = if flags_and_offset & FRAGMENT_OFFSET != 0 {
        Fragment::Later
    } else if flags_and_offset & MORE_FRAGMENTS != 0 {
        Fragment::First
    } else {
        Fragment::Whole
    };
    let source_routed = !options.is_empty() && has_unfinished_source_route(options);
    Transport::read(packet, header[9], offset, fragment, source_routed)
}

/// Whether IPv4 options hold a loose or strict source route that is not at its end (RFC 791 section 3.1).
fn has_unfinished_source_route(mut options: &[u8]) -> bool {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const LOOSE_SOURCE_ROUTE: u8 = 131;
    const STRICT_SOURCE_ROUTE: u8 = 137;
    loop {
        let len = match *options {
            [] | [END, ..] => return false,
            [NO_OPERATION, ..] => 1,
            [LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE, len, pointer, ..] if pointer < len => return true,
            [_, len, ..] if len >= 2 => usize::from(len),
            [_, ..] => return false,
        };
        let Some((_, rest)) = options.split_at_checked(len) else { return false };
        options = rest;
    }
}

fn find_transport_v6(packet: &[u8]) -> Option<Transport> {
    let header: &[u8; IPV6_HEADER_LEN] = packet.first_chunk()?;
    let mut protocol = header[6];
    let mut offset = IPV6_HEADER_LEN;
    let mut fragment = Fragment::Whole;
    let mut source_routed = false;
    // Each header is at least eight bytes long, so the walk ends with the packet.
    loop {
        let rest = packet.get(offset..)?;
        match protocol {
            extension::HOP_BY_HOP | extension::DESTINATION_OPTIONS => {}
            extension::ROUTING => source_routed |= *rest.get(3)? != 0,
            extension::FRAGMENT => {
                let header: &[u8; 8] = rest.first_chunk()?;
                protocol = header[0];
                offset += header.len();
                if u16::from_be_bytes([header[2], header[3]]) & 0xFFF8 != 0 {
                    return Transport::read(packet, protocol, offset, Fragment::Later, source_routed);
                }
                // An atomic fragment (RFC 6946), the first and the last one, does not count as whole: it cannot be
                // segmented or coalesced either.
                fragment = Fragment::First;
                continue;
            }
            _ => return Transport::read(packet, protocol, offset, fragment, source_routed),
        }
        let &[next, len, ..] = rest else { return None };
        protocol = next;
        offset += (usize::from(len) + 1) * 8;
    }
}

impl Transport {
    /// IP protocol number.
    #[must_use]
    pub fn protocol(self) -> u8 {
        self.protocol
    }

    /// Where it begins, bytes from the start of the packet; may be its end.
    #[must_use]
    pub fn offset(self) -> usize {
        self.offset as usize
    }

    /// Length of the transport header, bytes; `None` unless it is a TCP or UDP header that is all in this packet.
    #[must_use]
    pub fn header_len(self) -> Option<usize> {
        self.header_len.map(|len| len.get().into())
    }

    /// Which part of a fragmented packet this is.
    #[must_use]
    pub fn fragment(self) -> Fragment {
        self.fragment
    }

    /// Whether the IP header's destination is only the next hop of a source route, so that it is not the one in the
    /// pseudo header of the transport checksum (RFC 8200 section 8.1).
    #[must_use]
    pub fn is_source_routed(self) -> bool {
        self.source_routed
    }

    fn read(
        packet: &[u8],
        protocol: u8,
        offset: usize,
        fragment: Fragment,
        source_routed: bool,
    ) -> Option<Self> {
        let bytes = packet.get(offset..)?;
        let header_len = match protocol {
            _ if fragment == Fragment::Later => 0,
            TCP => match bytes.get(12) {
                Some(data_offset) if data_offset >> 4 >= 5 => (data_offset >> 4) * 4,
                _ => 0,
            },
            UDP => UDP_HEADER_LEN as u8,
            _ => 0,
        };
        let header_len = NonZeroU8::new(header_len).filter(|len| usize::from(len.get()) <= bytes.len());
        Some(Self { offset: offset as u32, protocol, header_len, fragment, source_routed })
    }
}

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

pub(crate) const IPV4_HEADER_LEN: usize = 20;
pub(crate) const IPV6_HEADER_LEN: usize = 40;
/// Without options; with all of them it is [`TCP_MAX_HEADER_LEN`].
pub(crate) const TCP_HEADER_LEN: usize = 20;
pub(crate) const TCP_MAX_HEADER_LEN: usize = 60;
pub(crate) const UDP_HEADER_LEN: usize = 8;

/// Bits of byte 13 of the TCP header (RFC 9293 section 3.1; CWR: RFC 3168).
pub(crate) mod tcp_flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
    pub(crate) const CWR: u8 = 0x80;
}

/// IPv6 extension headers that can precede TCP or UDP. Others (AH, ESP) protect what follows them, so they count as
/// the transport protocol.
mod extension {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const DESTINATION_OPTIONS: u8 = 60;
}
