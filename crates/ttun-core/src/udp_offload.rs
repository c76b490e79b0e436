//! What the kernel can do for UDP sockets.

use std::io;
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use crate::message::IntOption;

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
