//! One device read as the list of MTU-sized packets it stands for.

use std::ops::Range;

use crate::VirtioNetHeader;

/// Upper bound of [`Segments::header_len`], bytes.
pub const MAX_SEGMENT_HEADER_LEN: usize = 512;

/// The bytes are not a packet that could be sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("malformed packet")
    }
}

impl std::error::Error for Malformed {}

/// The packets that one device read stands for.
#[derive(Clone, Copy, Debug)]
pub struct Segments {
    packet_len: usize,
}

impl Segments {
    /// Reads the headers.
    ///
    /// # Errors
    /// [`Malformed`] when they are not consistent.
    pub fn new(virtio: VirtioNetHeader, packet: &mut [u8]) -> Result<Self, Malformed> {
        if virtio == VirtioNetHeader::NONE { Ok(Self { packet_len: packet.len() }) } else { Err(Malformed) }
    }

    /// How many packets there are, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        1
    }

    /// Length of each packet's rebuilt header, bytes; 0 when there is none to rebuild.
    #[must_use]
    pub fn header_len(&self) -> usize {
        0
    }

    /// Length of packet `index`, header and payload, bytes.
    #[must_use]
    pub fn packet_len(&self, index: usize) -> usize {
        self.header_len() + self.payload(index).len()
    }

    /// Where the payload of packet `index` stands in the bytes read.
    #[must_use]
    pub fn payload(&self, index: usize) -> Range<usize> {
        if index == 0 { 0..self.packet_len } else { self.packet_len..self.packet_len }
    }

    /// Writes the header of packet `index` to the start of `out`.
    pub fn write_header(&self, _index: usize, _packet: &[u8], _out: &mut [u8]) {}
}
