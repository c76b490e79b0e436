//! Where the outside world begins: a packet device and a datagram socket.
//!
//! The pumps know nothing else of the kernel. Calls never block: `WouldBlock` says that the matching
//! `readable` or `writable` resolves when it is worth trying again.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;

use ttun_packet::VirtioNetHeader;

use crate::endpoints::Endpoints;
use crate::error::Error;

/// One read of the device.
pub(crate) struct DeviceRead {
    /// What the kernel left to do; [`VirtioNetHeader::NONE`] on a device without such headers.
    pub(crate) virtio: VirtioNetHeader,
    /// Length of the packet, bytes.
    pub(crate) len: usize,
}

/// A device that hands over and takes IP packets.
pub(crate) trait PacketDevice {
    /// Reads one packet or super-packet into `packet`.
    fn try_recv(&self, packet: &mut [u8]) -> io::Result<DeviceRead>;

    /// Writes one packet or super-packet: `pieces[0]` begins with a virtio-net header. All or nothing.
    fn try_send(&self, pieces: &[IoSlice<'_>]) -> io::Result<()>;

    /// Resolves when a read will not block, or the device has an error to tell.
    fn readable(&self) -> impl Future<Output = io::Result<()>>;

    /// Resolves when a write will not block.
    fn writable(&self) -> impl Future<Output = io::Result<()>>;
}

/// One receive: datagrams of `stride` bytes standing one behind the other, of which the last may be shorter.
pub(crate) struct Datagrams {
    /// Bytes in the buffer.
    pub(crate) len: usize,
    /// Bytes of each datagram but the last; equal to `len` when there is one.
    pub(crate) stride: usize,
    /// Whether the last datagram was longer than the room left in the buffer.
    pub(crate) truncated: bool,
    /// Datagrams that a full receive buffer has cost so far, super-packets counted once, if that is known.
    pub(crate) overflow: Option<u32>,
}

/// A UDP socket that talks to one peer.
pub(crate) trait DatagramSocket {
    /// Sends the bytes of `pieces` as datagrams of `segment_len` bytes each, or as one when it is `None`.
    fn try_send(&self, pieces: &[IoSlice<'_>], segment_len: Option<u16>) -> io::Result<()>;

    /// Receives one datagram, or as many as the kernel had joined.
    fn try_recv(&self, buffer: &mut [u8]) -> io::Result<Datagrams>;

    /// The same, and says from where they came: from one address, as only datagrams of one flow are joined.
    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(Datagrams, Option<SocketAddr>)>;

    /// The MTU of the route to the peer, bytes; `None` while there is no route.
    fn path_mtu(&self) -> Option<usize>;

    /// Where the socket has lost its interface, which has been made anew, or its peer, gives it that again; says what its endpoints
    /// are.
    fn recover(&self, now: Endpoints) -> Result<Endpoints, Error>;

    /// Resolves when a receive will not block, or the socket has an error to tell.
    fn readable(&self) -> impl Future<Output = io::Result<()>>;

    /// Resolves when a send will not block.
    fn writable(&self) -> impl Future<Output = io::Result<()>>;
}
