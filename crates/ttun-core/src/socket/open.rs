//! Opening the socket, and saying what keeps us from it.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::only_from::hear_only;
use super::{PeerSocket, Place};
use crate::endpoints::Endpoints;
use crate::error::{Error, ErrorKind};
use crate::options::TunnelOptions;
use crate::system::socket_option::IntOption;

/// Bytes of socket buffer asked for each way: a burst of some sixty super-packets. Buffers of this size
/// were worth 29 % of throughput to other tunnels; the kernel may grant less (`net.core.rmem_max`).
const BUFFER_LEN: u32 = 4 << 20;

/// Datagrams that one `UDP_SEGMENT` send may carry (`UDP_MAX_SEGMENTS` of linux/udp.h until 6.8; then 128,
/// of which a send of 64 KiB could use the second half only with datagrams of under 1,024 bytes).
const MAX_SEGMENTS: usize = 64;

/// Binds to the local address and connects to the remote one, so that the kernel drops datagrams from anywhere else.
pub(crate) fn open(options: &TunnelOptions) -> Result<(PeerSocket, Endpoints), Error> {
    let TunnelOptions { local, remote, offload: allowed, .. } = *options;
    check_addresses(local, remote)?;
    let place = Place { local, bind_device: options.bind_device.clone(), fwmark: options.fwmark };
    let socket = place.bound(local, remote)?;
    socket.connect(&remote.into()).map_err(|cause| connect_refused(remote, &cause))?;
    // From here on it hears the peer alone by itself, for less.
    let _ = socket.detach_filter();
    socket
        .set_nonblocking(true)
        .map_err(|cause| Error::system("fcntl", &cause, "making the socket non-blocking"))?;

    grow_buffers(&socket);
    // Without it a full receive buffer goes unseen here; every kernel since 2.6.33 has it.
    let _ = IntOption::RECEIVE_OVERFLOW.set(socket.as_fd(), 1);
    let segments_per_send = if allowed.segment && can_segment(&socket) { MAX_SEGMENTS } else { 1 };
    let gro = allowed.receive && IntOption::UDP_GRO.set(socket.as_fd(), 1).is_ok();

    let inner = UdpSocket::from(socket);
    // Where no address was given, connecting has settled it.
    let local = inner.local_addr().unwrap_or(local);
    check_not_itself(local, remote)?;
    Ok((PeerSocket { inner, place, segments_per_send, gro }, Endpoints { local, remote }))
}

impl Place {
    /// A socket of this place, bound to `local`, for which the kernel looks up routes as it will for every datagram. It hears
    /// `remote` alone.
    pub(super) fn bound(&self, local: SocketAddr, remote: SocketAddr) -> Result<Socket, Error> {
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))
            .map_err(|cause| Error::system("socket", &cause, "opening a UDP socket"))?;
        if local.is_ipv6() {
            // The wire carries one family; an IPv4 datagram must not come in by a mapped address.
            socket
                .set_only_v6(true)
                .map_err(|cause| Error::system("setsockopt", &cause, "limiting the socket to IPv6"))?;
        }
        if let Some(mark) = self.fwmark {
            socket.set_mark(mark).map_err(|cause| mark_refused(mark, &cause))?;
        }
        self.bind_to_device(&socket)?;
        hear_only(&SockRef::from(&socket), remote)
            .map_err(|cause| Error::system("setsockopt", &cause, "limiting the socket to the peer"))?;
        socket.bind(&local.into()).map_err(|cause| bind_refused(local, &cause))?;
        Ok(socket)
    }

    /// Needs no privilege on a socket that is bound to no interface yet (since Linux 5.7, `sock_bindtoindex_locked`).
    pub(super) fn bind_to_device(&self, socket: &Socket) -> Result<(), Error> {
        let Some(name) = &self.bind_device else { return Ok(()) };
        socket.bind_device(Some(name.as_bytes())).map_err(|cause| device_refused(name, &cause))
    }
}

fn mark_refused(mark: u32, cause: &io::Error) -> Error {
    let error = match cause.raw_os_error() {
        Some(libc::EPERM) => Error::permission("mark datagrams (fwmark)"),
        _ => return Error::system("setsockopt", cause, &format!("marking datagrams with {mark}")),
    };
    error.caused_by("setsockopt", cause)
}

fn device_refused(name: &str, cause: &io::Error) -> Error {
    let error = match cause.raw_os_error() {
        Some(libc::ENODEV) => {
            Error::new(ErrorKind::BindDeviceNotFound, format!("there is no interface {name} to bind to"))
                .with_hint("ip -brief link lists the interfaces of this host")
        }
        Some(libc::EPERM) => Error::permission(&format!("bind its socket to {name}")),
        _ => return Error::system("setsockopt", cause, &format!("binding UDP to the interface {name}")),
    };
    error.caused_by("setsockopt", cause)
}

pub(super) fn check_addresses(local: SocketAddr, remote: SocketAddr) -> Result<(), Error> {
    if local.is_ipv4() != remote.is_ipv4() {
        return Err(Error::new(
            ErrorKind::InvalidOptions,
            format!("{} and {} are not of one address family", local.ip(), remote.ip()),
        )
        .with_hint("give two IPv4 or two IPv6 addresses"));
    }
    if remote.ip().is_unspecified() || remote.ip().is_multicast() || remote.port() == 0 {
        return Err(not_a_peer(remote).with_hint("give the address of one host and a port from 1 to 65535"));
    }
    Ok(())
}

pub(super) fn check_not_itself(local: SocketAddr, remote: SocketAddr) -> Result<(), Error> {
    if local == remote {
        return Err(not_a_peer(remote).with_hint("give the address of another host, or another port"));
    }
    Ok(())
}

fn not_a_peer(remote: SocketAddr) -> Error {
    Error::new(ErrorKind::InvalidOptions, format!("{remote} can't be the peer"))
}

fn bind_refused(local: SocketAddr, cause: &io::Error) -> Error {
    let (ip, port) = (local.ip(), local.port());
    let error = match cause.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => {
            Error::new(ErrorKind::AddressNotLocal, format!("{ip} is not an address of this host"))
                .with_hint("ip -brief addr lists the addresses of this host")
        }
        Some(libc::EADDRINUSE) => {
            Error::new(ErrorKind::PortInUse, format!("UDP port {port} is in use on {ip}"))
                .with_hint(format!("find who has it: ss -ulnp 'sport = :{port}'; or choose another port"))
        }
        Some(libc::EACCES) => {
            Error::new(ErrorKind::PortPermission, format!("this user may not use UDP port {port}"))
                .with_hint("choose a port of 1024 or above, or run as root")
        }
        _ => return Error::system("bind", cause, &format!("binding UDP to {local}")),
    };
    error.caused_by("bind", cause)
}

pub(super) fn connect_refused(remote: SocketAddr, cause: &io::Error) -> Error {
    match cause.raw_os_error() {
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => {
            Error::new(ErrorKind::NoRoute, format!("there is no route to {}", remote.ip()))
                .with_hint(format!("look at: ip route get {}", remote.ip()))
                .caused_by("connect", cause)
        }
        // A broadcast address (ip(7): EACCES without SO_BROADCAST).
        Some(libc::EACCES) => {
            not_a_peer(remote).with_hint("give the address of one host").caused_by("connect", cause)
        }
        _ => Error::system("connect", cause, &format!("connecting UDP to {remote}")),
    }
}

/// Beyond the system's limit where we may, up to it otherwise; what was granted is in the stats.
fn grow_buffers(socket: &Socket) {
    let len = BUFFER_LEN.cast_signed();
    if IntOption::RECEIVE_BUFFER_FORCE.set(socket.as_fd(), len).is_err() {
        let _ = SockRef::from(socket).set_recv_buffer_size(BUFFER_LEN as usize);
    }
    if IntOption::SEND_BUFFER_FORCE.set(socket.as_fd(), len).is_err() {
        let _ = SockRef::from(socket).set_send_buffer_size(BUFFER_LEN as usize);
    }
}

/// Setting the option to zero changes nothing and fails on kernels that don't know it (before 4.18).
fn can_segment(socket: &Socket) -> bool {
    IntOption::UDP_SEGMENT.set(socket.as_fd(), 0).is_ok()
}
