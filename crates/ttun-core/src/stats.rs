//! A snapshot of a tunnel, as plain numbers.

use std::net::SocketAddr;

use crate::counters::{DecapDrop, EncapDrop};

/// Whether anybody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelState {
    /// The peer was heard from, and is not silent while we send.
    Up,
    /// Nothing came from the peer yet, or nothing in the last 30 s although packets were sent to it; or the device is gone, and
    /// waited for.
    Waiting,
    /// The tunnel has ended.
    Closed,
}

/// Everything that a tunnel counts and knows about itself.
#[derive(Clone, Debug)]
pub struct TunnelStats {
    /// When the snapshot was taken, ms since the epoch.
    pub timestamp: f64,
    /// How long the tunnel has run, ms; stands still once it has ended.
    pub uptime_ms: f64,
    /// Whether anybody answers.
    pub state: TunnelState,
    /// The TUN device.
    pub device: DeviceStats,
    /// The UDP socket.
    pub socket: SocketStats,
    /// Device to network.
    pub encap: EncapStats,
    /// Network to device.
    pub decap: DecapStats,
}

/// The TUN device.
#[derive(Clone, Debug)]
pub struct DeviceStats {
    /// Its name.
    pub name: String,
    /// Its interface index; 0 while it is gone.
    pub index: u32,
    /// Its MTU now, or when the tunnel ended, bytes; 0 if the device was deleted.
    pub mtu: u32,
    /// What it leaves to, and takes from, this program.
    pub offload: OffloadStats,
}

/// Offloads that are on between the device and this program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffloadStats {
    /// Checksums are completed by this program.
    pub checksum: bool,
    /// TCP super-packets pass.
    pub tso: bool,
    /// UDP super-packets pass.
    pub uso: bool,
}

/// The UDP socket.
#[derive(Clone, Debug)]
pub struct SocketStats {
    /// Bound to this address and port.
    pub local: SocketAddr,
    /// Connected to this address and port.
    pub remote: SocketAddr,
    /// Datagrams that one send may carry; 1 where the kernel can't segment.
    pub segments_per_send: usize,
    /// Whether one receive may bring several datagrams.
    pub gro: bool,
    /// Bytes, as getsockopt tells it: twice what holds data.
    pub receive_buffer: usize,
    /// Bytes, as getsockopt tells it: twice what holds data.
    pub send_buffer: usize,
    /// Datagrams lost to a full receive buffer, super-packets counted once, as of the last receive.
    pub receive_overflow: u32,
    /// MTU of the route to the peer, bytes; `None` while there is none.
    pub path_mtu: Option<usize>,
    /// Failed sends and receives, ICMP answers among them, by (positive) error number.
    pub errors: Vec<(i32, u64)>,
}

/// Device to network.
#[derive(Clone, Debug)]
pub struct EncapStats {
    /// Packets read from the device.
    pub received: u64,
    /// Packets taken by the kernel for the peer.
    pub packets: u64,
    /// Their bytes, inner headers included.
    pub bytes: u64,
    /// Reads of the device that brought something.
    pub reads: u64,
    /// Sends that the kernel took.
    pub sends: u64,
    /// Of `packets`, those that the kernel had to fragment, being longer than the route's MTU allows.
    pub fragmented: u64,
    /// Packets dropped, in the order of [`EncapDrop::ALL`].
    pub drops: [u64; EncapDrop::ALL.len()],
}

/// Network to device.
#[derive(Clone, Debug)]
pub struct DecapStats {
    /// Datagrams received from the peer.
    pub received: u64,
    /// Packets taken by the device.
    pub packets: u64,
    /// Their bytes, inner headers included.
    pub bytes: u64,
    /// Receives that brought something.
    pub receives: u64,
    /// Writes that the device took.
    pub writes: u64,
    /// Datagrams dropped, in the order of [`DecapDrop::ALL`].
    pub drops: [u64; DecapDrop::ALL.len()],
    /// When the last datagram came from the peer, ms since the epoch.
    pub last_at: Option<f64>,
}
