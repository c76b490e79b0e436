//! What the packets of a run have in common, and what the next one must be.

use super::CoalesceOptions;
use super::candidate::{Candidate, Protocol};
use crate::bytes::put;
use crate::ip::{self, IPV4_HEADER_LEN, IPV6_HEADER_LEN, Version};
use crate::tcp::{self, flag};
use crate::{VirtioNetHeader, checksum, udp};

/// IPv6 without extension headers, and TCP with all the options there can be.
pub(super) const MAX_MERGED_HEADER_LEN: usize = IPV6_HEADER_LEN + tcp::MAX_HEADER_LEN;

/// The longest super-packet, bytes: what an IPv4 total length can tell.
const MAX_MERGED_LEN: usize = 65_535;

/// The packets of a run, which its first one, the head, began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow<'p> {
    options: CoalesceOptions,
    head: Candidate<'p>,
    /// Known to have right checksums. The head is not looked at before there is a second packet.
    head_verified: bool,
    /// Length of the super-packet, bytes.
    len: usize,
    /// What the next packet continues.
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
    /// `None` when `head` can't be part of a super-packet.
    pub(super) fn start(head: &'p [u8], options: CoalesceOptions) -> Option<Self> {
        let head = Candidate::read(head, options)?;
        let last = position_after(&head, head.payload_len());
        Some(Self { options, head, head_verified: false, len: head.packet.len(), last })
    }

    /// Takes in `packet`, if it continues the run.
    pub(super) fn take(&mut self, packet: &[u8]) -> bool {
        if self.last.end {
            return false;
        }
        let Some(packet) = Candidate::read(packet, self.options) else { return false };
        let len = self.len + packet.payload_len();
        let continues = packet.payload_len() <= self.head.payload_len()
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
        self.last = position_after(&packet, self.head.payload_len());
        true
    }

    /// IP and transport header, bytes; as long in each packet as in the super-packet.
    pub(super) fn header_len(&self) -> usize {
        self.head.header_len
    }

    /// The super-packet's IP and transport header, [`header_len`](Self::header_len) bytes of the array, and the
    /// virtio-net header that goes before it.
    pub(super) fn merged_header(&self) -> (VirtioNetHeader, [u8; MAX_MERGED_HEADER_LEN]) {
        let header_len = self.header_len();
        let mut out = [0; MAX_MERGED_HEADER_LEN];
        if let (Some(out), Some(header)) = (out.get_mut(..header_len), self.head.packet.get(..header_len)) {
            out.copy_from_slice(header);
        }
        let addresses_sum = match self.head.version {
            Version::V4 => {
                put(&mut out, 2, (self.len as u16).to_be_bytes());
                put(&mut out, 10, [0, 0]);
                let checksum = checksum::finish(checksum::sum(&out[..IPV4_HEADER_LEN]));
                put(&mut out, 10, checksum.to_be_bytes());
                checksum::sum(&out[12..IPV4_HEADER_LEN])
            }
            Version::V6 => {
                put(&mut out, 4, ((self.len - IPV6_HEADER_LEN) as u16).to_be_bytes());
                checksum::sum(&out[8..IPV6_HEADER_LEN])
            }
        };
        let transport = self.head.transport();
        let transport_len = (self.len - transport) as u16;
        let (protocol, gso_type, checksum_at) = match self.head.protocol {
            Protocol::Tcp { .. } => {
                let push = if self.last.push { flag::PSH } else { 0 };
                put(&mut out, transport + tcp::field::FLAGS, [flag::ACK | push]);
                let gso_type = match self.head.version {
                    Version::V4 => VirtioNetHeader::GSO_TCPV4,
                    Version::V6 => VirtioNetHeader::GSO_TCPV6,
                };
                (ip::TCP, gso_type, tcp::field::CHECKSUM)
            }
            Protocol::Udp => {
                put(&mut out, transport + udp::field::LENGTH, transport_len.to_be_bytes());
                (ip::UDP, VirtioNetHeader::GSO_UDP_L4, udp::field::CHECKSUM)
            }
        };
        // What the kernel expects where the checksum is left to it: the sum of the pseudo header, not complemented.
        let pseudo_header = checksum::fold(addresses_sum + u64::from(protocol) + u64::from(transport_len));
        put(&mut out, transport + checksum_at, pseudo_header.to_be_bytes());
        let virtio = VirtioNetHeader {
            flags: VirtioNetHeader::FLAG_NEEDS_CSUM,
            gso_type,
            hdr_len: header_len as u16,
            gso_size: self.head.payload_len() as u16,
            csum_start: transport as u16,
            csum_offset: checksum_at as u16,
        };
        (virtio, out)
    }
}

/// `payload_size` is that of the packets before.
fn position_after(packet: &Candidate<'_>, payload_size: usize) -> Position {
    let push = matches!(packet.protocol, Protocol::Tcp { push: true, .. });
    Position {
        next_id: packet.meaningful_id().map(|id| id.wrapping_add(1)),
        next_sequence: packet.sequence().map(|sequence| sequence.wrapping_add(packet.payload_len() as u32)),
        push,
        end: push || packet.payload_len() < payload_size,
    }
}
