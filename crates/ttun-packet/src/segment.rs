//! Segmentation: one read from the device as the MTU-sized packets it represents.
//!
//! The kernel delivers a super-packet: one header and up to 64 KiB of payload (GSO). The packets sent on the wire are those that a
//! network card would split it into. Their payload stays where it was read; only their headers are rebuilt.

use std::ops::Range;

use crate::packet::{
    Fragment, IPV4_HEADER_LEN, IPV6_HEADER_LEN, Invalid, IpPacket, TCP, TCP_HEADER_LEN, UDP, UDP_HEADER_LEN,
    Version, tcp_flag,
};
use crate::{VirtioNetHeader, checksum};

/// Upper bound of [`Segments::header_len`], bytes.
///
/// IPv4 needs at most 60 bytes of IP header and 60 of TCP. IPv6 itself has no bound; this one leaves over 400 bytes
/// for extension headers, enough for a routing header of 25 hops. Super-packets with more are refused.
pub const MAX_SEGMENT_HEADER_LEN: usize = 512;

/// The packets that one read from the device represents.
///
/// Holds numbers only, so that the buffer of the packet can be used meanwhile. The methods that take it again expect
/// the bytes of the packet given to [`new`](Self::new).
#[derive(Clone, Copy, Debug)]
pub struct Segments {
    packet_len: usize,
    count: usize,
    /// Payload bytes of each packet but the last.
    payload_size: usize,
    /// `None` for a packet that goes out as it is.
    template: Option<Template>,
}

impl Segments {
    /// Plans the packets of `packet`, which was read from the device with `virtio` before it.
    ///
    /// A packet that is not a super-packet goes out as it is, except that a checksum left to us is completed in place.
    /// Header lengths come from the packet; the kernel's `hdr_len` is a hint that can be wrong.
    ///
    /// # Errors
    /// [`Invalid::Malformed`] when the checksum to complete is outside the packet; when a super-packet's type is not
    /// TCPv4, TCPv6 or USO, does not match its protocol, or has a size of zero; when its headers are truncated,
    /// fragmented or longer than [`MAX_SEGMENT_HEADER_LEN`].
    pub fn new(virtio: VirtioNetHeader, packet: &mut IpPacket<&mut [u8]>) -> Result<Self, Invalid> {
        let packet_len = packet.bytes_mut().len();
        if virtio.gso() == VirtioNetHeader::GSO_NONE {
            if virtio.needs_checksum() {
                complete_checksum(packet, virtio).ok_or(Invalid::Malformed)?;
            }
            return Ok(Self { packet_len, count: 1, payload_size: packet_len, template: None });
        }
        let template = Template::read(virtio, packet).ok_or(Invalid::Malformed)?;
        let payload_size = usize::from(virtio.gso_size);
        if payload_size == 0 || template.header_len > MAX_SEGMENT_HEADER_LEN {
            return Err(Invalid::Malformed);
        }
        let payload_len = packet_len - template.header_len;
        // A super-packet without payload still represents one packet.
        let count = payload_len.div_ceil(payload_size).max(1);
        Ok(Self { packet_len, count, payload_size, template: Some(template) })
    }

    /// How many packets there are, at least 1. With a tiny segment size it can be tens of thousands.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Length of the header that [`write_header`](Self::write_header) builds, bytes, the same for all packets.
    /// 0 when there is nothing to build: then the payload of the one packet is the whole packet.
    #[must_use]
    pub fn header_len(&self) -> usize {
        self.template.map_or(0, |template| template.header_len)
    }

    /// Length of packet `index`, header and payload, bytes.
    #[must_use]
    pub fn packet_len(&self, index: usize) -> usize {
        self.header_len() + self.payload(index).len()
    }

    /// Where the payload of packet `index` is in the super-packet. Empty past the last packet.
    #[must_use]
    pub fn payload(&self, index: usize) -> Range<usize> {
        let before = index.saturating_mul(self.payload_size);
        let start = self.header_len().saturating_add(before).min(self.packet_len);
        let end = start.saturating_add(self.payload_size).min(self.packet_len);
        start..end
    }

    /// Builds the header of packet `index` at the start of `out`, with all lengths and checksums complete, and returns the
    /// payload. `packet` is the packet given to [`new`](Self::new).
    ///
    /// `None`, and `out` is unchanged, past the last packet and when `packet` or `out` is too short: such a packet must
    /// not be sent.
    #[must_use = "without its header the packet must not be sent"]
    pub fn write_header<'p>(&self, index: usize, packet: &'p [u8], out: &mut [u8]) -> Option<&'p [u8]> {
        if index >= self.count {
            return None;
        }
        let payload = packet.get(self.payload(index))?;
        let Some(template) = &self.template else { return Some(payload) };
        let header = packet.get(..template.header_len)?;
        let out = out.get_mut(..template.header_len)?;
        out.copy_from_slice(header);
        let segment = Segment {
            index: index as u16, // counts modulo 2^16, as IPv4 IDs do
            offset: (index * self.payload_size) as u32,
            first: index == 0,
            last: index + 1 == self.count,
            payload,
        };
        template.patch(&segment, out)?;
        Some(payload)
    }
}

/// Completes a checksum that the kernel left to the network card: sums from `csum_start` to the end, including the sum of the pseudo
/// header that the kernel put in the checksum field, and stores the result there (skb_checksum_help in net/core/dev.c).
/// The bytes before `csum_start` do not matter: they may be options, or the outer headers of a tunnel.
fn complete_checksum(packet: &mut IpPacket<&mut [u8]>, virtio: VirtioNetHeader) -> Option<()> {
    /// Of the protocols whose checksum must not be zero only UDP has it there, even hidden in a tunnel.
    const UDP_CHECKSUM: usize = 6;
    let ip_header_len = match packet.version() {
        Version::V4 => IPV4_HEADER_LEN,
        Version::V6 => IPV6_HEADER_LEN,
    };
    let start = usize::from(virtio.csum_start);
    if start < ip_header_len {
        return None;
    }
    let covered = packet.bytes_mut().get_mut(start..)?;
    let sum = checksum::sum(covered);
    let offset = usize::from(virtio.csum_offset);
    let field = covered.get_mut(offset..)?.first_chunk_mut()?;
    let checksum = if offset == UDP_CHECKSUM { checksum::finish_udp(sum) } else { checksum::finish(sum) };
    *field = checksum.to_be_bytes();
    Some(())
}

/// The common parts of all packets of a super-packet: where the headers are, and the sums of the parts that do not change.
#[derive(Clone, Copy, Debug)]
struct Template {
    /// All headers, bytes.
    header_len: usize,
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

/// One packet of a super-packet.
struct Segment<'p> {
    /// How many packets precede it, modulo 2^16.
    index: u16,
    /// How many payload bytes precede it.
    offset: u32,
    first: bool,
    last: bool,
    payload: &'p [u8],
}

impl Template {
    /// `None` if the packet is not a super-packet of the type in `virtio`.
    fn read(virtio: VirtioNetHeader, packet: &mut IpPacket<&mut [u8]>) -> Option<Self> {
        let version = packet.version();
        let found = packet.transport()?;
        if found.fragment() != Fragment::Whole {
            return None;
        }
        let (ip_header, transport) = packet.bytes_mut().split_at_checked(found.offset())?;
        let header = transport.get(..found.header_len()?)?;
        let (ip, addresses_sum) = read_ip_header(version, ip_header)?;
        let (protocol, checksum, header_sum) = match (virtio.gso(), version, found.protocol()) {
            (VirtioNetHeader::GSO_TCPV4, Version::V4, TCP)
            | (VirtioNetHeader::GSO_TCPV6, Version::V6, TCP) => read_tcp_header(header)?,
            (VirtioNetHeader::GSO_UDP_L4, _, UDP) => {
                // With the checksum left to us the field holds a partial sum, whatever its value.
                read_udp_header(header, version == Version::V4 && !virtio.needs_checksum())?
            }
            _ => return None,
        };
        let pseudo_header_sum = match protocol {
            _ if !found.is_source_routed() => addresses_sum + u64::from(found.protocol()),
            Protocol::UdpWithoutChecksum => 0, // nothing will be summed
            // The destination that counts is the final one (RFC 8200 section 8.1), and each kind of source route has
            // it in another place. But the kernel leaves the sum of the whole pseudo header in the checksum field.
            Protocol::Tcp { .. } | Protocol::Udp if virtio.needs_checksum() => {
                let length_taken_out = !(transport.len() as u16);
                u64::from(checksum) + u64::from(length_taken_out)
            }
            Protocol::Tcp { .. } | Protocol::Udp => return None,
        };
        Some(Self {
            header_len: found.offset() + header.len(),
            transport: found.offset(),
            ip,
            protocol,
            transport_sum: pseudo_header_sum + header_sum,
        })
    }

    /// Turns `header`, a copy of the super-packet's, into that of `segment`. `None` if it is too short.
    fn patch(&self, segment: &Segment<'_>, header: &mut [u8]) -> Option<()> {
        let (ip_header, transport_header) = header.split_at_mut_checked(self.transport)?;
        let ip_header_len = ip_header.len();
        let transport_len = transport_header.len() + segment.payload.len();
        // At most 65,535 for both, because the super-packet's own lengths were and no packet of it is longer.
        let transport_len_field = transport_len as u16;
        match self.ip {
            Ip::V4 { id, sum } => {
                let header: &mut [u8; IPV4_HEADER_LEN] = ip_header.first_chunk_mut()?;
                let total_len = (ip_header_len + transport_len) as u16;
                let id = id.wrapping_add(segment.index);
                let checksum = checksum::finish(sum + u64::from(total_len) + u64::from(id));
                [header[2], header[3]] = total_len.to_be_bytes();
                [header[4], header[5]] = id.to_be_bytes();
                [header[10], header[11]] = checksum.to_be_bytes();
            }
            Ip::V6 => {
                let header: &mut [u8; IPV6_HEADER_LEN] = ip_header.first_chunk_mut()?;
                let payload_len = (ip_header_len - IPV6_HEADER_LEN + transport_len) as u16;
                [header[4], header[5]] = payload_len.to_be_bytes();
            }
        }
        let sum = || self.transport_sum + u64::from(transport_len_field) + checksum::sum(segment.payload);
        match self.protocol {
            Protocol::Tcp { sequence, flags } => {
                let header: &mut [u8; TCP_HEADER_LEN] = transport_header.first_chunk_mut()?;
                let sequence = sequence.wrapping_add(segment.offset);
                let flags = segment_flags(flags, segment);
                let checksum = checksum::finish(sum() + u64::from(sequence) + u64::from(flags));
                [header[4], header[5], header[6], header[7]] = sequence.to_be_bytes();
                header[13] = flags;
                [header[16], header[17]] = checksum.to_be_bytes();
            }
            Protocol::Udp => {
                let header: &mut [u8; UDP_HEADER_LEN] = transport_header.first_chunk_mut()?;
                // The length is in the pseudo header and in the header.
                let checksum = checksum::finish_udp(sum() + u64::from(transport_len_field));
                [header[4], header[5]] = transport_len_field.to_be_bytes();
                [header[6], header[7]] = checksum.to_be_bytes();
            }
            Protocol::UdpWithoutChecksum => {
                let header: &mut [u8; UDP_HEADER_LEN] = transport_header.first_chunk_mut()?;
                [header[4], header[5]] = transport_len_field.to_be_bytes();
            }
        }
        Some(())
    }
}

/// The common parts of the IP header, and the sum of its addresses.
fn read_ip_header(version: Version, header: &[u8]) -> Option<(Ip, u64)> {
    match version {
        Version::V4 => {
            let (fixed, options) = header.split_first_chunk::<IPV4_HEADER_LEN>()?;
            let id = u16::from_be_bytes([fixed[4], fixed[5]]);
            let mut shared = *fixed;
            shared[2..6].fill(0); // total length, ID
            shared[10..12].fill(0); // checksum
            let sum = checksum::sum(&shared) + checksum::sum(options);
            Some((Ip::V4 { id, sum }, checksum::sum(&fixed[12..])))
        }
        Version::V6 => {
            let fixed: &[u8; IPV6_HEADER_LEN] = header.first_chunk()?;
            Some((Ip::V6, checksum::sum(&fixed[8..])))
        }
    }
}

/// The fields that differ between packets, the checksum, and the sum of all the others.
fn read_tcp_header(header: &[u8]) -> Option<(Protocol, u16, u64)> {
    let (fixed, options) = header.split_first_chunk::<TCP_HEADER_LEN>()?;
    let sequence = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    let checksum = u16::from_be_bytes([fixed[16], fixed[17]]);
    let mut shared = *fixed;
    shared[4..8].fill(0); // sequence number
    shared[13] = 0; // flags
    shared[16..18].fill(0); // checksum
    let sum = checksum::sum(&shared) + checksum::sum(options);
    Some((Protocol::Tcp { sequence, flags: fixed[13] }, checksum, sum))
}

/// The same of a UDP header; `zero_is_none` where a checksum of 0 means that there is none.
fn read_udp_header(header: &[u8], zero_is_none: bool) -> Option<(Protocol, u16, u64)> {
    let &[ref ports @ .., _, _, c0, c1] = header.first_chunk::<UDP_HEADER_LEN>()?;
    let checksum = u16::from_be_bytes([c0, c1]);
    let protocol = if zero_is_none && checksum == 0 { Protocol::UdpWithoutChecksum } else { Protocol::Udp };
    Some((protocol, checksum, checksum::sum(ports)))
}

/// FIN and PSH mark the end of the data, CWR a single congestion event: once each
/// (tcp_gso_segment in net/ipv4/tcp_offload.c; RFC 3168 section 6.1.2).
fn segment_flags(flags: u8, segment: &Segment<'_>) -> u8 {
    let mut flags = flags;
    if !segment.first {
        flags &= !tcp_flag::CWR;
    }
    if !segment.last {
        flags &= !(tcp_flag::FIN | tcp_flag::PSH);
    }
    flags
}
