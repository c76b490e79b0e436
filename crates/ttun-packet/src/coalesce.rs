//! Neighbours of one flow as one super-packet for the device.

use crate::{VIRTIO_NET_HEADER_LEN, VirtioNetHeader};

/// What the device takes as super-packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoalesceOptions {
    /// TCP (TSO).
    pub tcp: bool,
    /// UDP (USO).
    pub udp: bool,
}

/// A run of packets that go to the device in one write.
pub struct Run<'p> {
    packets: [&'p [u8]; Run::MAX_PACKETS],
    count: usize,
    header: [u8; VIRTIO_NET_HEADER_LEN],
}

impl<'p> Run<'p> {
    /// The most packets in a run.
    pub const MAX_PACKETS: usize = 64;

    /// An empty run.
    #[must_use]
    pub fn new(_options: CoalesceOptions) -> Self {
        Self { packets: [&[]; Self::MAX_PACKETS], count: 0, header: VirtioNetHeader::NONE.encode() }
    }

    /// Adds `packet`, or says `false` when it does not continue the run.
    pub fn push(&mut self, packet: &'p [u8]) -> bool {
        if self.count > 0 {
            return false;
        }
        self.packets[0] = packet;
        self.count = 1;
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

    /// What the device write begins with.
    pub fn header(&mut self) -> &[u8] {
        &self.header
    }

    /// What follows [`header`](Self::header) in the device write.
    pub fn payloads(&self) -> impl ExactSizeIterator<Item = &'p [u8]> {
        self.packets().iter().copied()
    }

    /// Empties the run.
    pub fn clear(&mut self) {
        self.count = 0;
    }
}
