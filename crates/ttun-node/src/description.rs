//! What a tunnel tells of itself besides numbers. It seldom changes, so it is handed over only when it did.

use std::net::SocketAddr;

use napi_derive::napi;
use ttun_core::{OffloadStats, TunnelStats};

use crate::stats::number;

/// What was told last, to see whether it is still so.
#[derive(PartialEq)]
pub(crate) struct Description {
    name: String,
    index: u32,
    offload: OffloadStats,
    local: SocketAddr,
    remote: SocketAddr,
    gro: bool,
    receive_buffer: usize,
    send_buffer: usize,
}

impl From<&TunnelStats> for Description {
    fn from(TunnelStats { device, socket, .. }: &TunnelStats) -> Self {
        Self {
            name: device.name.clone(),
            index: device.index,
            offload: device.offload,
            local: socket.local,
            remote: socket.remote,
            gro: socket.gro,
            receive_buffer: socket.receive_buffer,
            send_buffer: socket.send_buffer,
        }
    }
}

/// What a tunnel tells of itself besides numbers.
#[napi(object, object_from_js = false)]
pub struct BindingDescription {
    /// The TUN device.
    pub device: BindingDeviceDescription,
    /// The UDP socket.
    pub socket: BindingSocketDescription,
}

/// The TUN device.
#[napi(object, object_from_js = false)]
pub struct BindingDeviceDescription {
    /// Its name.
    pub name: String,
    /// Its interface index.
    pub index: u32,
    /// Offloads in use.
    pub offload: BindingOffloadStats,
}

/// Offloads between the device and this program.
#[napi(object, object_from_js = false)]
pub struct BindingOffloadStats {
    /// Checksums.
    pub checksum: bool,
    /// TCP super-packets.
    pub tso: bool,
    /// UDP super-packets.
    pub uso: bool,
}

/// The UDP socket.
#[napi(object, object_from_js = false)]
pub struct BindingSocketDescription {
    /// Bound to.
    pub local: String,
    /// Connected to.
    pub remote: String,
    /// Whether one receive may bring several datagrams.
    pub gro: bool,
    /// Bytes.
    pub receive_buffer: f64,
    /// Bytes.
    pub send_buffer: f64,
}

impl From<&Description> for BindingDescription {
    fn from(description: &Description) -> Self {
        let OffloadStats { checksum, tso, uso } = description.offload;
        Self {
            device: BindingDeviceDescription {
                name: description.name.clone(),
                index: description.index,
                offload: BindingOffloadStats { checksum, tso, uso },
            },
            socket: BindingSocketDescription {
                local: description.local.to_string(),
                remote: description.remote.to_string(),
                gro: description.gro,
                receive_buffer: number(description.receive_buffer as u64),
                send_buffer: number(description.send_buffer as u64),
            },
        }
    }
}
