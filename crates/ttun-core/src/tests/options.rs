//! Options of a tunnel between two addresses.

use std::net::SocketAddr;

use crate::TunnelOptions;

pub(super) fn to(local: SocketAddr, remote: SocketAddr) -> TunnelOptions {
    TunnelOptions::plain("tun0", local.into(), remote)
}
