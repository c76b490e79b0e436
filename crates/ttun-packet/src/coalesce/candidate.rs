//! One packet as far as it can be judged without its neighbours: may it be part of a super-packet?

use super::CoalesceOptions;
use super::tunnel;
use crate::bytes::{be16, be32};
use crate::ip::{self, IPV4_DONT_FRAGMENT, IPV4_HEADER_LEN, IPV6_HEADER_LEN, Version};
use crate::tcp::{self, flag};
use crate::{checksum, udp};

/// The form of zero that computing a checksum never gives (except for UDP, which has it instead of the other form).
/// A packet that has it is right, but would come out with the other one.
const NEVER_COMPUTED: u16 = 0xFFFF;

/// A packet with nothing in its headers that would keep it from being merged. Its checksums are not verified yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'p> {
    pub(super) packet: &'p [u8],
    pub(super) version: Version,
    pub(super) protocol: Protocol,
    /// IP and transport header, bytes.
    pub(super) header_len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp { sequence: u32, push: bool },
    Udp,
}

impl<'p> Candidate<'p> {
    pub(super) fn read(packet: &'p [u8], options: CoalesceOptions) -> Option<Self> {
        let version = ip::version(packet)?;
        let protocol = match version {
            Version::V4 => plain_ipv4_protocol(packet)?,
            Version::V6 => plain_ipv6_protocol(packet)?,
        };
        let transport = packet.get(ip_header_len(version)..)?;
        let (protocol, transport_header_len) = match protocol {
            ip::TCP if options.tcp => plain_tcp(transport)?,
            ip::UDP if options.udp => plain_udp(transport)?,
            _ => return None,
        };
        Some(Self { packet, version, protocol, header_len: ip_header_len(version) + transport_header_len })
    }

    /// Where the transport header begins.
    pub(super) fn transport(&self) -> usize {
        ip_header_len(self.version)
    }

    /// Never 0.
    pub(super) fn payload_len(&self) -> usize {
        self.packet.len() - self.header_len
    }

    /// The IPv4 ID where it carries meaning: packets that may not be fragmented need none (RFC 6864 section 4.1).
    pub(super) fn meaningful_id(&self) -> Option<u16> {
        let [_, _, _, _, id_high, id_low, flags, ..] = *self.packet else { return None };
        let may_fragment = flags & (IPV4_DONT_FRAGMENT >> 8) as u8 == 0;
        (self.version == Version::V4 && may_fragment).then_some(u16::from_be_bytes([id_high, id_low]))
    }

    /// The TCP sequence number.
    pub(super) fn sequence(&self) -> Option<u32> {
        match self.protocol {
            Protocol::Tcp { sequence, .. } => Some(sequence),
            Protocol::Udp => None,
        }
    }

    /// Whether everything that cutting copies into each packet is the same in both: all of the headers but IPv4 ID,
    /// lengths, checksums, TCP sequence number and PSH.
    pub(super) fn has_headers_of(&self, other: &Candidate<'_>) -> bool {
        self.version == other.version
            && self.header_len == other.header_len
            && self.ip_header_is_that_of(other) == Some(true)
            && self.transport_header_is_that_of(other) == Some(true)
    }

    fn ip_header_is_that_of(&self, other: &Candidate<'_>) -> Option<bool> {
        Some(match self.version {
            Version::V4 => {
                let a: &[u8; IPV4_HEADER_LEN] = self.packet.first_chunk()?;
                let b: &[u8; IPV4_HEADER_LEN] = other.packet.first_chunk()?;
                // addresses; flags, TTL, protocol; version, header length, TOS with ECN
                a[12..20] == b[12..20] && a[6..10] == b[6..10] && a[0..2] == b[0..2]
            }
            Version::V6 => {
                let a: &[u8; IPV6_HEADER_LEN] = self.packet.first_chunk()?;
                let b: &[u8; IPV6_HEADER_LEN] = other.packet.first_chunk()?;
                // addresses; next header, hop limit; version, traffic class with ECN, flow label
                a[8..40] == b[8..40] && a[6..8] == b[6..8] && a[0..4] == b[0..4]
            }
        })
    }

    fn transport_header_is_that_of(&self, other: &Candidate<'_>) -> Option<bool> {
        let a = self.packet.get(self.transport()..self.header_len)?;
        let b = other.packet.get(other.transport()..other.header_len)?;
        Some(match (self.protocol, other.protocol) {
            (Protocol::Tcp { .. }, Protocol::Tcp { .. }) => {
                let (a, a_options) = a.split_first_chunk::<{ tcp::MIN_HEADER_LEN }>()?;
                let (b, b_options) = b.split_first_chunk::<{ tcp::MIN_HEADER_LEN }>()?;
                // ports; ACK number, data offset; window; urgent pointer
                a[0..4] == b[0..4]
                    && a[8..13] == b[8..13]
                    && a[14..16] == b[14..16]
                    && a[18..20] == b[18..20]
                    && a_options == b_options
            }
            (Protocol::Udp, Protocol::Udp) => a.first_chunk::<4>()? == b.first_chunk::<4>()?, // ports
            (Protocol::Tcp { .. }, Protocol::Udp) | (Protocol::Udp, Protocol::Tcp { .. }) => false,
        })
    }

    /// Whether all checksums are right: merging gives the packet new ones, and would mend a broken packet.
    pub(super) fn has_right_checksums(&self) -> bool {
        let ip_header = self.packet.get(..self.transport()).unwrap_or_default();
        let ip_is_right = match self.version {
            Version::V4 => checksum::fold(checksum::sum(ip_header)) == 0xFFFF,
            Version::V6 => true,
        };
        ip_is_right && {
            // Addresses and transport stand side by side, so one pass sums most of the pseudo header too.
            let (addresses, protocol) = match self.version {
                Version::V4 => (12, ip_header.get(9)),
                Version::V6 => (8, ip_header.get(6)),
            };
            let summed = self.packet.get(addresses..).unwrap_or_default();
            let transport_len = self.packet.len() - self.transport();
            let rest = u64::from(protocol.copied().unwrap_or_default()) + transport_len as u64;
            checksum::fold(checksum::sum(summed) + rest) == 0xFFFF
        }
    }
}

fn ip_header_len(version: Version) -> usize {
    match version {
        Version::V4 => IPV4_HEADER_LEN,
        Version::V6 => IPV6_HEADER_LEN,
    }
}

/// The protocol of an IPv4 packet without options that is no fragment.
fn plain_ipv4_protocol(packet: &[u8]) -> Option<u8> {
    const VERSION_4_WITHOUT_OPTIONS: u8 = 0x45;
    let header: &[u8; IPV4_HEADER_LEN] = packet.first_chunk()?;
    let total_len = u16::from_be_bytes([header[2], header[3]]);
    let flags_and_offset = u16::from_be_bytes([header[6], header[7]]);
    let checksum = u16::from_be_bytes([header[10], header[11]]);
    let plain = header[0] == VERSION_4_WITHOUT_OPTIONS
        && usize::from(total_len) == packet.len()
        // neither a fragment nor the reserved bit
        && flags_and_offset & !IPV4_DONT_FRAGMENT == 0
        && checksum != NEVER_COMPUTED;
    plain.then_some(header[9])
}

/// The protocol of an IPv6 packet; with extension headers it is none of those that merge.
fn plain_ipv6_protocol(packet: &[u8]) -> Option<u8> {
    let header: &[u8; IPV6_HEADER_LEN] = packet.first_chunk()?;
    let payload_len = u16::from_be_bytes([header[4], header[5]]);
    (IPV6_HEADER_LEN + usize::from(payload_len) == packet.len()).then_some(header[6])
}

/// A TCP segment with payload and no flag but ACK and PSH. Returns the length of its header too.
fn plain_tcp(transport: &[u8]) -> Option<(Protocol, usize)> {
    /// All behind the data offset, with the reserved bits and AE (once NS).
    const FLAGS: u16 = 0x0FFF;
    const ACK: u16 = flag::ACK as u16;
    const PSH: u16 = flag::PSH as u16;
    let header: &[u8; tcp::MIN_HEADER_LEN] = transport.first_chunk()?;
    let offset_and_flags = be16(header, tcp::field::DATA_OFFSET)?;
    let header_len = usize::from(offset_and_flags >> 12) * 4;
    let plain = (tcp::MIN_HEADER_LEN..transport.len()).contains(&header_len)
        && offset_and_flags & FLAGS & !PSH == ACK
        && be16(header, tcp::field::CHECKSUM)? != NEVER_COMPUTED;
    let sequence = be32(header, tcp::field::SEQUENCE)?;
    plain.then_some((Protocol::Tcp { sequence, push: offset_and_flags & PSH != 0 }, header_len))
}

/// A UDP datagram with payload and a checksum. Returns the length of its header too.
fn plain_udp(transport: &[u8]) -> Option<(Protocol, usize)> {
    let (header, payload) = transport.split_first_chunk::<{ udp::HEADER_LEN }>()?;
    let [source_high, source_low, destination_high, destination_low, len_high, len_low, checksum @ ..] =
        *header;
    let plain = !payload.is_empty()
        && usize::from(u16::from_be_bytes([len_high, len_low])) == transport.len()
        // no checksum: it would get one (IPv4), or is not allowed (IPv6)
        && checksum != [0, 0]
        && !tunnel::is_carried(
            u16::from_be_bytes([source_high, source_low]),
            u16::from_be_bytes([destination_high, destination_low]),
            payload,
        );
    plain.then_some((Protocol::Udp, udp::HEADER_LEN))
}
