//! What the kernel has for tunnels, asked without opening one.

use std::io;
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use crate::system::socket_option::IntOption;

/// The kernel's offloads for UDP sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOffload {
    /// One send can carry many datagrams (`UDP_SEGMENT`, kernel 4.18).
    pub segment: bool,
    /// One receive can bring many datagrams (`UDP_GRO`, kernel 5.0).
    pub receive: bool,
}

/// Asks by a socket that is bound to nothing and closed again.
///
/// # Errors
/// When no UDP socket can be opened.
pub fn probe_udp_offload() -> io::Result<UdpOffload> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    Ok(UdpOffload {
        // Zero switches it off, which only a kernel that knows the option can do.
        segment: IntOption::UDP_SEGMENT.set(socket.as_fd(), 0).is_ok(),
        receive: IntOption::UDP_GRO.set(socket.as_fd(), 1).is_ok(),
    })
}
