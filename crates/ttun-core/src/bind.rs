//! UDP sockets before they are connected: bound, with a filter that accepts only datagrams of the peer, and the errors when that is
//! not possible.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use ttun_link::{Flow, RouteQuery};

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

/// The kernel's offloads for UDP sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOffload {
    /// One send can carry many datagrams (`UDP_SEGMENT`, kernel 4.18).
    pub segment: bool,
    /// One receive can bring many datagrams (`UDP_GRO`, kernel 5.0).
    pub receive: bool,
}

/// Queries the kernel through a temporary socket, without opening a tunnel.
///
/// # Errors
/// When no UDP socket can be opened.
pub fn probe_udp_offload() -> io::Result<UdpOffload> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    Ok(UdpOffload { segment: can_segment(&socket), receive: enable_gro(&socket) })
}

/// Setting the option to zero changes nothing and fails on kernels without it (before 4.18).
pub(crate) fn can_segment(socket: &Socket) -> bool {
    IntOption::UDP_SEGMENT.set(socket.as_fd(), 0).is_ok()
}

/// Lets a receive bring several datagrams, if the kernel can.
pub(crate) fn enable_gro(socket: &Socket) -> bool {
    IntOption::UDP_GRO.set(socket.as_fd(), 1).is_ok()
}

/// Attaches a filter so that `socket` accepts only datagrams of `remote`, even while it is not connected.
///
/// The kernel compares the sender of a datagram with the peer of a socket when it looks for the socket, and puts the datagram
/// into the receive buffer a little later, when the socket may have another peer. The filter runs in between
/// (`udp_queue_rcv_one_skb` in net/ipv4/udp.c).
pub(crate) fn admit_only(socket: &SockRef<'_>, remote: SocketAddr) -> io::Result<()> {
    socket.attach_filter(&program(remote))
}

fn limit_to(socket: &Socket, remote: SocketAddr) -> Result<(), Error> {
    admit_only(&SockRef::from(socket), remote)
        .map_err(|cause| Error::system("setsockopt", &cause, "limiting the socket to the peer"))
}

/// Attaches a filter so that `socket` accepts no datagram.
pub(crate) fn admit_nothing(socket: &SockRef<'_>) -> io::Result<()> {
    socket.attach_filter(&[instruction(libc::BPF_RET | libc::BPF_K, 0, 0)])
}

/// A value that a datagram must have: how it is loaded, from where, and what it is.
type Check = (u32, u32, u32);

/// Each check is a load and a jump to the last instruction if it fails (bpf(4) of the BSDs; linux/filter.h).
fn program(remote: SocketAddr) -> Vec<SockFilter> {
    let checks = checks(remote);
    let mut program = Vec::with_capacity(2 * checks.len() + 2);
    for (index, &(width, at, value)) in checks.iter().enumerate() {
        let to_the_last = 2 * (checks.len() - index) - 1;
        program.push(instruction(libc::BPF_LD | width | libc::BPF_ABS, 0, at));
        program.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, to_the_last as u8, value));
    }
    // How many bytes are kept: all, or none.
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, u32::MAX));
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0));
    program
}

fn checks(remote: SocketAddr) -> Vec<Check> {
    /// Where the IP header is for loads; the UDP header is at zero, and begins with the sender's port.
    const IP_HEADER: u32 = libc::SKF_NET_OFF.cast_unsigned();
    const PORT: u32 = 0;
    let port = (libc::BPF_H, PORT, u32::from(remote.port()));
    let word = |at: u32, value: u32| (libc::BPF_W, IP_HEADER.wrapping_add(at), value);
    match remote.ip() {
        IpAddr::V4(ip) => vec![port, word(12, ip.to_bits())],
        IpAddr::V6(ip) => {
            let words = (0..4).map(|index| word(8 + 4 * index, (ip.to_bits() >> (96 - 32 * index)) as u32));
            std::iter::once(port).chain(words).collect()
        }
    }
}

fn instruction(code: u32, if_not: u8, value: u32) -> SockFilter {
    SockFilter::new(code as u16, 0, if_not, value)
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
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    fn bound(address: &str) -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    #[test]
    fn an_unconnected_socket_receives_only_from_the_admitted_address() {
        for (host, other_host) in [("127.0.0.1:0", "127.0.0.2:0"), ("[::1]:0", "[::1]:0")] {
            let ((socket, at), (peer, peer_at)) = (bound(host), bound(host));
            admit_only(&SockRef::from(&socket), peer_at).unwrap();
            let other_port = bound(host).0;
            let mut same_port: SocketAddr = other_host.parse().unwrap();
            same_port.set_port(peer_at.port());
            let other_address = UdpSocket::bind(same_port);
            for stranger in [Ok(other_port), other_address].into_iter().flatten() {
                stranger.send_to(b"stranger", at).unwrap();
            }
            peer.send_to(b"Hello World", at).unwrap();
            let mut buffer = [0; 100];
            let (len, sender) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..len], sender), (&b"Hello World"[..], peer_at));
        }
    }

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

    #[test]
    fn each_part_of_an_address_counts() {
        for (remote, others) in [
            ("192.0.2.1:8000", ["192.0.2.0:8000", "64.0.2.1:8000", "192.0.2.1:8001"].as_slice()),
            (
                "[2001:db8:1:2:3:4:5:6]:8000",
                &[
                    "[2001:db8:1:2:3:4:5:7]:8000",
                    "[2001:db8:1:2:3:5:5:6]:8000",
                    "[2001:db8:1:3:3:4:5:6]:8000",
                ],
            ),
        ] {
            let values = |address: &str| checks(address.parse().unwrap()).into_iter().map(|check| check.2);
            for other in others {
                assert!(values(remote).ne(values(other)), "{remote} and {other}");
            }
        }
    }
}
