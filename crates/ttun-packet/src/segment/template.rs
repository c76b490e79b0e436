//! The header of a super-packet, read once, from which the header of each of its packets is made.

use crate::bytes::{be16, be32, put};
use crate::ip::{self, Fragment, IPV4_HEADER_LEN, IPV6_HEADER_LEN, Version};
use crate::tcp::{self, flag};
use crate::{VirtioNetHeader, checksum, udp};

/// What is the same in all packets: where the headers stand, and the sums of the parts that do not change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template {
    /// All headers, bytes.
    pub(super) header_len: usize,
    /// Where the transport header begins.
    transport: usize,
    ip: Ip,
    protocol: Protocol,
    /// Sum of the pseudo header without its length, and of the transport header without what [`Protocol`] lists.
    transport_sum: u64,
}

#[derive(Clone, Copy, Debug)]
enum Ip {
    /// `sum` is that of the header without total length, ID and checksum.
    V4 {
        id: u16,
        sum: u64,
    },
    V6,
}

/// The fields that differ between packets, besides the checksum.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    Tcp {
        sequence: u32,
        flags: u8,
    },
    /// The length.
    Udp,
    /// The length; the sender chose to have no checksum (RFC 768).
    UdpWithoutChecksum,
}

/// One packet of the super-packet.
pub(super) struct Segment<'p> {
    /// How many packets are before it, modulo 2^16.
    pub(super) index: u16,
    /// How many payload bytes are before it.
    pub(super) offset: u32,
    pub(super) first: bool,
    pub(super) last: bool,
    pub(super) payload: &'p [u8],
}

impl Template {
    /// Reads the header of the super-packet `packet`, which ends where its IP header says. `None` if it is not one of
    /// the type that `virtio` tells.
    pub(super) fn read(virtio: VirtioNetHeader, packet: &[u8]) -> Option<Self> {
        let found = ip::transport(packet)?;
        if found.fragment != Fragment::Whole {
            return None;
        }
        let (ip_header, transport) = packet.split_at_checked(found.offset)?;
        let (protocol, transport_header_len) = match (virtio.gso(), found.version, found.protocol) {
            (VirtioNetHeader::GSO_TCPV4, Version::V4, ip::TCP)
            | (VirtioNetHeader::GSO_TCPV6, Version::V6, ip::TCP) => {
                let header: &[u8; tcp::MIN_HEADER_LEN] = transport.first_chunk()?;
                let header_len = usize::from(header[tcp::field::DATA_OFFSET] >> 4) * 4;
                let sequence = be32(header, tcp::field::SEQUENCE)?;
                (Protocol::Tcp { sequence, flags: header[tcp::field::FLAGS] }, header_len)
            }
            (VirtioNetHeader::GSO_UDP_L4, version, ip::UDP) => {
                // With the checksum left to us the field holds a partial sum, whatever its value.
                let absent = !virtio.needs_checksum() && be16(transport, udp::field::CHECKSUM)? == 0;
                let protocol = if absent && version == Version::V4 {
                    Protocol::UdpWithoutChecksum
                } else {
                    Protocol::Udp
                };
                (protocol, udp::HEADER_LEN)
            }
            _ => return None,
        };
        let transport_header = transport.get(..transport_header_len)?;
        let pseudo_header = if found.source_routed {
            pseudo_header_sum_in_field(virtio, protocol, transport)?
        } else {
            pseudo_header_sum(ip_header, found.version)? + u64::from(found.protocol)
        };
        Some(Self {
            header_len: found.offset + transport_header_len,
            transport: found.offset,
            ip: match found.version {
                Version::V4 => Ip::V4 { id: be16(ip_header, 4)?, sum: constant_ipv4_sum(ip_header)? },
                Version::V6 => Ip::V6,
            },
            protocol,
            transport_sum: pseudo_header + constant_transport_sum(protocol, transport_header)?,
        })
    }

    /// Makes the header of `segment` of `header`, a copy of the super-packet's.
    pub(super) fn patch(&self, segment: &Segment<'_>, header: &mut [u8]) {
        let Some((ip_header, transport_header)) = header.split_at_mut_checked(self.transport) else { return };
        let transport_len = transport_header.len() + segment.payload.len();
        // At most 65,535 for both, because the super-packet's own lengths were and no packet of it is longer.
        let transport_len_field = transport_len as u16;
        match self.ip {
            Ip::V4 { id, sum } => {
                let total_len = (ip_header.len() + transport_len) as u16;
                let id = id.wrapping_add(segment.index);
                put(ip_header, 2, total_len.to_be_bytes());
                put(ip_header, 4, id.to_be_bytes());
                let checksum = checksum::finish(sum + u64::from(total_len) + u64::from(id));
                put(ip_header, 10, checksum.to_be_bytes());
            }
            Ip::V6 => {
                let extensions_len = ip_header.len().saturating_sub(IPV6_HEADER_LEN);
                let payload_len = (extensions_len + transport_len) as u16;
                put(ip_header, 4, payload_len.to_be_bytes());
            }
        }
        let sum = |payload| self.transport_sum + u64::from(transport_len_field) + checksum::sum(payload);
        match self.protocol {
            Protocol::Tcp { sequence, flags } => {
                let sequence = sequence.wrapping_add(segment.offset);
                let flags = segment_flags(flags, segment);
                put(transport_header, tcp::field::SEQUENCE, sequence.to_be_bytes());
                put(transport_header, tcp::field::FLAGS, [flags]);
                let sum = sum(segment.payload) + u64::from(sequence) + u64::from(flags);
                put(transport_header, tcp::field::CHECKSUM, checksum::finish(sum).to_be_bytes());
            }
            Protocol::Udp => {
                put(transport_header, udp::field::LENGTH, transport_len_field.to_be_bytes());
                // The length stands in the pseudo header and in the header.
                let sum = sum(segment.payload) + u64::from(transport_len_field);
                put(transport_header, udp::field::CHECKSUM, checksum::finish_udp(sum).to_be_bytes());
            }
            Protocol::UdpWithoutChecksum => {
                put(transport_header, udp::field::LENGTH, transport_len_field.to_be_bytes());
            }
        }
    }
}

/// FIN and PSH speak of the end of the data, CWR of one congestion event: once each
/// (tcp_gso_segment in net/ipv4/tcp_offload.c; RFC 3168 section 6.1.2).
fn segment_flags(flags: u8, segment: &Segment<'_>) -> u8 {
    let mut flags = flags;
    if !segment.first {
        flags &= !flag::CWR;
    }
    if !segment.last {
        flags &= !(flag::FIN | flag::PSH);
    }
    flags
}

/// Sum of the addresses, which stand last in both IP headers (before options and extension headers).
fn pseudo_header_sum(ip_header: &[u8], version: Version) -> Option<u64> {
    let addresses = match version {
        Version::V4 => ip_header.get(12..IPV4_HEADER_LEN)?,
        Version::V6 => ip_header.get(8..IPV6_HEADER_LEN)?,
    };
    Some(checksum::sum(addresses))
}

/// The same, and the protocol, taken from the checksum field, where the kernel leaves the sum of the whole pseudo
/// header for the network card. Needed only where the packet is source-routed: the destination that counts is then the
/// final one (RFC 8200 section 8.1), and each kind of routing header has that somewhere else.
fn pseudo_header_sum_in_field(virtio: VirtioNetHeader, protocol: Protocol, transport: &[u8]) -> Option<u64> {
    let at = match protocol {
        Protocol::Tcp { .. } => tcp::field::CHECKSUM,
        Protocol::Udp => udp::field::CHECKSUM,
        // Nothing will be summed.
        Protocol::UdpWithoutChecksum => return Some(0),
    };
    if !virtio.needs_checksum() {
        return None;
    }
    let length_taken_out = !(transport.len() as u16);
    Some(u64::from(be16(transport, at)?) + u64::from(length_taken_out))
}

fn constant_ipv4_sum(ip_header: &[u8]) -> Option<u64> {
    let (fixed, options) = ip_header.split_first_chunk::<IPV4_HEADER_LEN>()?;
    let mut fixed = *fixed;
    fixed[2..6].fill(0); // total length, ID
    fixed[10..12].fill(0); // checksum
    Some(checksum::sum(&fixed) + checksum::sum(options))
}

/// `None` if a TCP header claims to be shorter than it can be.
fn constant_transport_sum(protocol: Protocol, header: &[u8]) -> Option<u64> {
    match protocol {
        Protocol::Tcp { .. } => {
            let (fixed, options) = header.split_first_chunk::<{ tcp::MIN_HEADER_LEN }>()?;
            let mut fixed = *fixed;
            fixed[tcp::field::SEQUENCE..tcp::field::SEQUENCE + 4].fill(0);
            fixed[tcp::field::FLAGS] = 0;
            fixed[tcp::field::CHECKSUM..tcp::field::CHECKSUM + 2].fill(0);
            Some(checksum::sum(&fixed) + checksum::sum(options))
        }
        Protocol::Udp | Protocol::UdpWithoutChecksum => {
            let ports = header.get(..udp::field::LENGTH)?;
            Some(checksum::sum(ports))
        }
    }
}
