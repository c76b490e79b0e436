//! The options of a tunnel, as JavaScript passes them: parsed and checked by the TypeScript layer, converted once.

use std::net::IpAddr;
use std::time::Duration;

use napi_derive::napi;
use ttun_core::{
    Dscp, Endpoint, Error, ErrorKind, InterfaceOptions, MtuChoice, Offload, PathMtuChoice, ProbeOptions,
    QueueOptions, Remote, TunnelOptions,
};

use crate::process::{group_id, user_id};

/// The options of a tunnel.
#[napi(object, object_to_js = false, use_nullable = true)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each named")]
pub struct BindingTunnelOptions {
    /// Name of the TUN device.
    pub device: String,
    /// Address and port to which the socket is bound.
    pub local: BindingEndpoint,
    /// Address and port of the peer; null to learn it.
    pub remote: Option<BindingEndpoint>,
    /// Outer networks from which it may be learned.
    pub peers: Option<Vec<BindingNetwork>>,
    /// Inner source addresses accepted from the peer; null accepts all.
    pub allowed_sources: Option<Vec<BindingNetwork>>,
    /// Whether to lower the MSS of passing TCP SYNs to what fits the route.
    pub clamp_mss: bool,
    /// Whether packets that do not fit the path are reported to their senders by ICMP, rather than fragmented.
    pub discover_path_mtu: bool,
    /// The kernel offloads that may be used.
    pub offload: BindingOffload,
    /// Interface that the socket is bound to.
    pub bind_device: Option<String>,
    /// Mark of the socket's datagrams.
    pub fwmark: Option<u32>,
    /// Whether datagrams get the ECN field of the packet inside.
    pub ecn: bool,
    /// DSCP of the datagrams; null: that of the packet inside.
    pub dscp: Option<u8>,
    /// Whether to accept UDP over IPv6 without a checksum.
    pub zero_checksum6: bool,
    /// Whether to wait for a deleted device to reappear.
    pub reattach: bool,
    /// Whether packets wait in flow queues with CoDel while the socket accepts no more.
    pub queue: bool,
    /// Bits per second that are sent at most; null: as fast as the socket accepts.
    pub rate: Option<f64>,
    /// Size of the send buffer, bytes; null: it follows the rate of the link.
    pub send_buffer: Option<u32>,
    /// How long to poll after the last packet, ms; null: not at all.
    pub busy_poll: Option<f64>,
    /// The probe; null sends none.
    pub probe: Option<BindingProbeOptions>,
    /// Settings of the device; null uses it as it is.
    pub interface: Option<BindingInterfaceOptions>,
}

/// An address and port.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct BindingEndpoint {
    /// The bytes of the address, in network order: 4 for IPv4, 16 for IPv6.
    pub ip: Vec<u8>,
    /// The port.
    pub port: u16,
    /// The interface of a link-local address, by name or index; looked up when the socket is opened or connected again.
    pub zone: Option<String>,
}

/// A network, or an address with the length of its prefix.
#[napi(object, object_to_js = false)]
pub struct BindingNetwork {
    /// The bytes of the address, in network order: 4 for IPv4, 16 for IPv6.
    pub ip: Vec<u8>,
    /// The bits of the prefix.
    pub prefix_length: u8,
}

/// The probe.
#[napi(object, object_to_js = false, use_nullable = true)]
pub struct BindingProbeOptions {
    /// The bytes of the address to be probed, in network order.
    pub address: Vec<u8>,
    /// Time between two probes, ms.
    pub interval_ms: f64,
    /// Length of the inner packet, bytes; null: as that of ping(8).
    pub size: Option<u32>,
}

/// Settings of the device.
#[napi(object, object_to_js = false, use_nullable = true)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each named")]
pub struct BindingInterfaceOptions {
    /// Create the device if it does not exist.
    pub create: bool,
    /// Keep it, with its settings, when the tunnel ends.
    pub persist: bool,
    /// User who may attach to a created device, by name or number.
    pub owner: Option<String>,
    /// Group that may attach to a created device, by name or number.
    pub group: Option<String>,
    /// Create the device with several queues.
    pub multi_queue: bool,
    /// Addresses of the device.
    pub addresses: Vec<BindingNetwork>,
    /// Networks to route into it.
    pub routes: Vec<BindingNetwork>,
    /// Its MTU, bytes; null leaves it, unless `mtuAuto` is set.
    pub mtu: Option<u32>,
    /// Choose the MTU by the route to the peer.
    pub mtu_auto: bool,
    /// Bring it up or down; null: up if it was created here, otherwise left as it is.
    pub up: Option<bool>,
    /// Apply addresses, routes and MTU again if other programs remove or change them.
    pub restore: bool,
}

/// The kernel offloads that may be used.
#[napi(object, object_to_js = false)]
#[expect(clippy::struct_excessive_bools, reason = "six independent switches, each named")]
pub struct BindingOffload {
    /// A virtio-net header on each packet of the device.
    pub virtio_header: bool,
    /// The device leaves checksums to this program.
    pub checksum: bool,
    /// TCP super-packets at the device.
    pub tso: bool,
    /// UDP super-packets at the device.
    pub uso: bool,
    /// Many datagrams by one send (`UDP_SEGMENT`).
    pub segment: bool,
    /// Many datagrams by one receive (`UDP_GRO`).
    pub receive: bool,
}

impl TryFrom<BindingTunnelOptions> for TunnelOptions {
    type Error = Error;

    fn try_from(options: BindingTunnelOptions) -> Result<Self, Error> {
        let BindingOffload { virtio_header, checksum, tso, uso, segment, receive } = options.offload;
        Ok(Self {
            device: options.device,
            local: options.local.try_into()?,
            remote: match options.remote {
                Some(remote) => Remote::At(remote.try_into()?),
                None => Remote::Learn(networks(options.peers.as_deref().unwrap_or_default())?),
            },
            allowed_sources: options.allowed_sources.as_deref().map(networks).transpose()?,
            clamp_mss: options.clamp_mss,
            path_mtu: if options.discover_path_mtu {
                PathMtuChoice::Discover
            } else {
                PathMtuChoice::Fragment
            },
            offload: Offload { virtio_header, checksum, tso, uso, segment, receive },
            bind_device: options.bind_device,
            fwmark: options.fwmark,
            ecn: options.ecn,
            dscp: options.dscp.map_or(Dscp::Inherit, Dscp::Fixed),
            zero_checksum6: options.zero_checksum6,
            reattach: options.reattach,
            queue: QueueOptions {
                fair: options.queue,
                rate: options.rate.map(bits_per_second),
                send_buffer: options.send_buffer.map(|bytes| bytes as usize),
            },
            busy_poll: options.busy_poll.map(polling_time),
            probe: options.probe.map(TryInto::try_into).transpose()?,
            interface: options.interface.map(TryInto::try_into).transpose()?,
        })
    }
}

/// A rate as the core has it; the core refuses one that is impossible.
#[expect(clippy::cast_sign_loss, reason = "a negative number becomes 0")]
pub(crate) fn bits_per_second(rate: f64) -> u64 {
    rate as u64
}

/// A time of busy polling as the core has it; the core refuses one that is impossible.
fn polling_time(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
}

impl TryFrom<BindingProbeOptions> for ProbeOptions {
    type Error = Error;

    fn try_from(
        BindingProbeOptions { address, interval_ms, size }: BindingProbeOptions,
    ) -> Result<Self, Error> {
        let interval = Duration::try_from_secs_f64(interval_ms / 1e3);
        Ok(Self {
            address: ip_address(&address)?,
            interval: interval
                .map_err(|_| Error::new(ErrorKind::InvalidOptions, "the interval is impossible"))?,
            len: size.map(|bytes| bytes as usize),
        })
    }
}

impl TryFrom<BindingInterfaceOptions> for InterfaceOptions {
    type Error = Error;

    /// Looks up the owner and the group, which may take as long as a directory service does.
    fn try_from(options: BindingInterfaceOptions) -> Result<Self, Error> {
        Ok(Self {
            create: options.create,
            persist: options.persist,
            owner: options.owner.as_deref().map(user_id).transpose()?,
            group: options.group.as_deref().map(group_id).transpose()?,
            multi_queue: options.multi_queue,
            addresses: networks(&options.addresses)?,
            routes: networks(&options.routes)?,
            mtu: match options.mtu {
                _ if options.mtu_auto => MtuChoice::Auto,
                Some(bytes) => MtuChoice::Bytes(bytes),
                None => MtuChoice::Unchanged,
            },
            up: options.up,
            restore: options.restore,
        })
    }
}

impl TryFrom<BindingEndpoint> for Endpoint {
    type Error = Error;

    fn try_from(BindingEndpoint { ip, port, zone }: BindingEndpoint) -> Result<Self, Error> {
        Ok(Self { ip: ip_address(&ip)?, port, zone })
    }
}

fn networks(networks: &[BindingNetwork]) -> Result<Vec<(IpAddr, u8)>, Error> {
    networks.iter().map(|network| Ok((ip_address(&network.ip)?, network.prefix_length))).collect()
}

/// An address from its bytes.
pub(crate) fn ip_address(bytes: &[u8]) -> Result<IpAddr, Error> {
    let ipv4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    ipv4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).map_err(|_| {
        Error::new(ErrorKind::InvalidOptions, format!("an address has 4 or 16 bytes, not {}", bytes.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_by_its_bytes() {
        assert_eq!(ip_address(&[192, 0, 2, 1]).unwrap().to_string(), "192.0.2.1");
        let mut bytes = [0; 16];
        (bytes[0], bytes[15]) = (0xFE, 1);
        assert_eq!(ip_address(&bytes).unwrap().to_string(), "fe00::1");
        assert_eq!(ip_address(&bytes[..5]).unwrap_err().kind(), ErrorKind::InvalidOptions);
    }
}
