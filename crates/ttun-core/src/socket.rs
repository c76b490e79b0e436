//! The tunnel's UDP socket: bound to the local address, connected to the peer, with UDP segmentation and GRO.

mod reconnect;

use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use socket2::{SockRef, Socket};
use ttun_link::IPV6_MIN_MTU;
use ttun_packet::{OUTER_OVERHEAD_IPV4, OUTER_OVERHEAD_IPV6, Version};

use crate::admission::admit_nothing;
use crate::bind::{Place, check_addresses, check_not_itself};
use crate::endpoints::{Endpoints, SharedEndpoints};
use crate::error::Error;
use crate::flow_label::FlowLabel;
use crate::fragmentation::{FragmentationSetting, report_path_mtu};
use crate::io::{Behind, DatagramSocket, Datagrams, Outer, Readiness};
use crate::lock::lock;
use crate::message::{self, IntOption};
use crate::options::{Endpoint, Offload, TunnelOptions};
use crate::udp_offload::{can_segment, enable_gro};

/// Bytes of socket buffer requested in each direction: a burst of about sixty super-packets. Buffers of this size
/// gave other tunnels 29 % more throughput; the kernel may grant less (`net.core.rmem_max`).
const BUFFER_LEN: u32 = 4 << 20;

/// Datagrams that one `UDP_SEGMENT` send may carry (`UDP_MAX_SEGMENTS` of linux/udp.h until 6.8; then 128,
/// of which a send of 64 KiB could use the second half only with datagrams of under 1,024 bytes).
const MAX_SEGMENTS: usize = 64;

/// The smallest plausible MTU of a route, bytes: what every IPv4 host must accept (RFC 791 section 3.1).
const LEAST_IPV4_PATH_MTU: usize = 576;

/// A connected UDP socket and what the kernel granted it.
pub(crate) struct PeerSocket {
    inner: UdpSocket,
    version: Version,
    label: FlowLabel,
    place: Place,
    /// The zone of the peer's address, as it was given.
    remote_zone: Mutex<Option<String>>,
    /// The offloads that the options allow.
    allowed: Offload,
    granted: Granted,
    fragmentation: FragmentationSetting,
    /// Dropped after the socket is closed.
    open: Arc<()>,
}

/// What the kernel granted a socket.
#[derive(Clone, Copy, Default)]
pub(crate) struct Granted {
    /// Datagrams that one send may carry; 1 where the kernel cannot segment.
    pub(crate) segments_per_send: usize,
    /// Whether one receive may bring several datagrams.
    pub(crate) gro: bool,
    /// Size of the receive buffer as getsockopt reports it: twice the bytes for data.
    pub(crate) receive_buffer: usize,
    /// Size of the send buffer, likewise.
    pub(crate) send_buffer: usize,
}

/// Binds to the local address and connects to `remote`, so that the kernel drops datagrams from anywhere else.
pub(crate) fn open(options: &TunnelOptions, remote: &Endpoint) -> Result<(PeerSocket, Endpoints), Error> {
    open_at(Place::of(options), remote, options.offload)
}

fn open_at(place: Place, remote: &Endpoint, allowed: Offload) -> Result<(PeerSocket, Endpoints), Error> {
    connected(place, remote, allowed, Place::bound)
}

/// `bind` binds a socket to the local address that accepts only datagrams of the remote one.
fn connected(
    place: Place,
    remote: &Endpoint,
    allowed: Offload,
    bind: impl FnOnce(&Place, SocketAddr, SocketAddr) -> Result<Socket, Error>,
) -> Result<(PeerSocket, Endpoints), Error> {
    let zone = remote.zone.clone();
    let (local, remote) = (place.local.resolve()?, remote.resolve()?);
    check_addresses(local, remote)?;
    let socket = bind(&place, local, remote)?;
    let label = FlowLabel::choose(socket.as_fd(), local.port(), remote);
    socket.connect(&label.to(remote).into()).map_err(|cause| place.connect_refused(remote, &cause))?;
    // A connected socket accepts only datagrams of the peer, which costs less than the filter.
    let _ = socket.detach_filter();
    let socket = PeerSocket::new(socket, label, local, place, zone, allowed)?;
    // If no address was given, connecting has chosen it.
    let local = socket.inner.local_addr().unwrap_or(local);
    check_not_itself(local, remote)?;
    Ok((socket, Endpoints { local, remote }))
}

/// Sets what a socket at `local` reports with the datagrams that it receives; returns whether it joins them.
pub(crate) fn prepare_receiving(socket: &Socket, local: SocketAddr, allowed: Offload) -> Result<bool, Error> {
    socket
        .set_nonblocking(true)
        .map_err(|cause| Error::system("fcntl", &cause, "making the socket non-blocking"))?;
    // Without it a full receive buffer goes unnoticed; every kernel since 2.6.33 has it.
    let _ = IntOption::RECEIVE_OVERFLOW.set(socket.as_fd(), 1);
    let (tos, fragment_size) = match version_of(local) {
        Version::V4 => (IntOption::RECEIVE_TOS, IntOption::RECEIVE_FRAGMENT_SIZE),
        Version::V6 => (IntOption::RECEIVE_TRAFFIC_CLASS, IntOption::RECEIVE_FRAGMENT_SIZE_IPV6),
    };
    // Without it congestion marks of routers are lost.
    let _ = tos.set(socket.as_fd(), 1);
    // For the measurement of the path.
    let _ = fragment_size.set(socket.as_fd(), 1);
    Ok(allowed.receive && enable_gro(socket))
}

fn version_of(address: SocketAddr) -> Version {
    if address.is_ipv4() { Version::V4 } else { Version::V6 }
}

/// Beyond the system's limit if permitted, up to it otherwise.
fn set_send_buffer(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let len = i32::try_from(bytes).unwrap_or(i32::MAX);
    IntOption::SEND_BUFFER_FORCE
        .set(socket, len)
        .or_else(|_| SockRef::from(&socket).set_send_buffer_size(bytes))
}

/// Beyond the system's limit if permitted, up to it otherwise; the granted sizes are in the stats.
fn grow_buffers(socket: &Socket, send_buffer: usize) {
    let len = BUFFER_LEN.cast_signed();
    if IntOption::RECEIVE_BUFFER_FORCE.set(socket.as_fd(), len).is_err() {
        let _ = SockRef::from(socket).set_recv_buffer_size(BUFFER_LEN as usize);
    }
    let _ = set_send_buffer(socket.as_fd(), send_buffer);
}

impl PeerSocket {
    /// The same as [`open`], while `listener` receives what others send to the same port.
    pub(crate) fn open_beside(
        listener: &SockRef<'_>,
        place: Place,
        remote: &Endpoint,
        allowed: Offload,
    ) -> Result<(Self, Endpoints), Error> {
        connected(place, remote, allowed, |place, local, remote| place.bound_beside(listener, local, remote))
    }

    /// A socket that has no peer: it is not bound, so that it neither receives nor sends.
    pub(crate) fn without_peer(place: Place, local: SocketAddr, allowed: Offload) -> Result<Self, Error> {
        let socket = place.unbound(local)?;
        Self::new(socket, FlowLabel::NONE, local, place, None, allowed)
    }

    fn new(
        socket: Socket,
        label: FlowLabel,
        local: SocketAddr,
        place: Place,
        zone: Option<String>,
        allowed: Offload,
    ) -> Result<Self, Error> {
        grow_buffers(&socket, place.send_buffer.unwrap_or(BUFFER_LEN as usize));
        let gro = prepare_receiving(&socket, local, allowed)?;
        let fragmentation = FragmentationSetting::new(socket.as_fd(), version_of(local))
            .map_err(|cause| Error::system("setsockopt", &cause, "allowing fragmentation"))?;
        let segments_per_send = if allowed.segment && can_segment(&socket) { MAX_SEGMENTS } else { 1 };
        let (receive_buffer, send_buffer) =
            (socket.recv_buffer_size().unwrap_or(0), socket.send_buffer_size().unwrap_or(0));
        let granted = Granted { segments_per_send, gro, receive_buffer, send_buffer };
        Ok(Self {
            inner: UdpSocket::from(socket),
            version: version_of(local),
            label,
            place,
            remote_zone: Mutex::new(zone),
            allowed,
            granted,
            fragmentation,
            open: Arc::default(),
        })
    }

    /// What the kernel granted it.
    pub(crate) fn granted(&self) -> Granted {
        self.granted
    }

    /// Sends `pieces` to the peer.
    pub(crate) fn send(&self, pieces: &[IoSlice<'_>], outer: Outer) -> io::Result<()> {
        self.fragmentation.set(self.as_fd(), outer.fragmentation)?;
        message::send(self.as_fd(), self.version, pieces, outer).map(drop)
    }

    /// MTU of the route to the peer, bytes, as of the last send or [lookup](Self::fresh_path_mtu): the socket remembers the route.
    ///
    /// `None` where it cannot be the MTU of a route that is in use: when an interface is deleted, the kernel moves the routes that
    /// sockets remember to a device of its own with an MTU of 68 (`blackhole_netdev` in drivers/net/loopback.c).
    pub(crate) fn path_mtu(&self) -> Option<usize> {
        let (option, least) = if self.place.local.ip.is_ipv4() {
            (IntOption::IPV4_MTU, LEAST_IPV4_PATH_MTU)
        } else {
            (IntOption::IPV6_MTU, IPV6_MIN_MTU as usize)
        };
        let mtu = option.get(self.as_fd()).ok().and_then(|mtu| usize::try_from(mtu).ok());
        mtu.filter(|mtu| *mtu >= least)
    }

    /// MTU of the route that the next datagram takes, bytes. `None` when there is no route.
    pub(crate) fn fresh_path_mtu(&self, endpoints: &SharedEndpoints) -> Option<usize> {
        // Another thread that changes the endpoints at this moment looks up the route itself.
        endpoints.try_change(|now| self.look_up_route(now)).ok()?;
        self.path_mtu()
    }

    /// Looks up the route to the peer again, as the next send would. Connecting to the same peer changes nothing else.
    fn look_up_route(&self, now: Endpoints) -> Result<Endpoints, Option<Error>> {
        if now.peer().is_none() {
            return Err(None);
        }
        match self.connect(now.remote) {
            Ok(()) => Ok(now),
            Err(_) if self.is_lost(now) => self.reconnect(now, &self.remote(now)).map_err(Some),
            Err(_no_route) => Err(None),
        }
    }

    fn connect(&self, remote: SocketAddr) -> io::Result<()> {
        self.inner.connect(self.label.to(remote))
    }

    /// The largest packet that fits the route to the peer unfragmented, bytes.
    pub(crate) fn inner_mtu(&self) -> Option<usize> {
        let outer = if self.place.local.ip.is_ipv4() { OUTER_OVERHEAD_IPV4 } else { OUTER_OVERHEAD_IPV6 };
        Some(self.path_mtu()?.saturating_sub(outer))
    }

    /// Exists for as long as the socket is open.
    pub(crate) fn open(&self) -> Weak<()> {
        Arc::downgrade(&self.open)
    }

    /// Accepts no more datagrams; those that have arrived can still be received.
    pub(crate) fn admit_nothing(&self) -> io::Result<()> {
        admit_nothing(&SockRef::from(&self.inner))
    }

    /// The local end, as configured: its address may be left to the routing table.
    pub(crate) fn local(&self) -> &Endpoint {
        &self.place.local
    }

    /// The peer it has `now`, as it was given.
    fn remote(&self, now: Endpoints) -> Endpoint {
        Endpoint { zone: self.remote_zone().clone(), ..now.remote.into() }
    }

    fn remote_zone(&self) -> MutexGuard<'_, Option<String>> {
        lock(&self.remote_zone)
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

impl DatagramSocket for Readiness<Arc<PeerSocket>> {
    fn try_send(&self, pieces: &[IoSlice<'_>], outer: Outer) -> io::Result<()> {
        self.get().send(pieces, outer)
    }

    fn try_recv(&self, buffer: &mut [u8]) -> io::Result<Datagrams> {
        self.try_read(|socket| message::receive(socket.as_fd(), buffer))
    }

    fn try_recv_two(&self, first: &mut [u8], second: &mut [u8]) -> io::Result<(Datagrams, Behind)> {
        let (datagrams, behind) =
            self.try_read(|socket| message::receive_two(socket.as_fd(), [first, second]))?;
        // Or the second receive has failed. The socket had no error at the beginning of the call, so the error has come since, and with it
        // an event that the runtime has not seen yet.
        let behind = behind.map_or_else(
            || {
                self.is_read_out();
                Behind::Nothing
            },
            Behind::Datagrams,
        );
        Ok((datagrams, behind))
    }

    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(Datagrams, Option<SocketAddr>)> {
        self.try_read(|socket| message::receive_from(socket.as_fd(), buffer))
    }

    fn fragment_above(&self, mtu: usize, endpoints: Endpoints) {
        if let Endpoints { local: SocketAddr::V6(local), remote: SocketAddr::V6(remote) } = endpoints {
            // Without CAP_NET_RAW the kernel cannot be told.
            let _ = report_path_mtu(local, remote, mtu);
        }
    }

    fn path_mtu(&self) -> Option<usize> {
        self.get().path_mtu()
    }

    fn fresh_path_mtu(&self, endpoints: &SharedEndpoints) -> Option<usize> {
        self.get().fresh_path_mtu(endpoints)
    }

    fn recover(&self, now: Endpoints) -> Result<Option<Endpoints>, Error> {
        let socket = self.get();
        if now.peer().is_some() && socket.is_lost(now) {
            socket.reconnect(now, &socket.remote(now)).map(Some)
        } else {
            Ok(None)
        }
    }

    fn unsent(&self) -> Option<usize> {
        message::unsent(self.get().as_fd()).ok()
    }

    fn limit_unsent(&self, bytes: usize) -> io::Result<()> {
        // The kernel doubles what is given (`sock_setsockopt` in net/core/sock.c), to allow for its overhead, which is included here.
        set_send_buffer(self.get().as_fd(), bytes / 2)
    }

    async fn readable(&self) -> io::Result<()> {
        Readiness::readable(self).await
    }

    async fn writable(&self) -> io::Result<()> {
        Readiness::writable(self).await
    }
}
