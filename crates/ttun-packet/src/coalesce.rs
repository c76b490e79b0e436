//! Coalescing: neighbouring packets of one flow as one super-packet for the device.
//!
//! This undoes what [`Segments`](crate::Segments) does, and only that: packets merge if segmenting the result gives back
//! the same bytes. Everything that segmentation cannot restore prevents merging: different header fields, gaps, wrong
//! checksums, options and extension headers, control flags. One thing may change: IPv4 IDs of packets that must not be
//! fragmented, which carry no meaning (RFC 6864 section 4.1). Payload stays where it is; only one merged header is
//! written.
//!
//! Only neighbours merge, so the order of packets never changes, neither within a flow nor between flows.

mod candidate;

use std::io::IoSlice;

use crate::packet::{
    IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpPacket, TCP, TCP_HEADER_LEN, TCP_MAX_HEADER_LEN, UDP, UDP_HEADER_LEN,
    tcp_flag,
};
use crate::{VIRTIO_NET_HEADER_LEN, VirtioNetHeader, checksum};
use candidate::{Candidate, IpHeader, TransportHeader};

/// The longest header of a run, bytes: IPv6 without extension headers, and TCP with all its options.
const MAX_HEADER_LEN: usize = VIRTIO_NET_HEADER_LEN + IPV6_HEADER_LEN + TCP_MAX_HEADER_LEN;

/// The longest super-packet, bytes: the largest IPv4 total length.
const MAX_MERGED_LEN: usize = 65_535;

/// The super-packets that the device accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoalesceOptions {
    /// TCP over IPv4 and IPv6 (TSO).
    pub tcp: bool,
    /// UDP over IPv4 and IPv6 (USO).
    ///
    /// Datagrams that carry another tunnel stay apart in any case: kernels before 6.8.5 lose a super-packet that
    /// reaches their VXLAN or Geneve device. Such tunnels are recognised by their usual port, or by a payload that is
    /// an IP packet. Another kind of tunnel on an unusual port is not recognised and needs `false`.
    pub udp: bool,
}

/// Consecutive packets that go to the device in one write.
pub struct Run<'p> {
    options: CoalesceOptions,
    packets: [&'p [u8]; Run::MAX_PACKETS],
    len: usize,
    /// The requirements for a packet to continue the run; `None` when the first one cannot be continued.
    flow: Option<Flow<'p>>,
    header: [u8; MAX_HEADER_LEN],
}

impl<'p> Run<'p> {
    /// The most packets in a run.
    ///
    /// A TUN device refuses a UDP super-packet of more segments than a socket may send (`UDP_MAX_SEGMENTS` in
    /// include/linux/virtio_net.h; 64, more in newer kernels), and one receive with `UDP_GRO` brings at most 64 datagrams.
    pub const MAX_PACKETS: usize = 64;

    /// The most pieces of a run's gather list: the header, and the packets or their payloads.
    pub const MAX_PIECES: usize = 1 + Self::MAX_PACKETS;

    /// An empty run.
    #[must_use]
    pub fn new(options: CoalesceOptions) -> Self {
        Self { options, packets: [&[]; Self::MAX_PACKETS], len: 0, flow: None, header: [0; MAX_HEADER_LEN] }
    }

    /// Adds `packet`.
    ///
    /// `true` whenever the run was empty. `false` when the packet does not continue the run, which is then unchanged:
    /// write it to the device, [`clear`](Self::clear) it and push the packet again.
    ///
    /// Checksums are verified only of packets that would merge.
    pub fn push(&mut self, packet: &IpPacket<&'p [u8]>) -> bool {
        let Some(slot) = self.packets.get_mut(self.len) else { return false };
        if self.len == 0 {
            self.flow = Flow::start(packet, self.options);
        } else if !self.flow.as_mut().is_some_and(|flow| flow.take(packet, self.options)) {
            return false;
        }
        *slot = packet.bytes();
        self.len += 1;
        true
    }

    /// How many packets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The packets as they were pushed.
    #[must_use]
    pub fn packets(&self) -> impl ExactSizeIterator<Item = &'p [u8]> {
        self.packets.iter().take(self.len).copied()
    }

    /// The gather list of the write to the device, at the start of `slices`: a virtio-net header; then the packet when
    /// there is one, or the merged IP and transport header and the payload of each.
    ///
    /// `None` if the packets cannot be written together: then each is to be written on its own.
    pub fn gather<'s, 'b>(
        &'b mut self,
        slices: &'s mut [IoSlice<'b>; Run::MAX_PIECES],
    ) -> Option<&'s [IoSlice<'b>]> {
        let (header, skipped) = match &self.flow {
            Some(flow) if self.len > 1 => (flow.write_header(&mut self.header)?, flow.head.headers.len()),
            _ => {
                let (virtio, _) = self.header.split_first_chunk_mut::<VIRTIO_NET_HEADER_LEN>()?;
                *virtio = VirtioNetHeader::NONE.encode();
                (&virtio[..], 0)
            }
        };
        let (first, others) = slices.split_first_mut()?;
        *first = IoSlice::new(header);
        for (slice, packet) in others.iter_mut().zip(self.packets.iter().take(self.len)) {
            *slice = IoSlice::new(packet.get(skipped..)?);
        }
        slices.get(..=self.len)
    }

    /// Empties the run.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

/// The common properties of the packets of a run, and the position of the next one.
#[derive(Clone, Copy, Debug)]
struct Flow<'p> {
    /// The first packet.
    head: Candidate<'p>,
    /// The checksums of the head are known to be correct. They are not verified before there is a second packet.
    head_verified: bool,
    /// Length of the super-packet, bytes.
    len: usize,
    /// The position that the next packet continues.
    last: Position,
}

/// Where a packet leaves the flow.
#[derive(Clone, Copy, Debug)]
struct Position {
    /// IPv4 ID of the next packet, where it carries meaning.
    next_id: Option<u16>,
    /// TCP sequence number of the next packet.
    next_sequence: Option<u32>,
    /// TCP's PSH.
    push: bool,
    /// Nothing can follow: the packet is shorter than the others, or it has PSH.
    end: bool,
}

impl<'p> Flow<'p> {
    /// `None` when `head` cannot be part of a super-packet.
    fn start(head: &IpPacket<&'p [u8]>, options: CoalesceOptions) -> Option<Self> {
        let head = Candidate::read(head, options)?;
        let last = position_after(&head, head.payload.len());
        Some(Self { head, head_verified: false, len: head.packet_len(), last })
    }

    /// Adds `packet`, if it continues the run.
    fn take(&mut self, packet: &IpPacket<&'p [u8]>, options: CoalesceOptions) -> bool {
        if self.last.end {
            return false;
        }
        let Some(packet) = Candidate::read(packet, options) else { return false };
        let len = self.len + packet.payload.len();
        let continues = packet.payload.len() <= self.head.payload.len()
            && len <= MAX_MERGED_LEN
            && packet.sequence() == self.last.next_sequence
            && packet.meaningful_id() == self.last.next_id
            && packet.has_headers_of(&self.head)
            // The checksums last, because they take longest: a packet that merges with nothing is never summed.
            && (self.head_verified || self.head.has_right_checksums());
        if !continues {
            return false;
        }
        self.head_verified = true;
        if !packet.has_right_checksums() {
            return false;
        }
        self.len = len;
        self.last = position_after(&packet, self.head.payload.len());
        true
    }

    /// Writes the virtio-net header and the super-packet's IP and transport header to the start of `out`, and returns
    /// them; `None` if they do not fit.
    fn write_header<'o>(&self, out: &'o mut [u8; MAX_HEADER_LEN]) -> Option<&'o [u8]> {
        let head = &self.head;
        let out = out.get_mut(..VIRTIO_NET_HEADER_LEN + head.headers.len())?;
        let (virtio, headers) = out.split_first_chunk_mut()?;
        headers.copy_from_slice(head.headers);
        let (ip_header, transport_header) = headers.split_at_mut_checked(head.ip.len())?;
        let transport_len = (self.len - head.ip.len()) as u16;
        let addresses_sum = match head.ip {
            IpHeader::V4(_) => {
                let header: &mut [u8; IPV4_HEADER_LEN] = ip_header.first_chunk_mut()?;
                [header[2], header[3]] = (self.len as u16).to_be_bytes();
                [header[10], header[11]] = [0, 0];
                [header[10], header[11]] = checksum::finish(checksum::sum(header)).to_be_bytes();
                checksum::sum(&header[12..])
            }
            IpHeader::V6(_) => {
                let header: &mut [u8; IPV6_HEADER_LEN] = ip_header.first_chunk_mut()?;
                [header[4], header[5]] = transport_len.to_be_bytes();
                checksum::sum(&header[8..])
            }
        };
        // For a checksum that the kernel completes it expects the sum of the pseudo header, not complemented.
        let pseudo_header = |protocol: u8| {
            checksum::fold(addresses_sum + u64::from(protocol) + u64::from(transport_len)).to_be_bytes()
        };
        let (gso_type, csum_offset) = match head.transport {
            TransportHeader::Tcp { .. } => {
                let header: &mut [u8; TCP_HEADER_LEN] = transport_header.first_chunk_mut()?;
                header[13] = tcp_flag::ACK | if self.last.push { tcp_flag::PSH } else { 0 };
                [header[16], header[17]] = pseudo_header(TCP);
                match head.ip {
                    IpHeader::V4(_) => (VirtioNetHeader::GSO_TCPV4, 16),
                    IpHeader::V6(_) => (VirtioNetHeader::GSO_TCPV6, 16),
                }
            }
            TransportHeader::Udp(_) => {
                let header: &mut [u8; UDP_HEADER_LEN] = transport_header.first_chunk_mut()?;
                [header[4], header[5]] = transport_len.to_be_bytes();
                [header[6], header[7]] = pseudo_header(UDP);
                (VirtioNetHeader::GSO_UDP_L4, 6)
            }
        };
        *virtio = VirtioNetHeader {
            flags: VirtioNetHeader::FLAG_NEEDS_CSUM,
            gso_type,
            hdr_len: head.headers.len() as u16,
            gso_size: head.payload.len() as u16,
            csum_start: head.ip.len() as u16,
            csum_offset,
        }
        .encode();
        Some(out)
    }
}

/// `payload_size` is that of the packets before.
fn position_after(packet: &Candidate<'_>, payload_size: usize) -> Position {
    let push = packet.has_push();
    Position {
        next_id: packet.meaningful_id().map(|id| id.wrapping_add(1)),
        next_sequence: packet.sequence().map(|sequence| sequence.wrapping_add(packet.payload.len() as u32)),
        push,
        end: push || packet.payload.len() < payload_size,
    }
}
