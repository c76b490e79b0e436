//! The UDP socket: bound to the local address, connected to the peer, with segmentation both ways.

mod only_from;
mod open;
mod reconnect;

use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::readiness::Readiness;
use crate::seam::{DatagramSocket, Datagrams};
use crate::system::datagram::{self, ReceivedMessage};
use crate::system::socket_option::IntOption;

pub(crate) use open::open;

/// A connected UDP socket and what the kernel granted it.
pub(crate) struct PeerSocket {
    inner: UdpSocket,
    place: Place,
    segments_per_send: usize,
    gro: bool,
}

/// Where the socket stands before it is connected: what the route to a peer depends on.
struct Place {
    /// As it was asked for: the address may be left to the routing table.
    local: SocketAddr,
    bind_device: Option<String>,
    fwmark: Option<u32>,
}

impl PeerSocket {
    /// Datagrams that one send may carry; 1 where the kernel can't segment.
    pub(crate) fn segments_per_send(&self) -> usize {
        self.segments_per_send
    }

    /// Whether one receive may bring several datagrams.
    pub(crate) fn gro(&self) -> bool {
        self.gro
    }

    /// MTU of the route to the peer, bytes.
    pub(crate) fn path_mtu(&self) -> Option<usize> {
        let option = if self.place.local.is_ipv4() { IntOption::IPV4_MTU } else { IntOption::IPV6_MTU };
        option.get(self.as_fd()).ok().and_then(|mtu| usize::try_from(mtu).ok())
    }

    /// Sizes of the receive and send buffers as getsockopt tells them: twice what holds data.
    pub(crate) fn buffer_sizes(&self) -> (usize, usize) {
        let socket = socket2::SockRef::from(&self.inner);
        (socket.recv_buffer_size().unwrap_or(0), socket.send_buffer_size().unwrap_or(0))
    }
}

impl AsRawFd for PeerSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl AsFd for PeerSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// One thread's way to the socket.
pub(crate) struct SocketHandle(Readiness<PeerSocket>);

impl SocketHandle {
    pub(crate) fn new(socket: Arc<PeerSocket>) -> Self {
        Self(Readiness::new(socket))
    }
}

impl DatagramSocket for SocketHandle {
    fn try_send(&self, pieces: &[IoSlice<'_>], segment_len: Option<u16>) -> io::Result<()> {
        datagram::send(self.0.get().as_fd(), pieces, segment_len).map(drop)
    }

    fn try_recv(&self, buffer: &mut [u8]) -> io::Result<Datagrams> {
        self.0.try_read(|socket| datagram::receive(socket.as_fd(), buffer).map(Datagrams::from))
    }

    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(Datagrams, Option<SocketAddr>)> {
        self.0.try_read(|socket| {
            let (message, sender) = datagram::receive_from(socket.as_fd(), buffer)?;
            Ok((message.into(), sender))
        })
    }

    fn path_mtu(&self) -> Option<usize> {
        self.0.get().path_mtu()
    }

    fn recover(&self, now: Endpoints) -> Result<Endpoints, Error> {
        let socket = self.0.get();
        if socket.is_adrift() { socket.reconnect(now, now.remote) } else { Ok(now) }
    }

    async fn readable(&self) -> io::Result<()> {
        self.0.readable().await
    }

    async fn writable(&self) -> io::Result<()> {
        self.0.writable().await
    }
}

impl From<ReceivedMessage> for Datagrams {
    fn from(message: ReceivedMessage) -> Self {
        Self {
            len: message.len,
            stride: message.segment_len.unwrap_or(message.len),
            truncated: message.truncated,
            overflow: message.overflow,
        }
    }
}
