//! Another peer for a socket that is in use.
//!
//! connect(2) may be called again on a connected UDP socket, and packets flow meanwhile. Datagrams of the peer before that
//! the kernel has already put into the receive buffer stay there and are received; none are accepted from then on.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::SockRef;

use super::PeerSocket;
use super::only_from::hear_only;
use super::open::{check_addresses, check_not_itself, connect_refused};
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::system::datagram;
use crate::system::socket_option::IntOption;

impl PeerSocket {
    /// Connects to `remote` in place of the peer it has `now`. Where that fails it keeps the one it has.
    pub(crate) fn reconnect(&self, now: Endpoints, remote: SocketAddr) -> Result<Endpoints, Error> {
        check_addresses(now.local, remote)?;
        let source = self.source_towards(remote, now.local.port())?;
        check_not_itself(source, remote)?;
        let socket = SockRef::from(&self.inner);
        // It stays: of who it was not there for, something may still be on its way into the receive buffer.
        hear_only(&socket, remote)
            .map_err(|cause| Error::system("setsockopt", &cause, "limiting the socket to the new peer"))?;
        let moved = if source == now.local && !self.is_adrift() {
            self.inner.connect(remote)
        } else {
            self.connect_anew(now.local, remote)
        };
        if let Err(cause) = moved {
            // A connect that fails may leave an IPv6 socket without a peer (__ip6_datagram_connect). Where there is no way back
            // to the old one either, that is found again when something is to be sent.
            let _ = hear_only(&socket, now.remote);
            let _ = self.inner.connect(now.remote);
            return Err(connect_refused(remote, &cause));
        }
        Ok(Endpoints { local: self.inner.local_addr().unwrap_or(source), remote })
    }

    /// The local address that datagrams to `remote` will have. Asked of another socket of the same place, so that a peer without
    /// a route is refused before anything is touched.
    fn source_towards(&self, remote: SocketAddr, port: u16) -> Result<SocketAddr, Error> {
        let mut any_port = self.place.local;
        any_port.set_port(0);
        let scout = self.place.bound(any_port, remote)?;
        scout.connect(&remote.into()).map_err(|cause| connect_refused(remote, &cause))?;
        let found = scout.local_addr().ok().and_then(|address| address.as_socket());
        let mut source = found.unwrap_or(any_port);
        source.set_port(port);
        Ok(source)
    }

    /// Whether the socket must be connected anew to reach anybody.
    pub(crate) fn is_adrift(&self) -> bool {
        self.has_lost_peer() || self.has_lost_interface()
    }

    /// Whether the last change of the peer failed half-way, and so did going back.
    fn has_lost_peer(&self) -> bool {
        self.inner.peer_addr().is_err_and(|error| error.raw_os_error() == Some(libc::ENOTCONN))
    }

    /// Whether the interface to which the socket is bound was made anew: the kernel knows it by its number, and that is another.
    fn has_lost_interface(&self) -> bool {
        let Some(name) = &self.place.bind_device else { return false };
        let bound = IntOption::BOUND_INTERFACE.get(self.as_fd()).ok().map(i32::cast_unsigned);
        let named = ttun_link::find(name).ok().flatten().map(|link| link.index);
        named.is_some() && bound.is_some() && named != bound
    }

    /// A connected socket keeps its local address when it is connected again, also one that the routing table chose, and the
    /// interface that it is bound to. Only dissolving the association first gives that up (`__udp_disconnect` in
    /// net/ipv4/udp.c), and with it a port that the kernel chose; what is to stay is set again.
    ///
    /// An unconnected socket takes datagrams from anybody, unless it is to [`hear_only`] one. What is sent meanwhile fails
    /// (EDESTADDRREQ), and is counted so.
    fn connect_anew(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<()> {
        let socket = SockRef::from(&self.inner);
        datagram::dissolve(socket.as_fd())?;
        if let Some(name) = &self.place.bind_device {
            socket.bind_device(Some(name.as_bytes()))?;
        }
        if socket.local_addr()?.as_socket().is_some_and(|address| address.port() == 0) {
            let mut same_port = self.place.local;
            same_port.set_port(local.port());
            socket.bind(&same_port.into())?;
        }
        self.inner.connect(remote)
    }
}
