//! The listener of a tunnel that learns its peer: a second socket on the same port, which receives what the one that is connected to the
//! peer does not.
//!
//! The kernel prefers the connected one (`compute_score` in net/ipv4/udp.c), so that a learned peer costs no more per packet than a
//! fixed one, and everything that a connected socket has remains: path MTU, errors, source.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use socket2::SockRef;

use crate::bind::{Place, check_local, check_not_itself};
use crate::endpoints::{Arrival, Endpoints};
use crate::error::{Error, ErrorKind};
use crate::io::Datagrams;
use crate::learn::Learning;
use crate::message::{self, IntOption};
use crate::options::{Endpoint, Offload, TunnelOptions};
use crate::socket::{PeerSocket, prepare_receiving};

/// Receives the datagrams of everyone who is not the peer.
pub(crate) struct Listener {
    inner: UdpSocket,
    /// As configured.
    place: Place,
    allowed: Offload,
    port: u16,
}

/// Binds a listener to the local address. The other socket has no peer yet.
pub(crate) fn open(
    options: &TunnelOptions,
    learning: &Learning,
) -> Result<(Listener, PeerSocket, Endpoints), Error> {
    let (place, allowed) = (Place::of(options), options.offload);
    let local = place.local.resolve()?;
    check_local(local)?;
    if local.is_ipv4() != learning.is_ipv4() {
        let message = format!("{} is of another address family than the networks of the peer", local.ip());
        return Err(Error::new(ErrorKind::InvalidOptions, message).with_hint("give addresses of one family"));
    }
    let socket = place.open_to_all(local)?;
    prepare_receiving(&socket, local, allowed)?;
    let destination = if local.is_ipv4() {
        IntOption::RECEIVE_IPV4_DESTINATION
    } else {
        IntOption::RECEIVE_IPV6_DESTINATION
    };
    destination
        .set(socket.as_fd(), 1)
        .map_err(|cause| Error::system("setsockopt", &cause, "receiving the destination of datagrams"))?;
    let inner = UdpSocket::from(socket);
    let local = inner.local_addr().unwrap_or(local);
    let without_peer = PeerSocket::without_peer(place.clone(), local, allowed)?;
    let listener = Listener { inner, place, allowed, port: local.port() };
    Ok((listener, without_peer, Endpoints::without_peer(local)))
}

impl Listener {
    /// Receives datagrams, with the addresses of both ends.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<(Datagrams, Arrival)> {
        let (datagrams, path) = message::receive_path(self.as_fd(), buffer)?;
        let missing = || io::Error::from(io::ErrorKind::InvalidData);
        let (from, (to, interface)) =
            (path.sender.ok_or_else(missing)?, path.destination.ok_or_else(missing)?);
        let to = match to {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => {
                SocketAddrV6::new(ip, self.port, 0, interface).into()
            }
            ip => SocketAddr::new(ip, self.port),
        };
        Ok((datagrams, Arrival { from, to }))
    }

    /// A socket that is connected to the sender of a datagram, at the address to which that was sent: a NAT or firewall near the peer
    /// expects answers from there.
    pub(crate) fn connect(&self, Arrival { from, to }: Arrival) -> Result<(PeerSocket, Endpoints), Error> {
        check_not_itself(to, from)?;
        let place = Place { local: named(to), ..self.place.clone() };
        PeerSocket::open_beside(&SockRef::from(&self.inner), place, &named(from), self.allowed)
    }

    /// Binds to the interface again, if it was replaced by another of its name.
    pub(crate) fn review(&self) -> Result<(), Error> {
        let local = self.place.local.resolve()?;
        let bound = IntOption::BOUND_INTERFACE.get(self.as_fd()).ok().map(i32::cast_unsigned);
        let has_lost_zone = matches!(local, SocketAddr::V6(local)
            if local.scope_id() != 0 && self.place.bind_device.is_none() && bound != Some(local.scope_id()));
        if has_lost_zone || self.place.has_lost_interface(self.as_fd()) {
            let again = self.place.bind_interface_again(&SockRef::from(&self.inner), local);
            again.map_err(|cause| Error::system("setsockopt", &cause, "binding UDP to the interface"))?;
        }
        Ok(())
    }
}

/// With the name of the interface of a link-local address, which outlives its index.
fn named(address: SocketAddr) -> Endpoint {
    let endpoint = Endpoint::from(address);
    let SocketAddr::V6(address) = address else { return endpoint };
    let interfaces =
        if address.scope_id() == 0 { Vec::new() } else { ttun_link::interfaces().unwrap_or_default() };
    let found = interfaces.into_iter().find(|interface| interface.index == address.scope_id());
    Endpoint { zone: found.map(|interface| interface.name).or(endpoint.zone.clone()), ..endpoint }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}
