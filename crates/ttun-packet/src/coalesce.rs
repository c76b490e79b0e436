//! Neighbouring packets of one flow as one super-packet for the device.
//!
//! This undoes what [`Segments`](crate::Segments) does, and only that: packets merge if cutting the result gives back the
//! same bytes. Everything the cut can't give back keeps packets apart: other header fields, gaps, wrong checksums,
//! options and extension headers, control flags. One thing may change: IPv4 IDs of packets that may not be fragmented,
//! which carry no meaning (RFC 6864 section 4.1). Payload stays where it is; only one merged header is written.
//!
//! Only neighbours merge, so the order of packets never changes, neither within a flow nor between flows.

mod candidate;
mod flow;
mod tunnel;

use crate::{VIRTIO_NET_HEADER_LEN, VirtioNetHeader};
use flow::{Flow, MAX_MERGED_HEADER_LEN};

/// What the device takes as super-packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoalesceOptions {
    /// TCP over IPv4 and IPv6 (TSO).
    pub tcp: bool,
    /// UDP over IPv4 and IPv6 (USO).
    ///
    /// Datagrams that carry another tunnel stay apart in any case: kernels before 6.8.5 lose a super-packet that
    /// reaches their VXLAN or Geneve device. Such tunnels are known by their usual port, or by a payload that is
    /// an IP packet; one of another kind on an unusual port is not recognised, and `false` is for whoever has that.
    pub udp: bool,
}

/// Consecutive packets that go to the device in one write.
pub struct Run<'p> {
    options: CoalesceOptions,
    packets: [&'p [u8]; Run::MAX_PACKETS],
    count: usize,
    /// What a packet must be to continue the run; `None` when the first one can't be continued.
    flow: Option<Flow<'p>>,
    header: [u8; VIRTIO_NET_HEADER_LEN + MAX_MERGED_HEADER_LEN],
}

impl<'p> Run<'p> {
    /// The most packets in a run.
    ///
    /// A TUN device refuses a UDP super-packet of more segments than a socket may send (`UDP_MAX_SEGMENTS` in
    /// include/linux/virtio_net.h; 64, more in newer kernels), and one receive with `UDP_GRO` brings at most 64 datagrams.
    pub const MAX_PACKETS: usize = 64;

    /// An empty run.
    #[must_use]
    pub fn new(options: CoalesceOptions) -> Self {
        Self {
            options,
            packets: [&[]; Self::MAX_PACKETS],
            count: 0,
            flow: None,
            header: [0; VIRTIO_NET_HEADER_LEN + MAX_MERGED_HEADER_LEN],
        }
    }

    /// Adds `packet`, which must be valid and end where its IP header says (see [`validate`](crate::validate)).
    ///
    /// `true` whenever the run was empty. `false` when the packet does not continue the run, which is then unchanged:
    /// write it out, [`clear`](Self::clear) it and push the packet again.
    ///
    /// Checksums are verified only of packets that would merge.
    pub fn push(&mut self, packet: &'p [u8]) -> bool {
        if self.count == 0 {
            self.flow = Flow::start(packet, self.options);
        } else if self.count == Self::MAX_PACKETS || !self.flow.as_mut().is_some_and(|flow| flow.take(packet))
        {
            return false;
        }
        if let Some(slot) = self.packets.get_mut(self.count) {
            *slot = packet;
            self.count += 1;
        }
        true
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The packets as they were pushed.
    #[must_use]
    pub fn packets(&self) -> &[&'p [u8]] {
        self.packets.get(..self.count).unwrap_or_default()
    }

    /// What the write to the device begins with: a virtio-net header, followed by the merged IP and transport header
    /// when there is more than one packet.
    pub fn header(&mut self) -> &[u8] {
        let mut virtio = VirtioNetHeader::NONE;
        let mut len = VIRTIO_NET_HEADER_LEN;
        if let Some(flow) = self.merged() {
            let merged;
            (virtio, merged) = flow.merged_header();
            len += flow.header_len();
            self.header[VIRTIO_NET_HEADER_LEN..].copy_from_slice(&merged);
        }
        self.header[..VIRTIO_NET_HEADER_LEN].copy_from_slice(&virtio.encode());
        self.header.get(..len).unwrap_or_default()
    }

    /// What follows [`header`](Self::header) in the write to the device: the whole packet when there is one, the
    /// payload of each when they are merged.
    pub fn payloads(&self) -> impl ExactSizeIterator<Item = &'p [u8]> {
        let skipped = self.merged().map_or(0, Flow::header_len);
        self.packets().iter().map(move |packet| packet.get(skipped..).unwrap_or_default())
    }

    /// Empties the run.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// The flow, if there is more than one packet.
    fn merged(&self) -> Option<&Flow<'p>> {
        self.flow.as_ref().filter(|_| self.count > 1)
    }
}
