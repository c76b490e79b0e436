//! I/O traits: a packet device and a datagram socket, the pumps' only access to the kernel; and readiness, with which real ones wait.
//!
//! Calls never block: after `WouldBlock` the matching `readable` or `writable` resolves when the call can be retried.
//!
//! A descriptor is registered with epoll only for reading. A UDP socket is "writable" again after every datagram that leaves
//! it (`sock_def_write_space` in net/core/sock.c), so a permanent interest in that would wake the thread once for each send: it is
//! registered only while a send is blocked, or packets wait behind one that was, on a duplicate descriptor, as epoll takes each one
//! once. Meanwhile that costs nothing: the event comes when half of the send buffer is free, and then packets fill it again.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use ttun_packet::{TooBig, VirtioNetHeader};

use crate::endpoints::{Arrival, Endpoints, SharedEndpoints};
use crate::error::{Error, ErrorKind};

/// One read of the device.
pub(crate) struct DeviceRead {
    /// The offloaded work; [`VirtioNetHeader::NONE`] on a device without such headers.
    pub(crate) virtio: VirtioNetHeader,
    /// Length of the packet, bytes.
    pub(crate) len: usize,
}

/// A device from which IP packets are read and to which they are written.
pub(crate) trait PacketDevice {
    /// Reads one packet or super-packet into `packet`.
    fn try_recv(&self, packet: &mut [u8]) -> io::Result<DeviceRead>;

    /// Writes one packet or super-packet: `pieces[0]` begins with a virtio-net header. All or nothing.
    fn try_send(&self, pieces: &[IoSlice<'_>]) -> io::Result<()>;

    /// Sends `message` to the sender of a packet that was read. All or nothing.
    fn try_answer(&self, message: &TooBig<'_>) -> io::Result<()>;

    /// MTU of the device, bytes; `None` while it is not known.
    fn mtu(&self) -> Option<usize>;

    /// Resolves when a read will not block, or the device has an error to report.
    fn readable(&self) -> impl Future<Output = io::Result<()>>;

    /// Resolves when a write will not block.
    fn writable(&self) -> impl Future<Output = io::Result<()>>;
}

/// How the datagrams of a send leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outer {
    /// Bytes of each datagram that the send is cut into (the last may be shorter); `None` sends a single one.
    pub(crate) segment_len: Option<u16>,
    /// The TOS or traffic class octet of the outer header; `None` leaves it to the socket.
    pub(crate) tos: Option<u8>,
    /// Whether datagrams that do not fit the path are fragmented.
    pub(crate) fragmentation: Fragmentation,
}

/// What happens to a datagram that is too big for the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fragmentation {
    /// It is fragmented: by this host, where it knows the path MTU, otherwise by the router that cannot forward it whole. IPv4 headers
    /// have no DF bit. IPv6 routers never fragment (RFC 8200, section 4.5).
    #[default]
    Allowed,
    /// It leaves whole and with the DF bit, whatever path MTU is known, and is lost. If it is longer than the MTU of the interface, the
    /// send fails with `EMSGSIZE`.
    Never,
}

/// One receive: datagrams of `stride` bytes, back to back; the last may be shorter.
pub(crate) struct Datagrams {
    /// Bytes in the buffer.
    pub(crate) len: usize,
    /// Bytes of each datagram but the last; equal to `len` when there is one.
    pub(crate) stride: usize,
    /// Whether the last datagram was longer than the room left in the buffer.
    pub(crate) truncated: bool,
    /// Datagrams lost so far to a full receive buffer, a super-packet counted once, if that is known.
    pub(crate) overflow: Option<u32>,
    /// The TOS or traffic class octet of the outer header, the same for all of them: the kernel joins no datagrams that differ in it
    /// (`gro_receive_network_flush` in include/net/gro.h). 0 if it is not known.
    pub(crate) tos: u8,
    /// Whether it arrived in fragments. The kernel does not join such a datagram with others.
    pub(crate) reassembled: bool,
}

/// What is behind the datagrams of a receive.
pub(crate) enum Behind {
    /// Nothing was left.
    Nothing,
    /// These, which were received as well.
    Datagrams(Datagrams),
    Unknown,
}

/// A UDP socket connected to one peer.
pub(crate) trait DatagramSocket {
    /// Called when the endpoints have changed. From now on another socket may be used to reach the peer.
    fn follow(&self) {}

    /// Sends the bytes of `pieces` as one datagram or several, as `outer` says.
    fn try_send(&self, pieces: &[IoSlice<'_>], outer: Outer) -> io::Result<()>;

    /// Sends the bytes of `pieces` as one datagram that is [never](Fragmentation::Never) fragmented.
    fn try_send_unfragmented(&self, pieces: &[IoSlice<'_>], tos: Option<u8>) -> io::Result<()> {
        self.try_send(pieces, Outer { segment_len: None, tos, fragmentation: Fragmentation::Never })
    }

    /// Receives one datagram, or as many as the kernel had joined.
    fn try_recv(&self, buffer: &mut [u8]) -> io::Result<Datagrams>;

    /// The same, and reports what is behind, where one system call can do both: what there is goes into `second`.
    fn try_recv_two(&self, first: &mut [u8], second: &mut [u8]) -> io::Result<(Datagrams, Behind)> {
        let _ = second;
        Ok((self.try_recv(first)?, Behind::Unknown))
    }

    /// Receives, with the sender: there is one, as only datagrams of one flow are joined.
    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(Datagrams, Option<SocketAddr>)>;

    /// Where the peer is learned: receives datagrams that were sent to the tunnel's port and are not from the peer, or arrived before
    /// it was the peer.
    fn try_recv_other(&self, _buffer: &mut [u8]) -> io::Result<(Datagrams, Arrival)> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Makes the sender of such a datagram the peer, and returns the new endpoints. Fails if nothing can be sent to it.
    fn adopt(&self, _arrival: Arrival) -> Result<Endpoints, Error> {
        Err(Error::new(ErrorKind::InvalidOptions, "the peer of this tunnel is not learned"))
    }

    /// Datagrams of more than `mtu` bytes are lost on the path to the peer: where they may be fragmented, this host must do that if no
    /// router does.
    fn fragment_above(&self, _mtu: usize, _endpoints: Endpoints) {}

    /// The MTU of the route to the peer, as of the last send, bytes; `None` while there is no route.
    fn path_mtu(&self) -> Option<usize>;

    /// The MTU of the route that the next datagram takes: the route is looked up again.
    fn fresh_path_mtu(&self, endpoints: &SharedEndpoints) -> Option<usize>;

    /// Reconnects a socket whose interface was replaced, or that no longer has a peer, and returns its endpoints; `None` if it is
    /// neither.
    fn recover(&self, now: Endpoints) -> Result<Option<Endpoints>, Error>;

    /// Bytes that were sent and have not left this host yet, in the kernel's account, which includes the overhead of its buffers. `None` if
    /// that is not known.
    fn unsent(&self) -> Option<usize> {
        None
    }

    /// Limits them: while there are as many, sends block.
    fn limit_unsent(&self, _bytes: usize) -> io::Result<()> {
        Ok(())
    }

    /// Resolves when a receive will not block, or the socket has an error to report.
    fn readable(&self) -> impl Future<Output = io::Result<()>>;

    /// Resolves when a send will not block.
    fn writable(&self) -> impl Future<Output = io::Result<()>>;

    /// The same, for the one who sends again and again: what is registered for it is kept until [`Self::stop_waiting`].
    fn room(&self) -> impl Future<Output = io::Result<()>> {
        self.writable()
    }

    /// Whether [`Self::room`] would resolve, without a system call. If so, it does so again only after more datagrams have left.
    fn has_new_room(&self) -> bool {
        true
    }

    /// No send waits any more.
    fn stop_waiting(&self) {}
}

/// A descriptor registered with the tokio runtime of the thread that waits for it.
pub(crate) struct Readiness<T: AsRawFd>(AsyncFd<T>);

/// Errors are left to the reader: a deleted device, an ICMP answer to an earlier datagram.
const READ: Interest = Interest::READABLE.add(Interest::ERROR);

impl<T: AsRawFd + AsFd> Readiness<T> {
    /// Registers `inner`, within a runtime.
    pub(crate) fn new(inner: T) -> io::Result<Self> {
        register(inner, READ).map(Self)
    }

    pub(crate) fn get(&self) -> &T {
        self.0.get_ref()
    }

    /// Runs a read that does not block. After `WouldBlock`, [`Self::readable`] waits for something new.
    pub(crate) fn try_read<R>(&self, mut read: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        // One by one: tokio's try_io never finds a combined interest ready (`Interest::mask`).
        match self.0.try_io(Interest::READABLE, |inner| read(inner)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.0.try_io(Interest::ERROR, |inner| read(inner))
            }
            done => done,
        }
    }

    /// A read has shown that nothing is left: [`Self::readable`] waits for something new.
    pub(crate) fn is_read_out(&self) {
        let _ =
            self.0.try_io(Interest::READABLE, |_| io::Result::<()>::Err(io::ErrorKind::WouldBlock.into()));
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.0.ready(READ).await?.retain_ready();
        Ok(())
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self.watch_writable()? {
            Some(writable) => writable.wait().await,
            None => Writable::retry_soon().await,
        }
    }

    /// Registers it for writing as well, until the result is dropped. `None` if the process is out of descriptors.
    pub(crate) fn watch_writable(&self) -> io::Result<Option<Writable>> {
        let Ok(duplicate) = self.get().as_fd().try_clone_to_owned() else { return Ok(None) };
        Ok(Some(Writable(register(duplicate, Interest::WRITABLE)?)))
    }
}

/// A descriptor registered for writing.
pub(crate) struct Writable(AsyncFd<OwnedFd>);

/// What has happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    None,
    Room,
    /// It has an error to report. For tokio that is final: this registration would always be ready from now on.
    Error,
}

impl Writable {
    /// Resolves when a write will not block, or there is an error to report.
    pub(crate) async fn wait(&self) -> io::Result<()> {
        self.0.writable().await?.retain_ready();
        Ok(())
    }

    /// What has happened since this was last called, as far as the runtime knows.
    pub(crate) fn news(&self) -> News {
        match self.0.poll_write_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => News::None,
            Poll::Ready(Ok(mut ready)) if !ready.ready().is_write_closed() => {
                ready.clear_ready();
                News::Room
            }
            Poll::Ready(_) => News::Error,
        }
    }

    /// To be waited for in place of it while the process is out of descriptors.
    pub(crate) async fn retry_soon() -> io::Result<()> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    }
}

fn register<F: AsRawFd>(descriptor: F, interest: Interest) -> io::Result<AsyncFd<F>> {
    // SAFETY: what is registered owns its descriptor (an `OwnedFd`, a device, a socket behind an `Arc`), so it stays open, and
    // the same, until the registration is dropped.
    unsafe { AsyncFd::register_with_interest(descriptor, interest) }.map_err(|refused| refused.into_parts().1)
}
