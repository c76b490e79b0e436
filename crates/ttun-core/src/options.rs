//! What a tunnel is made of, as finished values: parsing and defaults live in the layers above.

use std::net::{IpAddr, SocketAddr};

/// Everything a [`Tunnel`](crate::Tunnel) needs to know.
#[derive(Clone, Debug)]
pub struct TunnelOptions {
    /// Name of an existing TUN device, 1 to 15 bytes.
    pub device: String,
    /// Address and port to which the UDP socket is bound.
    pub local: SocketAddr,
    /// The peer's address and port, of the same family; datagrams from elsewhere are dropped by the kernel.
    pub remote: SocketAddr,
    /// Inner source addresses accepted from the peer, as address and prefix length; `None` accepts all.
    pub allowed_sources: Option<Vec<(IpAddr, u8)>>,
    /// Whether to lower the MSS option of TCP SYNs that pass, so that full segments fit the route to the peer.
    pub clamp_mss: bool,
    /// What may be used at most of the kernel's offloads.
    pub offload: Offload,
    /// Interface that the socket's datagrams leave and come by, whatever the routing table says (`SO_BINDTODEVICE`).
    pub bind_device: Option<String>,
    /// Mark of the socket's datagrams, for policy routing and firewalls (`SO_MARK`).
    pub fwmark: Option<u32>,
    /// Whether to wait for a deleted device to come back rather than to end.
    pub reattach: bool,
    /// What to set up of the device; `None` uses it as it is.
    pub interface: Option<InterfaceOptions>,
}

impl TunnelOptions {
    /// A tunnel over a device that is used as it is, with all that makes it fast and nothing else.
    #[must_use]
    pub fn plain(device: impl Into<String>, local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            device: device.into(),
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
}

/// What to set up of the device. What was there before is put back when the tunnel ends.
#[derive(Clone, Debug, Default)]
pub struct InterfaceOptions {
    /// Make the device if it is not there.
    pub create: bool,
    /// Leave it, as it was set up, when the tunnel ends.
    pub persist: bool,
    /// ID of the user who may attach to a device that is made.
    pub owner: Option<u32>,
    /// ID of the group that may attach to a device that is made.
    pub group: Option<u32>,
    /// Make the device for several queues.
    pub multi_queue: bool,
    /// Addresses to give it, with their prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Networks to route into it.
    pub routes: Vec<(IpAddr, u8)>,
    /// Its MTU.
    pub mtu: MtuChoice,
    /// Bring it up, or down; `None`: up if it was made here, otherwise left as it is.
    pub up: Option<bool>,
}

/// How the MTU of the device is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MtuChoice {
    /// It stays as it is.
    #[default]
    Unchanged,
    /// What fits the route to the peer, and never under 1280 where the inside speaks IPv6.
    Auto,
    /// This many bytes.
    Bytes(u32),
}

/// The kernel offloads that may be used. What the kernel lacks is done without in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "six independent switches, each named")]
pub struct Offload {
    /// A virtio-net header on each packet of the device; without it the next three are off too.
    pub virtio_header: bool,
    /// The device leaves checksums to this program.
    pub checksum: bool,
    /// The device hands over and takes TCP super-packets. Needs `checksum`.
    pub tso: bool,
    /// The device hands over and takes UDP super-packets (kernel 6.2 and later). Needs `checksum`.
    pub uso: bool,
    /// One send carries many datagrams (`UDP_SEGMENT`).
    pub segment: bool,
    /// One receive brings many datagrams (`UDP_GRO`).
    pub receive: bool,
}

impl Offload {
    /// Use all that the kernel has.
    pub const ALL: Self =
        Self { virtio_header: true, checksum: true, tso: true, uso: true, segment: true, receive: true };
}
