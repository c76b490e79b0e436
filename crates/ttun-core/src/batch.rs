//! A batch of packets for one send: all of the same length, except that the last may be shorter, and in datagrams with the same TOS octet.

use std::io::IoSlice;
use std::ops::Range;

use ttun_packet::MAX_SEGMENT_HEADER_LEN;

/// Most packets of a batch: the segments that the kernel accepts in one send.
pub(crate) const MAX_PACKETS: usize = 64;

/// Most pieces of a batch: a header and a payload each.
pub(crate) const MAX_PIECES: usize = 2 * MAX_PACKETS;

/// Room for a gather list.
pub(crate) type Slices<'b> = [IoSlice<'b>; MAX_PIECES];

/// Most bytes of a batch: the UDP payload that fits an IPv4 total length of 16 bits (RFC 768, RFC 791).
/// IPv6 would take 20 bytes more; one bound for both keeps the code plain.
pub(crate) const MAX_BYTES: usize = 65_507;

/// Where a piece of the gather list is.
#[derive(Clone, Copy)]
enum Piece {
    /// In the batch's own side buffer of rebuilt headers.
    Header { start: u32, len: u32 },
    /// In the buffer that the device was read into.
    Read { start: u32, len: u32 },
}

/// The gather list of one send.
pub(crate) struct Batch {
    pieces: [Piece; MAX_PIECES],
    pieces_len: usize,
    headers: Box<[u8]>,
    headers_len: usize,
    packets: usize,
    bytes: usize,
    /// Length of each packet but the last.
    segment_len: usize,
    /// The TOS octet of the outer headers.
    tos: u8,
    /// A shorter packet was added, so nothing may follow it.
    full: bool,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self {
            pieces: [Piece::Read { start: 0, len: 0 }; MAX_PIECES],
            pieces_len: 0,
            headers: vec![0; MAX_PACKETS * MAX_SEGMENT_HEADER_LEN].into_boxed_slice(),
            headers_len: 0,
            packets: 0,
            bytes: 0,
            segment_len: 0,
            tos: 0,
            full: false,
        }
    }

    pub(crate) fn packets(&self) -> usize {
        self.packets
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Length of each packet but the last, bytes; 0 while there is none.
    pub(crate) fn segment_len(&self) -> usize {
        self.segment_len
    }

    /// The TOS octet of the outer headers.
    pub(crate) fn tos(&self) -> u8 {
        self.tos
    }

    /// The lowest place in the read buffer that still waits to be sent. Reads are in the order in which
    /// they came, so it is where the first of them begins.
    pub(crate) fn first_byte(&self) -> Option<usize> {
        self.used().iter().find_map(|piece| match *piece {
            Piece::Read { start, .. } => Some(start as usize),
            Piece::Header { .. } => None,
        })
    }

    /// Whether a packet of `len` bytes may join, in a datagram with `tos`, where one send carries `most` packets.
    pub(crate) fn fits(&self, len: usize, tos: u8, most: usize) -> bool {
        self.packets == 0
            || !self.full
                && self.packets < most.min(MAX_PACKETS)
                && len <= self.segment_len
                && tos == self.tos
                && self.bytes + len <= MAX_BYTES
    }

    /// Where the header of the packet that is pushed next goes.
    pub(crate) fn header_room(&mut self, header_len: usize) -> &mut [u8] {
        self.headers.get_mut(self.headers_len..self.headers_len + header_len).unwrap_or(&mut [])
    }

    /// Adds a packet of `len` bytes, for which [`Self::fits`] must have returned true with the same `tos`: the first `header_len`
    /// bytes of [`Self::header_room`], then `read` of the read buffer.
    pub(crate) fn push(&mut self, len: usize, tos: u8, read: Range<usize>, header_len: usize) {
        if self.packets == 0 {
            self.segment_len = len;
            self.tos = tos;
        }
        self.full = len < self.segment_len;
        self.packets += 1;
        self.bytes += len;
        if header_len > 0 {
            self.add(Piece::Header { start: self.headers_len as u32, len: header_len as u32 });
            self.headers_len += header_len;
        }
        self.add(Piece::Read { start: read.start as u32, len: read.len() as u32 });
    }

    /// Small packets are read one right behind the other and become one piece.
    fn add(&mut self, piece: Piece) {
        let last = self.pieces_len.checked_sub(1).and_then(|last| self.pieces.get_mut(last));
        if let (Some(Piece::Read { start: from, len: so_far }), Piece::Read { start, len }) = (last, piece)
            && *from + *so_far == start
        {
            *so_far += len;
            return;
        }
        self.pieces[self.pieces_len] = piece;
        self.pieces_len += 1;
    }

    /// The gather list of all packets, in `slices`; `read` is the buffer that the device was read into. `None` if a packet is not
    /// in it.
    pub(crate) fn gather<'s, 'b>(
        &'b self,
        read: &'b [u8],
        slices: &'s mut Slices<'b>,
    ) -> Option<&'s [IoSlice<'b>]> {
        for (slice, &piece) in slices.iter_mut().zip(self.used()) {
            *slice = IoSlice::new(self.bytes_of(piece, read)?);
        }
        Some(&slices[..self.pieces_len])
    }

    /// The gather list of the packet at `index` alone.
    pub(crate) fn gather_one<'s, 'b>(
        &'b self,
        index: usize,
        read: &'b [u8],
        slices: &'s mut Slices<'b>,
    ) -> Option<&'s [IoSlice<'b>]> {
        let wanted = self.extent(index);
        let mut used = 0;
        let mut at = 0;
        for &piece in self.used() {
            let bytes = self.bytes_of(piece, read)?;
            let within = |end: usize| end.clamp(at, at + bytes.len()) - at;
            let part = &bytes[within(wanted.start)..within(wanted.end)];
            if !part.is_empty() {
                slices[used] = IoSlice::new(part);
                used += 1;
            }
            at += bytes.len();
        }
        Some(&slices[..used])
    }

    /// The first bytes of the first packet, at least its headers; `read` is the buffer that the device was read into.
    pub(crate) fn start<'b>(&'b self, read: &'b [u8]) -> &'b [u8] {
        self.used().first().and_then(|&piece| self.bytes_of(piece, read)).unwrap_or(&[])
    }

    /// Copies all packets to the beginning of `to`, so that they no longer depend on `read`. Returns how many bytes that are; `None`,
    /// and the batch is unchanged, if a packet is not in `read` or `to` is too short.
    pub(crate) fn move_to(&mut self, to: &mut [u8], read: &[u8]) -> Option<usize> {
        let mut at = 0;
        for &piece in self.used() {
            let bytes = self.bytes_of(piece, read)?;
            to.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
            at += bytes.len();
        }
        self.pieces_len = 0;
        self.headers_len = 0;
        self.add(Piece::Read { start: 0, len: at as u32 });
        Some(at)
    }

    /// Length of the packet at `index`, bytes.
    pub(crate) fn packet_len(&self, index: usize) -> usize {
        self.extent(index).len()
    }

    /// Where the packet at `index` is in the bytes of the batch.
    fn extent(&self, index: usize) -> Range<usize> {
        let start = (index * self.segment_len).min(self.bytes);
        start..(start + self.segment_len).min(self.bytes)
    }

    fn bytes_of<'b>(&'b self, piece: Piece, read: &'b [u8]) -> Option<&'b [u8]> {
        let (buffer, start, len) = match piece {
            Piece::Header { start, len } => (&*self.headers, start, len),
            Piece::Read { start, len } => (read, start, len),
        };
        buffer.get(start as usize..(start + len) as usize)
    }

    pub(crate) fn clear(&mut self) {
        self.pieces_len = 0;
        self.headers_len = 0;
        self.packets = 0;
        self.bytes = 0;
        self.segment_len = 0;
        self.tos = 0;
        self.full = false;
    }

    fn used(&self) -> &[Piece] {
        &self.pieces[..self.pieces_len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_that_is_not_in_the_read_buffer_is_not_sent_in_part() {
        let mut batch = Batch::new();
        batch.push(20, 0, 90..110, 0);
        let mut slices = [IoSlice::new(&[]); MAX_PIECES];
        assert!(batch.gather(&[0; 100], &mut slices).is_none());
        assert!(batch.gather_one(0, &[0; 100], &mut slices).is_none());
        assert_eq!(batch.gather(&[0; 110], &mut slices).unwrap()[0].len(), 20);
    }
}
