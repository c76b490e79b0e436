//! UDP sockets before they are connected, and the errors when they cannot be bound or connected.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use ttun_link::{Flow, RouteQuery};

use crate::admission::limit_to;
use crate::endpoints::Endpoints;
use crate::error::{Error, ErrorKind};
use crate::message::{self, IntOption};
use crate::options::{Endpoint, TunnelOptions, is_group};

/// The socket settings that determine the route to a peer, and what is accepted from it.
#[derive(Clone)]
pub(crate) struct Place {
    /// As configured: the address may be left to the routing table.
    pub(crate) local: Endpoint,
    pub(crate) bind_device: Option<String>,
    pub(crate) fwmark: Option<u32>,
    /// The TOS octet, or traffic class, of datagrams that are sent without another one.
    pub(crate) tos: u8,
    /// Whether UDP over IPv6 without a checksum is accepted.
    pub(crate) zero_checksum6: bool,
    /// Size of the send buffer, bytes, as setsockopt(2) takes it; `None` for the default.
    pub(crate) send_buffer: Option<usize>,
}

impl Place {
    /// As the options say.
    pub(crate) fn of(options: &TunnelOptions) -> Self {
        let TunnelOptions { fwmark, zero_checksum6, .. } = *options;
        let (local, bind_device) = (options.local.clone(), options.bind_device.clone());
        let (tos, send_buffer) = (options.outer_tos().base(), options.queue.send_buffer);
        Self { local, bind_device, fwmark, tos, zero_checksum6, send_buffer }
    }

    /// A socket bound to `local`, for which the kernel looks up routes as it will for every datagram. It accepts only datagrams of
    /// `remote`.
    pub(crate) fn bound(&self, local: SocketAddr, remote: SocketAddr) -> Result<Socket, Error> {
        let socket = self.unbound(local)?;
        limit_to(&socket, remote)?;
        socket.bind(&local.into()).map_err(|cause| bind_refused(local, &cause))?;
        Ok(socket)
    }

    /// The same, although `listener` has the port already.
    ///
    /// Sockets share a port if each of them has `SO_REUSEADDR`. The listener has it only meanwhile, so that no other program can
    /// share the port with it (`inet_rcv_saddr_equal` and `udp_lib_lport_inuse` in net/ipv4/udp.c).
    pub(crate) fn bound_beside(
        &self,
        listener: &SockRef<'_>,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<Socket, Error> {
        let shared = |cause| Error::system("setsockopt", &cause, "sharing the port with another socket");
        let socket = self.unbound(local)?;
        limit_to(&socket, remote)?;
        socket.set_reuse_address(true).map_err(shared)?;
        listener.set_reuse_address(true).map_err(shared)?;
        let bound = socket.bind(&local.into()).map_err(|cause| bind_refused(local, &cause));
        listener.set_reuse_address(false).map_err(shared)?;
        bound.map(|()| socket)
    }

    /// A socket bound to `local` that accepts datagrams of every sender.
    pub(crate) fn open_to_all(&self, local: SocketAddr) -> Result<Socket, Error> {
        let socket = self.unbound(local)?;
        socket.bind(&local.into()).map_err(|cause| bind_refused(local, &cause))?;
        Ok(socket)
    }

    /// A socket for `local`, to which it is not bound: it receives nothing.
    pub(crate) fn unbound(&self, local: SocketAddr) -> Result<Socket, Error> {
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))
            .map_err(|cause| Error::system("socket", &cause, "opening a UDP socket"))?;
        if local.is_ipv6() {
            // The tunnel uses one family; an IPv4 datagram must not be received through a mapped address.
            socket
                .set_only_v6(true)
                .map_err(|cause| Error::system("setsockopt", &cause, "limiting the socket to IPv6"))?;
        }
        if let Some(mark) = self.fwmark {
            socket.set_mark(mark).map_err(|cause| mark_refused(mark, &cause))?;
        }
        self.set_tos(&socket, local)?;
        if self.zero_checksum6 && local.is_ipv6() {
            IntOption::UDP_NO_CHECK6_RX.set(socket.as_fd(), 1).map_err(|cause| {
                Error::system("setsockopt", &cause, "accepting UDP over IPv6 without a checksum")
            })?;
        }
        // Needs no privilege on a socket that is not bound to an interface yet (since Linux 5.7, `sock_bindtoindex_locked`).
        if let Some(name) = &self.bind_device {
            socket.bind_device(Some(name.as_bytes())).map_err(|cause| device_refused(name, &cause))?;
        }
        Ok(socket)
    }

    fn set_tos(&self, socket: &Socket, local: SocketAddr) -> Result<(), Error> {
        if self.tos == 0 {
            return Ok(());
        }
        let option = if local.is_ipv4() { IntOption::IPV4_TOS } else { IntOption::IPV6_TRAFFIC_CLASS };
        option
            .set(socket.as_fd(), self.tos.into())
            .map_err(|cause| Error::system("setsockopt", &cause, "setting the DSCP of the socket"))
    }

    /// Whether this host has the local address, and the interface.
    pub(crate) fn check_local(&self) -> Result<(), Error> {
        let mut local = self.local.resolve()?;
        local.set_port(0);
        self.open_to_all(local).map(drop)
    }

    /// Whether the interface to which `socket` is bound was replaced by another of its name: a socket is bound to an index.
    pub(crate) fn has_lost_interface(&self, socket: BorrowedFd<'_>) -> bool {
        let Some(name) = &self.bind_device else { return false };
        let bound = IntOption::BOUND_INTERFACE.get(socket).ok().map(i32::cast_unsigned);
        let named = ttun_link::find(name).ok().flatten().map(|link| link.index);
        named.is_some() && bound.is_some() && named != bound
    }

    /// Dissolves the association of `socket`, and binds it to the interface that now has the configured name, or the zone of `local`.
    /// Only so may a process without privileges bind a socket to another interface.
    pub(crate) fn bind_interface_again(&self, socket: &SockRef<'_>, local: SocketAddr) -> io::Result<()> {
        message::dissolve(socket.as_fd())?;
        if let Some(name) = &self.bind_device {
            socket.bind_device(Some(name.as_bytes()))?;
        } else if let SocketAddr::V6(local) = local
            && local.scope_id() != 0
        {
            IntOption::BOUND_INTERFACE.set(socket.as_fd(), local.scope_id().cast_signed())?;
        }
        Ok(())
    }

    /// Whether a socket keeps its source although the kernel would choose `another` for a new socket. The peer may accept only the
    /// current source, so it is not given up for one that is no better.
    pub(crate) fn keeps_source(&self, now: Endpoints, another: IpAddr) -> bool {
        let query = self.route_query(now.remote);
        // Among several routes of equal cost the kernel may choose by ports (`net.ipv4.fib_multipath_hash_policy`).
        let flow = Flow { local_port: now.local.port(), remote_port: now.remote.port() };
        let own = now.local.ip();
        ttun_link::source_of_flow(&query, flow).is_ok_and(|source| source == Some(own))
            || is_as_good(own, another, now.remote.ip())
                && ttun_link::configured_source(&query).is_ok_and(|source| source != Some(another))
    }

    /// Why a socket cannot be connected to `remote`.
    pub(crate) fn connect_refused(&self, remote: SocketAddr, cause: &io::Error) -> Error {
        let ip = remote.ip();
        let no_route = |message| {
            Error::new(ErrorKind::NoRoute, message)
                .with_hint(format!("check: {}", self.route_command(remote)))
                .caused_by("connect", cause)
        };
        match cause.raw_os_error() {
            Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => no_route(format!("there is no route to {ip}")),
            Some(errno @ (libc::EACCES | libc::EINVAL)) if self.has_forbidding_route(remote, errno) => {
                let kind = if errno == libc::EACCES { "prohibit" } else { "blackhole" };
                no_route(format!("a {kind} route of this host leads to {ip}"))
            }
            // A broadcast address (ip(7): EACCES without SO_BROADCAST).
            Some(libc::EACCES) => {
                not_a_peer(remote).with_hint("give the address of one host").caused_by("connect", cause)
            }
            _ => Error::system("connect", cause, &format!("connecting UDP to {remote}")),
        }
    }

    /// The command that looks up the route as the tunnel does.
    fn route_command(&self, remote: SocketAddr) -> String {
        let bound = || {
            let index = self.bound_index(remote)?;
            let interfaces = ttun_link::interfaces().ok()?;
            interfaces.into_iter().find(|interface| interface.index == index).map(|found| found.name)
        };
        let oif = self.bind_device.clone().or_else(bound).map(|name| format!(" oif {name}"));
        let mark = self.fwmark.map(|mark| format!(" mark {mark}"));
        let tos = if self.tos == 0 { String::new() } else { format!(" tos {:#x}", self.tos) };
        format!("ip route get {}{}{}{tos}", remote.ip(), oif.unwrap_or_default(), mark.unwrap_or_default())
    }

    /// Whether the route to `remote` is of a type that stands for this error (`fib_props` in net/ipv4/fib_semantics.c,
    /// `ip6_rt_type_to_error` in net/ipv6/route.c), not one through an interface.
    fn has_forbidding_route(&self, remote: SocketAddr, errno: i32) -> bool {
        let query = self.route_query(remote);
        ttun_link::route_to(&query).is_err_and(|error| error.raw_os_error() == Some(errno))
    }

    fn route_query(&self, remote: SocketAddr) -> RouteQuery {
        RouteQuery {
            destination: remote.ip(),
            source: None,
            bind_device: self.bound_index(remote),
            mark: self.fwmark,
        }
    }

    /// The interface to which a socket connected to `remote` is bound: the configured one, or that of a link-local address.
    fn bound_index(&self, remote: SocketAddr) -> Option<u32> {
        if let Some(name) = &self.bind_device {
            return ttun_link::find(name).ok().flatten().map(|link| link.index);
        }
        match remote {
            SocketAddr::V6(remote) if remote.scope_id() != 0 => Some(remote.scope_id()),
            _ => None,
        }
    }
}

/// The kernel would bind a socket to the address of a group.
pub(crate) fn check_local(local: SocketAddr) -> Result<(), Error> {
    if is_group(local.ip()) {
        let message = format!("{} is not the address of one host", local.ip());
        return Err(Error::new(ErrorKind::InvalidOptions, message).with_hint("give an address of this host"));
    }
    Ok(())
}

pub(crate) fn check_addresses(local: SocketAddr, remote: SocketAddr) -> Result<(), Error> {
    check_local(local)?;
    if local.is_ipv4() != remote.is_ipv4() {
        return Err(Error::new(
            ErrorKind::InvalidOptions,
            format!("{} and {} belong to different address families", local.ip(), remote.ip()),
        )
        .with_hint("give two IPv4 or two IPv6 addresses"));
    }
    if remote.ip().is_unspecified() || remote.ip().is_multicast() || remote.port() == 0 {
        return Err(not_a_peer(remote).with_hint("give the address of one host and a port from 1 to 65535"));
    }
    Ok(())
}

pub(crate) fn check_not_itself(local: SocketAddr, remote: SocketAddr) -> Result<(), Error> {
    if local == remote {
        return Err(not_a_peer(remote).with_hint("give the address of another host, or another port"));
    }
    Ok(())
}

/// Whether `own` is as good an IPv6 source as `another` address of the interface. Among equally good ones the kernel takes the one that
/// was added last, or that has the longest common prefix with the destination (`ipv6_get_saddr_eval` in net/ipv6/addrconf.c; RFC 6724, section 5).
fn is_as_good(own: IpAddr, another: IpAddr, remote: IpAddr) -> bool {
    /// The label of an address; addresses with the same label are preferred for each other (RFC 6724, section 2.1).
    fn label(ip: Ipv6Addr) -> u8 {
        match ip.segments() {
            [0x2002, ..] => 2,
            [0x2001, 0, ..] => 5,
            _ if ip.is_unique_local() => 13,
            _ => 1,
        }
    }
    let (IpAddr::V6(own), IpAddr::V6(another), IpAddr::V6(remote)) = (own, another, remote) else {
        return false;
    };
    let place = |ip: Ipv6Addr| ttun_link::place_of(ip.into()).ok().flatten();
    (label(own) == label(another) || label(own) == label(remote))
        && place(own).is_some_and(|own| {
            own.preferred && place(another).is_some_and(|another| another.index == own.index)
        })
}

/// Refuses a source that the kernel chooses only because there is no better one, and to which `remote` cannot reply: the loopback
/// address, a link-local address for a peer elsewhere, or none at all. The kernel does so before an interface has its addresses, or
/// during duplicate address detection (RFC 6724, section 5; RFC 4862, section 5.4).
pub(crate) fn check_source(source: IpAddr, remote: IpAddr) -> Result<(), Error> {
    let is_link_local = |ip| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let is_usable = !source.is_unspecified()
        && (!source.is_loopback() || remote.is_loopback())
        && (!is_link_local(source) || is_link_local(remote));
    if is_usable {
        return Ok(());
    }
    let family = if remote.is_ipv4() { "-4" } else { "-6" };
    let message = format!("this host has no address from which {remote} can be reached");
    Err(Error::new(ErrorKind::AddressNotLocal, message)
        .with_hint(format!("the tunnel continues when it has one; check: ip {family} -brief addr")))
}

fn not_a_peer(remote: SocketAddr) -> Error {
    Error::new(ErrorKind::InvalidOptions, format!("{remote} cannot be the peer"))
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

fn bind_refused(local: SocketAddr, cause: &io::Error) -> Error {
    let (ip, port) = (local.ip(), local.port());
    let error = match cause.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => {
            Error::new(ErrorKind::AddressNotLocal, format!("{ip} is not an address of this host"))
                .with_hint("ip -brief addr lists the addresses of this host")
        }
        Some(libc::EADDRINUSE) => {
            Error::new(ErrorKind::PortInUse, format!("UDP port {port} is in use on {ip}")).with_hint(format!(
                "find the program that uses it: ss -ulnp 'sport = :{port}'; or choose another port"
            ))
        }
        Some(libc::EACCES) => {
            Error::new(ErrorKind::PortPermission, format!("this user may not use UDP port {port}"))
                .with_hint("choose a port of 1024 or above, or run as root")
        }
        _ => return Error::system("bind", cause, &format!("binding UDP to {local}")),
    };
    error.caused_by("bind", cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_for_the_route_asks_as_the_tunnel_does() {
        let peer: SocketAddr = "192.0.2.2:8000".parse().unwrap();
        let place = |bind_device: Option<&str>, fwmark| Place {
            local: SocketAddr::from(([0, 0, 0, 0], 8000)).into(),
            bind_device: bind_device.map(str::to_owned),
            fwmark,
            tos: 0,
            zero_checksum6: false,
            send_buffer: None,
        };
        assert_eq!(place(None, None).route_command(peer), "ip route get 192.0.2.2");
        assert_eq!(
            place(Some("eth0"), Some(5)).route_command(peer),
            "ip route get 192.0.2.2 oif eth0 mark 5"
        );
        let tos = Place { tos: 0xB8, ..place(None, None) };
        assert_eq!(tos.route_command(peer), "ip route get 192.0.2.2 tos 0xb8");
        let neighbour: SocketAddr = "[fe80::b%1]:8000".parse().unwrap();
        assert_eq!(place(None, None).route_command(neighbour), "ip route get fe80::b oif lo");
    }
}
