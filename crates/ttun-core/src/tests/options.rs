//! Options of a tunnel between two addresses.

use std::net::SocketAddr;

use crate::{Offload, TunnelOptions};

pub(super) fn to(local: SocketAddr, remote: SocketAddr) -> TunnelOptions {
    TunnelOptions {
        device: "tun0".to_owned(),
        local,
        remote,
        allowed_sources: None,
        clamp_mss: true,
        offload: Offload::ALL,
        bind_device: None,
        fwmark: None,
        reattach: false,
        interface: None,
    }
}
