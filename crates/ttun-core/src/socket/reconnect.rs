//! Another peer, source or interface for a socket that is in use.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use socket2::SockRef;

use super::{PeerSocket, open_at};
use crate::admission::admit_only;
use crate::bind::{Place, check_addresses, check_not_itself, check_source};
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::options::Endpoint;

impl PeerSocket {
    /// Whether only another socket can reach `remote`: a socket has one address family. A local address that is not left to the
    /// routing table has one as well.
    pub(crate) fn is_of_another_family(&self, remote: &Endpoint) -> bool {
        let local = self.place.local.ip;
        local.is_unspecified() && local.is_ipv4() != remote.ip.is_ipv4()
    }

    /// A socket of the other family with the same settings, connected to `remote`.
    pub(crate) fn of_the_other_family(&self, remote: &Endpoint) -> Result<(Self, Endpoints), Error> {
        let any =
            if remote.ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let local = Endpoint { ip: any, ..self.place.local.clone() };
        open_at(Place { local, ..self.place.clone() }, remote, self.allowed)
    }

    /// Connects to `remote` in place of the peer it has `now`. If that fails, it keeps the current one.
    ///
    /// connect(2) may be called again on a connected UDP socket, and packets flow meanwhile. Datagrams of the previous peer that
    /// the kernel has already put into the receive buffer stay there and are received; none are accepted from then on.
    pub(crate) fn reconnect(&self, now: Endpoints, remote: &Endpoint) -> Result<Endpoints, Error> {
        let zone = remote.zone.clone();
        let remote = remote.resolve()?;
        check_addresses(now.local, remote)?;
        let mut local = self.place.local.resolve()?;
        local.set_port(now.local.port());
        let source = self.source_towards(local, remote)?;
        check_not_itself(source, remote)?;
        let socket = SockRef::from(&self.inner);
        // The filter stays: datagrams of other senders may still be on their way into the receive buffer.
        admit_only(&socket, remote)
            .map_err(|cause| Error::system("setsockopt", &cause, "limiting the socket to the new peer"))?;
        let moved = if source == now.local && !self.is_lost(now) {
            self.connect(remote)
        } else {
            self.dissolve_and_connect(local, remote)
        };
        if let Err(cause) = moved {
            // A connect that fails may leave an IPv6 socket without a peer (__ip6_datagram_connect). If it cannot be connected to
            // the old one either, the next send reports it.
            let _ = admit_only(&socket, now.remote);
            let _ = self.connect(now.remote);
            return Err(self.place.connect_refused(remote, &cause));
        }
        *self.remote_zone() = zone;
        Ok(Endpoints { local: self.inner.local_addr().unwrap_or(source), remote })
    }

    /// Connects again if the kernel would now choose another source, or if the interface that the socket uses was replaced.
    /// `None` if nothing is different.
    ///
    /// # Errors
    /// Which address, interface or route is missing, so that the peer cannot be reached. The socket is then unchanged.
    pub(crate) fn review(&self, now: Endpoints) -> Result<Option<Endpoints>, Error> {
        if now.peer().is_none() {
            return self.place.check_local().map(|()| None);
        }
        let remote = self.remote(now);
        let mut local = self.place.local.resolve()?;
        local.set_port(now.local.port());
        let source = self.source_towards(local, remote.resolve()?)?;
        let is_free = local.ip().is_unspecified();
        if is_free {
            check_source(source.ip(), now.remote.ip())?;
        }
        let is_same = source == now.local || is_free && self.place.keeps_source(now, source.ip());
        if is_same && !self.is_lost(now) { Ok(None) } else { self.reconnect(now, &remote).map(Some) }
    }

    /// The local address that datagrams to `remote` will have. A second socket with the same settings is used, so that a peer
    /// without a route is refused before anything is changed.
    fn source_towards(&self, local: SocketAddr, remote: SocketAddr) -> Result<SocketAddr, Error> {
        let mut any_port = local;
        any_port.set_port(0);
        let probe = self.place.bound(any_port, remote)?;
        probe.connect(&remote.into()).map_err(|cause| self.place.connect_refused(remote, &cause))?;
        let found = probe.local_addr().ok().and_then(|address| address.as_socket());
        let mut source = found.unwrap_or(any_port);
        source.set_port(local.port());
        Ok(source)
    }

    /// Whether the socket must be connected again to reach any peer.
    pub(super) fn is_lost(&self, now: Endpoints) -> bool {
        self.has_lost_peer() || self.place.has_lost_interface(self.as_fd()) || self.has_lost_zone(now)
    }

    /// Whether the last change of the peer failed half-way, and going back failed too.
    fn has_lost_peer(&self) -> bool {
        self.inner.peer_addr().is_err_and(|error| error.raw_os_error() == Some(libc::ENOTCONN))
    }

    /// Whether the zone of the peer is an interface with another index now.
    fn has_lost_zone(&self, now: Endpoints) -> bool {
        self.remote(now).resolve().is_ok_and(|remote| remote != now.remote)
    }

    /// A connected socket keeps its local address when it is connected again, even one that the routing table chose, and the
    /// interface that it is bound to. Only dissolving the association first gives that up (`__udp_disconnect` in
    /// net/ipv4/udp.c), and with it a port that the kernel chose; what is to stay is set again.
    ///
    /// Without the [filter](admit_only), an unconnected socket would accept datagrams of any sender. Sends meanwhile
    /// fail (EDESTADDRREQ), and are counted as such.
    fn dissolve_and_connect(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<()> {
        /// A send of the tunnel's thread that comes in between, which fails, binds the socket to any port (`inet_send_prepare` in
        /// net/ipv4/af_inet.c).
        const ATTEMPTS: usize = 10;

        let socket = SockRef::from(&self.inner);
        for attempt in 1..=ATTEMPTS {
            self.place.bind_interface_again(&socket, local)?;
            let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
            if port == local.port() {
                break;
            }
            match socket.bind(&local.into()) {
                Ok(()) => break,
                Err(_) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
        self.connect(remote)
    }
}
