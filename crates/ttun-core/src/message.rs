//! Socket calls that no library provides in the form that the packet path needs: `sendmsg` and `recvmsg` with the control messages of UDP
//! segmentation offload (udp(7), linux/udp.h) and of the outer header's TOS (ip(7), ipv6(7)), dissolving a connection, and integer options.

use std::ffi::c_int;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};

use ttun_packet::Version;

use crate::io::{Datagrams, Outer};

/// Sends `pieces` on a connected socket of the family `version`, as `outer` says.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    version: Version,
    pieces: &[IoSlice<'_>],
    outer: Outer,
) -> io::Result<usize> {
    let mut control = SendControl::new(version, outer);
    let mut message = empty_message();
    // IoSlice is guaranteed to have the layout of `struct iovec`; sendmsg does not write through it.
    message.msg_iov = pieces.as_ptr().cast::<libc::iovec>().cast_mut();
    message.msg_iovlen = pieces.len() as _;
    let requested = control.requested(outer);
    if !requested.is_empty() {
        message.msg_control = requested.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(requested) as _;
    }
    // SAFETY: `message` points to `pieces` and to part of `control`, which outlive the call and which it only reads.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, FLAGS) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent.cast_unsigned()) }
}

/// Receives the next datagrams into `buffer`.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Datagrams> {
    receive_message(socket, buffer, &mut empty_message()).map(|(datagrams, _)| datagrams)
}

/// Receives, with the sender's address.
pub(crate) fn receive_from(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(Datagrams, Option<SocketAddr>)> {
    receive_path(socket, buffer).map(|(received, path)| (received, path.sender))
}

/// What a receive reports about the way of its datagrams.
pub(crate) struct Path {
    pub(crate) sender: Option<SocketAddr>,
    /// The address of this host to which they were sent, and the index of the interface through which they arrived, if the socket was
    /// set to report it ([`IntOption::RECEIVE_IPV4_DESTINATION`]).
    pub(crate) destination: Option<(IpAddr, u32)>,
}

/// Receives, with the addresses.
pub(crate) fn receive_path(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(Datagrams, Path)> {
    let mut sender = SockAddrStorage::zeroed();
    let mut message = empty_message();
    message.msg_name = (&raw mut sender).cast();
    message.msg_namelen = sender.size_of();
    let (received, destination) = receive_message(socket, buffer, &mut message)?;
    // SAFETY: the kernel has written an address of `msg_namelen` bytes, no more than there is room for.
    let sender = unsafe { SockAddr::new(sender, message.msg_namelen) };
    Ok((received, Path { sender: sender.as_socket(), destination }))
}

/// Receives the next datagrams into the first buffer, and those behind them into the second. If the second receive fails, none were left,
/// or the next call reports the error (`do_recvmmsg` in net/socket.c).
pub(crate) fn receive_two(
    socket: BorrowedFd<'_>,
    buffers: [&mut [u8]; 2],
) -> io::Result<(Datagrams, Option<Datagrams>)> {
    let mut controls = [const { ControlBuffer([0; CONTROL_LEN]) }; 2];
    let mut pieces =
        buffers.map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() });
    let mut messages = [libc::mmsghdr { msg_hdr: empty_message(), msg_len: 0 }; 2];
    for ((message, piece), control) in messages.iter_mut().zip(&mut pieces).zip(&mut controls) {
        point_to(&mut message.msg_hdr, piece, control);
    }
    let timeout = ptr::null_mut();
    // SAFETY: each of the two messages points to a piece, which describes a buffer, and to a control buffer, with their true lengths; all
    // of them outlive the call.
    let received =
        unsafe { libc::recvmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), 2, FLAGS as _, timeout) };
    if received < 0 {
        return Err(io::Error::last_os_error());
    }
    let [first, second] = [0, 1].map(|index| {
        let libc::mmsghdr { msg_hdr, msg_len } = &messages[index];
        read_message(msg_hdr, *msg_len as usize, &controls[index]).0
    });
    Ok((first, (received > 1).then_some(second)))
}

/// `message` may already point to room for the sender's address.
fn receive_message(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    message: &mut libc::msghdr,
) -> io::Result<(Datagrams, Option<(IpAddr, u32)>)> {
    let mut control = ControlBuffer([0; CONTROL_LEN]);
    let mut piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    point_to(message, &mut piece, &mut control);
    // SAFETY: `message` points to `piece`, which describes `buffer`, to `control` and to the caller's room for an
    // address, if any, each with its true length; all of them outlive the call.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), message, FLAGS) };
    if received < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(read_message(message, received.cast_unsigned(), &control))
}

fn point_to(message: &mut libc::msghdr, piece: &mut libc::iovec, control: &mut ControlBuffer) {
    message.msg_iov = piece;
    message.msg_iovlen = 1;
    message.msg_control = ptr::from_mut(control).cast();
    message.msg_controllen = CONTROL_LEN as _;
}

/// What was received by `message`, `len` bytes, with the control messages that it points to.
fn read_message(
    message: &libc::msghdr,
    len: usize,
    control: &ControlBuffer,
) -> (Datagrams, Option<(IpAddr, u32)>) {
    let truncated = message.msg_flags & libc::MSG_TRUNC != 0;
    let mut result = Datagrams { len, stride: len, truncated, overflow: None, tos: 0, reassembled: false };
    // The kernel has set `msg_controllen` to what it wrote.
    #[allow(clippy::unnecessary_cast, reason = "the type differs between C libraries")]
    let written_len = message.msg_controllen as usize;
    let mut destination = None;
    for (level, kind, value, data) in control_messages(&control.0[..written_len]) {
        let int = c_int::from_ne_bytes(value);
        match (level, kind) {
            // A C int, unlike the u16 that goes the other way (udp_cmsg_recv in include/linux/udp.h).
            (libc::SOL_UDP, libc::UDP_GRO) => result.stride = usize::try_from(int).unwrap_or(len),
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => result.overflow = Some(int.cast_unsigned()),
            // One byte (ip_cmsg_recv_tos in net/ipv4/ip_sockglue.c), unlike the C int of IPv6.
            (libc::IPPROTO_IP, libc::IP_TOS) => result.tos = value[0],
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => result.tos = u8::try_from(int).unwrap_or(0),
            (libc::IPPROTO_IP, libc::IP_RECVFRAGSIZE) | (libc::IPPROTO_IPV6, libc::IPV6_RECVFRAGSIZE) => {
                result.reassembled = true;
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => destination = ipv4_destination(data),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => destination = ipv6_destination(data),
            _ => {}
        }
    }
    (result, destination)
}

/// From a `struct in_pktinfo`: the index of the interface, the address of this host, and the one in the header, which is that of a
/// group for broadcast and multicast (ip(7)).
fn ipv4_destination(info: &[u8]) -> Option<(IpAddr, u32)> {
    let (index, addresses) = info.split_first_chunk()?;
    let own: &[u8; 4] = addresses.first_chunk()?;
    Some((IpAddr::from(*own), u32::from_ne_bytes(*index)))
}

/// From a `struct in6_pktinfo`: the address, and the index of the interface (ipv6(7)).
fn ipv6_destination(info: &[u8]) -> Option<(IpAddr, u32)> {
    let (address, index) = info.split_first_chunk::<16>()?;
    Some((IpAddr::from(*address), u32::from_ne_bytes(*index.first_chunk()?)))
}

/// Reserves `flow_label` for `socket`, with which others may share it; `peer` is any unicast address. Without that, the kernel could
/// refuse to send with it (`fl6_sock_lookup` in net/ipv6/ip6_flowlabel.c).
pub(crate) fn lease_flow_label(socket: BorrowedFd<'_>, peer: Ipv6Addr, flow_label: u32) -> io::Result<()> {
    let request = FlowLabelRequest {
        destination: peer.octets(),
        label: flow_label.to_be(),
        action: IPV6_FL_A_GET,
        share: IPV6_FL_S_ANY,
        flags: IPV6_FL_F_CREATE,
        ..FlowLabelRequest::default()
    };
    let len = size_of::<FlowLabelRequest>() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes, the size of `request`, which outlives the call; it writes only a label of 0 back.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IPV6,
            libc::IPV6_FLOWLABEL_MGR,
            (&raw const request).cast(),
            len,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `struct in6_flowlabel_req` of linux/in6.h.
#[repr(C)]
#[derive(Default)]
struct FlowLabelRequest {
    destination: [u8; 16],
    /// In network order.
    label: u32,
    action: u8,
    share: u8,
    flags: u16,
    expires: u16,
    linger: u16,
    padding: u32,
}

/// Of linux/in6.h.
const IPV6_FL_A_GET: u8 = 0;
const IPV6_FL_F_CREATE: u16 = 1;
const IPV6_FL_S_ANY: u8 = 255;

/// Bytes in the send buffer of a UDP socket, in the kernel's account (`SIOCOUTQ` of udp(7), `udp_ioctl` in net/ipv4/udp.c).
pub(crate) fn unsent(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: c_int = 0;
    // SAFETY: the kernel writes an int, the type of `bytes`, which outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(usize::try_from(bytes).unwrap_or(0)) }
}

/// Dissolves the association of a connected socket (connect(2): an address of family `AF_UNSPEC`).
pub(crate) fn dissolve(socket: BorrowedFd<'_>) -> io::Result<()> {
    let unspecified = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let len = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes, the size of `unspecified`, which outlives the call.
    let result = unsafe { libc::connect(socket.as_raw_fd(), &raw const unspecified, len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A socket that only sends, whole packets with their IP headers (raw(7)).
pub(crate) fn raw_socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// An integer option that socket2 has no name for, as `(level, name)`.
#[derive(Clone, Copy)]
pub(crate) struct IntOption(c_int, c_int);

impl IntOption {
    /// Receive buffer beyond `net.core.rmem_max`; needs `CAP_NET_ADMIN` (socket(7)).
    pub(crate) const RECEIVE_BUFFER_FORCE: Self = Self(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE);
    /// Send buffer beyond `net.core.wmem_max`; needs `CAP_NET_ADMIN`.
    pub(crate) const SEND_BUFFER_FORCE: Self = Self(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE);
    /// Number of the interface to which the socket is bound (`SO_BINDTOIFINDEX`, kernel 5.0).
    pub(crate) const BOUND_INTERFACE: Self = Self(libc::SOL_SOCKET, SO_BINDTOIFINDEX);
    /// Each receive reports how many datagrams were lost so far to a full receive buffer.
    pub(crate) const RECEIVE_OVERFLOW: Self = Self(libc::SOL_SOCKET, libc::SO_RXQ_OVFL);
    /// Size of the datagrams that a send is cut into (udp(7)).
    pub(crate) const UDP_SEGMENT: Self = Self(libc::SOL_UDP, libc::UDP_SEGMENT);
    /// Whether a receive may bring several datagrams (udp(7)).
    pub(crate) const UDP_GRO: Self = Self(libc::SOL_UDP, libc::UDP_GRO);
    /// The TOS octet of IPv4 headers (ip(7)).
    pub(crate) const IPV4_TOS: Self = Self(libc::IPPROTO_IP, libc::IP_TOS);
    /// The traffic class octet of IPv6 headers (ipv6(7)).
    pub(crate) const IPV6_TRAFFIC_CLASS: Self = Self(libc::IPPROTO_IPV6, libc::IPV6_TCLASS);
    /// Whether the kernel chooses a flow label for IPv6 datagrams (linux/in6.h, kernel 3.17).
    pub(crate) const AUTO_FLOW_LABEL: Self = Self(libc::IPPROTO_IPV6, libc::IPV6_AUTOFLOWLABEL);
    /// Whether connecting sets a flow label for IPv6 datagrams (linux/in6.h).
    pub(crate) const SEND_FLOW_LABEL: Self = Self(libc::IPPROTO_IPV6, libc::IPV6_FLOWINFO_SEND);
    /// Whether UDP over IPv6 without a checksum is received (linux/udp.h, kernel 3.16).
    pub(crate) const UDP_NO_CHECK6_RX: Self = Self(libc::SOL_UDP, UDP_NO_CHECK6_RX);
    /// Whether a receive reports to which IPv4 address its datagrams were sent (ip(7)).
    pub(crate) const RECEIVE_IPV4_DESTINATION: Self = Self(libc::IPPROTO_IP, libc::IP_PKTINFO);
    /// The same for IPv6 (ipv6(7)).
    pub(crate) const RECEIVE_IPV6_DESTINATION: Self = Self(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO);
    /// Whether a receive reports the TOS octet of IPv4 headers (ip(7)).
    pub(crate) const RECEIVE_TOS: Self = Self(libc::IPPROTO_IP, libc::IP_RECVTOS);
    /// Whether a receive reports the traffic class octet of IPv6 headers (ipv6(7)).
    pub(crate) const RECEIVE_TRAFFIC_CLASS: Self = Self(libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS);
    /// Whether the receive of a reassembled datagram reports the size of its largest fragment (`ip_cmsg_recv_fragsize` in
    /// net/ipv4/ip_sockglue.c).
    pub(crate) const RECEIVE_FRAGMENT_SIZE: Self = Self(libc::IPPROTO_IP, libc::IP_RECVFRAGSIZE);
    /// The same for IPv6 (`ip6_datagram_recv_specific_ctl` in net/ipv6/datagram.c).
    pub(crate) const RECEIVE_FRAGMENT_SIZE_IPV6: Self = Self(libc::IPPROTO_IPV6, libc::IPV6_RECVFRAGSIZE);
    /// When IPv4 datagrams have the DF bit and how long they may be, an `IP_PMTUDISC_…` constant (ip(7)).
    pub(crate) const IPV4_MTU_DISCOVER: Self = Self(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
    /// When IPv6 datagrams may be fragmented, an `IPV6_PMTUDISC_…` constant (ipv6(7)).
    pub(crate) const IPV6_MTU_DISCOVER: Self = Self(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER);
    /// MTU of the route that a connected socket uses (ip(7)).
    pub(crate) const IPV4_MTU: Self = Self(libc::IPPROTO_IP, libc::IP_MTU);
    /// MTU of the route that a connected socket uses (ipv6(7)).
    pub(crate) const IPV6_MTU: Self = Self(libc::IPPROTO_IPV6, libc::IPV6_MTU);

    pub(crate) fn get(self, socket: BorrowedFd<'_>) -> io::Result<c_int> {
        let mut value: c_int = 0;
        let mut len = size_of::<c_int>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` bytes, the size of `value`, and both outlive the call.
        let result = unsafe {
            libc::getsockopt(socket.as_raw_fd(), self.0, self.1, (&raw mut value).cast(), &raw mut len)
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
    }

    pub(crate) fn set(self, socket: BorrowedFd<'_>, value: c_int) -> io::Result<()> {
        let len = size_of::<c_int>() as libc::socklen_t;
        // SAFETY: the kernel reads `len` bytes, the size of `value`, which outlives the call.
        let result =
            unsafe { libc::setsockopt(socket.as_raw_fd(), self.0, self.1, (&raw const value).cast(), len) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// Of asm-generic/socket.h; libc has it for some C libraries only.
const SO_BINDTOIFINDEX: c_int = 62;

/// Of linux/udp.h.
const UDP_NO_CHECK6_RX: c_int = 102;

/// The sockets are already non-blocking; this also covers a shared descriptor.
const FLAGS: c_int = libc::MSG_DONTWAIT;

/// Room for the control messages that a receive requests: UDP_GRO, SO_RXQ_OVFL, and either IP_TOS and IP_RECVFRAGSIZE or IPV6_TCLASS
/// and IPV6_RECVFRAGSIZE, each a header and an aligned int; and IP_PKTINFO or IPV6_PKTINFO, of up to 20 bytes.
const CONTROL_LEN: usize = 4 * (size_of::<libc::cmsghdr>() + size_of::<usize>())
    + size_of::<libc::cmsghdr>()
    + size_of::<libc::in6_pktinfo>().next_multiple_of(size_of::<usize>());

#[repr(C, align(8))]
struct ControlBuffer([u8; CONTROL_LEN]);

/// The control messages of a send: `UDP_SEGMENT`, then `IP_TOS` or `IPV6_TCLASS`.
struct SendControl([ControlMessage; 2]);

/// A control message of at most four bytes, laid out as CMSG_LEN and CMSG_SPACE of cmsg(3) would.
#[repr(C)]
struct ControlMessage {
    header: libc::cmsghdr,
    data: [u8; size_of::<usize>()],
}

impl SendControl {
    fn new(version: Version, outer: Outer) -> Self {
        let (level, kind) = match version {
            Version::V4 => (libc::IPPROTO_IP, libc::IP_TOS),
            Version::V6 => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
        };
        let segment_len = outer.segment_len.unwrap_or(0).to_ne_bytes();
        let tos = c_int::from(outer.tos.unwrap_or(0)).to_ne_bytes();
        Self([
            ControlMessage::new(libc::SOL_UDP, libc::UDP_SEGMENT, segment_len),
            ControlMessage::new(level, kind, tos),
        ])
    }

    /// Those that `outer` needs.
    fn requested(&mut self, outer: Outer) -> &mut [ControlMessage] {
        let from = usize::from(outer.segment_len.is_none());
        let to = 1 + usize::from(outer.tos.is_some());
        &mut self.0[from..to]
    }
}

impl ControlMessage {
    fn new<const N: usize>(level: c_int, kind: c_int, value: [u8; N]) -> Self {
        // SAFETY: `struct cmsghdr` is three integers (and padding on musl): all zeros are a valid value.
        let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
        header.cmsg_level = level;
        header.cmsg_type = kind;
        header.cmsg_len = (size_of::<libc::cmsghdr>() + N) as _;
        let mut data = [0; size_of::<usize>()];
        data[..N].copy_from_slice(&value);
        Self { header, data }
    }
}

/// `(level, type, first four bytes, all bytes)` of each control message in `bytes`.
fn control_messages(mut bytes: &[u8]) -> impl Iterator<Item = (c_int, c_int, [u8; 4], &[u8])> {
    const HEADER: usize = size_of::<libc::cmsghdr>();
    const INT: usize = size_of::<c_int>();
    std::iter::from_fn(move || {
        // cmsghdr: a length of pointer size, then level and type.
        let len = usize::from_ne_bytes(*bytes.first_chunk()?);
        let int_at = |at: usize| Some(c_int::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let data = bytes.get(HEADER..len.min(bytes.len()))?;
        // An int of one byte is padded.
        let first = *bytes.get(HEADER..)?.first_chunk()?;
        let item = (int_at(HEADER - 2 * INT)?, int_at(HEADER - INT)?, first, data);
        // Each message begins at a multiple of the word size (CMSG_ALIGN).
        bytes = bytes.get(len.max(HEADER).next_multiple_of(size_of::<usize>())..).unwrap_or(&[]);
        Some(item)
    })
}

fn empty_message() -> libc::msghdr {
    // SAFETY: `struct msghdr` is plain integers and pointers for which all zeros are a valid value.
    unsafe { std::mem::zeroed() }
}
