//! Integer socket options that socket2 has no name for.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// An integer option, as `(level, name)`.
#[derive(Clone, Copy)]
pub(crate) struct IntOption(c_int, c_int);

impl IntOption {
    /// Receive buffer beyond `net.core.rmem_max`; needs `CAP_NET_ADMIN` (socket(7)).
    pub(crate) const RECEIVE_BUFFER_FORCE: Self = Self(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE);
    /// Send buffer beyond `net.core.wmem_max`; needs `CAP_NET_ADMIN`.
    pub(crate) const SEND_BUFFER_FORCE: Self = Self(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE);
    /// Number of the interface to which the socket is bound (`SO_BINDTOIFINDEX`, kernel 5.0).
    pub(crate) const BOUND_INTERFACE: Self = Self(libc::SOL_SOCKET, SO_BINDTOIFINDEX);
    /// Each receive tells how many datagrams the full receive buffer has cost so far.
    pub(crate) const RECEIVE_OVERFLOW: Self = Self(libc::SOL_SOCKET, libc::SO_RXQ_OVFL);
    /// Size of the datagrams that a send is cut into (udp(7)).
    pub(crate) const UDP_SEGMENT: Self = Self(libc::SOL_UDP, libc::UDP_SEGMENT);
    /// Whether a receive may bring several datagrams (udp(7)).
    pub(crate) const UDP_GRO: Self = Self(libc::SOL_UDP, libc::UDP_GRO);
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
