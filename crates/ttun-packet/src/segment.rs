//! One read from the device as the list of MTU-sized packets it stands for.
//!
//! The kernel hands over a super-packet: one header and up to 64 KiB of payload (GSO). What must go on the wire are
//! the packets that a network card would make of it. Their payload is cut where it was read; only their headers are
//! built anew, by a [template](template::Template).

mod template;

use std::ops::Range;

use crate::ip::{self, IPV4_HEADER_LEN, IPV6_HEADER_LEN, Version};
use crate::{VirtioNetHeader, checksum, udp};
use template::Template;

/// Upper bound of [`Segments::header_len`], bytes.
///
/// IPv4 needs at most 60 bytes of IP header and 60 of TCP. IPv6 has no bound of its own; this one leaves over 400 bytes
/// for extension headers, enough for a routing header of 25 stops. Super-packets with more are refused.
pub const MAX_SEGMENT_HEADER_LEN: usize = 512;

/// The device handed over bytes that are no packet, or whose virtio-net header does not fit them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("malformed packet from the device")
    }
}

impl std::error::Error for Malformed {}

/// The packets that one read from the device stands for.
///
/// Holds numbers only, so the buffer stays free to be lent elsewhere. The methods that take it again expect the bytes
/// that [`new`](Self::new) has seen.
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
    /// Reads the headers of `packet`.
    ///
    /// A packet that is no super-packet goes out as it is, except that a checksum left to complete is completed in
    /// place. Header lengths come from the packet; the kernel's `hdr_len` is a hint that may be wrong. Bytes behind
    /// the length that the IP header tells belong to no packet.
    ///
    /// # Errors
    /// [`Malformed`] when the IP header is not in order or the packet is not all there; when the checksum to complete is
    /// outside it; when a super-packet's type is none of TCPv4, TCPv6 and USO, does not fit its protocol, or has
    /// a size of zero; when its headers are cut short, fragmented or longer than [`MAX_SEGMENT_HEADER_LEN`].
    pub fn new(virtio: VirtioNetHeader, packet: &mut [u8]) -> Result<Self, Malformed> {
        let packet_len = ip::packet_len(packet).ok_or(Malformed)?;
        let packet = packet.get_mut(..packet_len).ok_or(Malformed)?;
        if virtio.gso() == VirtioNetHeader::GSO_NONE {
            if virtio.needs_checksum() {
                complete_checksum(packet, virtio).ok_or(Malformed)?;
            }
            return Ok(Self { packet_len, count: 1, payload_size: packet_len, template: None });
        }
        let template = Template::read(virtio, packet).ok_or(Malformed)?;
        let payload_size = usize::from(virtio.gso_size);
        if payload_size == 0 || template.header_len > MAX_SEGMENT_HEADER_LEN {
            return Err(Malformed);
        }
        let payload_len = packet_len.saturating_sub(template.header_len);
        // A super-packet without payload still stands for one packet.
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

    /// Where the payload of packet `index` stands in the bytes read. Empty past the last packet.
    #[must_use]
    pub fn payload(&self, index: usize) -> Range<usize> {
        let before = index.saturating_mul(self.payload_size);
        let start = self.header_len().saturating_add(before).min(self.packet_len);
        let end = start.saturating_add(self.payload_size).min(self.packet_len);
        start..end
    }

    /// Builds the header of packet `index` at the start of `out`, with all lengths and checksums complete.
    ///
    /// `packet` is what [`new`](Self::new) has seen. Does nothing when [`header_len`](Self::header_len) is 0, past the
    /// last packet, or when `packet` or `out` is too short.
    pub fn write_header(&self, index: usize, packet: &[u8], out: &mut [u8]) {
        let Some(template) = &self.template else { return };
        if index >= self.count {
            return;
        }
        let header_len = template.header_len;
        let (Some(header), Some(payload), Some(out)) =
            (packet.get(..header_len), packet.get(self.payload(index)), out.get_mut(..header_len))
        else {
            return;
        };
        out.copy_from_slice(header);
        let segment = template::Segment {
            index: index as u16, // counts modulo 2^16, as IPv4 IDs do
            offset: (index * self.payload_size) as u32,
            first: index == 0,
            last: index + 1 == self.count,
            payload,
        };
        template.patch(&segment, out);
    }
}

/// Does what the kernel left to the network card: sums from `csum_start` to the end, including the sum of the pseudo
/// header that stands in the checksum field, and stores the result there (skb_checksum_help in net/core/dev.c).
/// Whatever stands before `csum_start` does not matter: it may be options, or the outer headers of a tunnel.
fn complete_checksum(packet: &mut [u8], virtio: VirtioNetHeader) -> Option<()> {
    let ip_header_len = match ip::version(packet)? {
        Version::V4 => IPV4_HEADER_LEN,
        Version::V6 => IPV6_HEADER_LEN,
    };
    let start = usize::from(virtio.csum_start);
    if start < ip_header_len {
        return None;
    }
    let covered = packet.get_mut(start..)?;
    let sum = checksum::sum(covered);
    let offset = usize::from(virtio.csum_offset);
    let field = covered.get_mut(offset..)?.first_chunk_mut()?;
    // The protocol may be hidden in a tunnel, but of those whose checksum may not be zero only UDP has it there.
    let checksum =
        if offset == udp::field::CHECKSUM { checksum::finish_udp(sum) } else { checksum::finish(sum) };
    *field = checksum.to_be_bytes();
    Some(())
}
