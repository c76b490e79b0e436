//! The options of a tunnel, as values: parsing and defaults belong to the layers above.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use ttun_packet::{Dscp, EchoRequest, OuterTos};

use crate::error::{Error, ErrorKind};

/// The options of a [`Tunnel`](crate::Tunnel).
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each named")]
pub struct TunnelOptions {
    /// Name of an existing TUN device, 1 to 15 bytes.
    pub device: String,
    /// Address and port to which the UDP socket is bound. An unspecified address (`0.0.0.0`, `::`) leaves the choice to the routing
    /// table, and lets a later peer be of the other family.
    pub local: Endpoint,
    /// The peer, of the same family as the local address.
    pub remote: Remote,
    /// Inner source addresses accepted from the peer, as address and prefix length; `None` accepts all.
    pub allowed_sources: Option<Vec<(IpAddr, u8)>>,
    /// Whether to lower the MSS option of TCP SYNs that pass, so that full segments fit the route to the peer.
    pub clamp_mss: bool,
    /// What becomes of packets that do not fit the path.
    pub path_mtu: PathMtuChoice,
    /// The kernel offloads that may be used.
    pub offload: Offload,
    /// Interface by which the socket's datagrams leave and arrive, regardless of the routing table (`SO_BINDTODEVICE`).
    pub bind_device: Option<String>,
    /// Mark of the socket's datagrams, for policy routing and firewalls (`SO_MARK`).
    pub fwmark: Option<u32>,
    /// Whether datagrams get the ECN field of the packet inside (RFC 6040, normal mode); otherwise they do not support ECN.
    pub ecn: bool,
    /// The DSCP of the datagrams.
    pub dscp: Dscp,
    /// Whether to accept UDP over IPv6 without a checksum (RFC 6935, RFC 6936).
    pub zero_checksum6: bool,
    /// Whether to wait for a deleted device to reappear rather than to end.
    pub reattach: bool,
    /// The probe; `None` sends none.
    pub probe: Option<ProbeOptions>,
    /// The queue before the socket.
    pub queue: QueueOptions,
    /// How long the tunnel's thread polls after the last packet before it sleeps, from 1 µs to 1 ms; `None`: not at all.
    pub busy_poll: Option<Duration>,
    /// Settings of the device; `None` uses it as it is.
    pub interface: Option<InterfaceOptions>,
}

impl TunnelOptions {
    /// The least time of busy polling.
    pub const LEAST_BUSY_POLL: Duration = Duration::from_micros(1);

    /// The longest time of busy polling.
    pub const LONGEST_BUSY_POLL: Duration = Duration::from_millis(1);

    /// A tunnel over a device that is used as it is, with all offloads and no other option.
    #[must_use]
    pub fn plain(device: impl Into<String>, local: Endpoint, remote: impl Into<Remote>) -> Self {
        Self {
            device: device.into(),
            local,
            remote: remote.into(),
            allowed_sources: None,
            clamp_mss: true,
            path_mtu: PathMtuChoice::Fragment,
            offload: Offload::ALL,
            bind_device: None,
            fwmark: None,
            ecn: false,
            dscp: Dscp::Fixed(0),
            zero_checksum6: false,
            reattach: false,
            probe: None,
            queue: QueueOptions::default(),
            busy_poll: None,
            interface: None,
        }
    }

    /// The TOS octet of the datagrams.
    pub(crate) fn outer_tos(&self) -> OuterTos {
        OuterTos::new(self.dscp, self.ecn)
    }
}

/// How packets wait for the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueOptions {
    /// Whether packets for which the socket has no room wait in flow queues with CoDel (RFC 8290), and little waits in the socket.
    /// Otherwise they wait at the device, first in, first out.
    pub fair: bool,
    /// Bits per second, outer headers included, that are sent at most; `None`: as fast as the socket accepts.
    pub rate: Option<u64>,
    /// Size of the socket's send buffer, bytes, as setsockopt(2) takes it; `None`: it follows the rate of the link.
    pub send_buffer: Option<usize>,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self { fair: true, rate: None, send_buffer: None }
    }
}

impl QueueOptions {
    /// The least rate, bits per second.
    pub const LEAST_RATE: u64 = 64_000;

    /// The highest rate, bits per second.
    pub const HIGHEST_RATE: u64 = 100_000_000_000;

    /// The least send buffer, bytes: the kernel has no smaller ones (`SOCK_MIN_SNDBUF` in include/net/sock.h).
    pub const LEAST_SEND_BUFFER: usize = 2304;

    /// The largest send buffer, bytes.
    pub const LARGEST_SEND_BUFFER: usize = 1 << 30;

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_rate(self.rate)?;
        let is_possible =
            |bytes: &usize| (Self::LEAST_SEND_BUFFER..=Self::LARGEST_SEND_BUFFER).contains(bytes);
        if self.send_buffer.as_ref().is_none_or(is_possible) {
            return Ok(());
        }
        let hint = format!("give from {} to {} bytes", Self::LEAST_SEND_BUFFER, Self::LARGEST_SEND_BUFFER);
        Err(Error::new(ErrorKind::InvalidOptions, "sendBuffer is out of range").with_hint(hint))
    }
}

/// Whether a rate is possible.
pub(crate) fn check_rate(rate: Option<u64>) -> Result<(), Error> {
    if rate.is_none_or(|rate| (QueueOptions::LEAST_RATE..=QueueOptions::HIGHEST_RATE).contains(&rate)) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidOptions, "rate is out of range")
        .with_hint("give from 64 kbit/s to 100 Gbit/s"))
}

/// Whether a time of busy polling is possible.
pub(crate) fn check_busy_poll(time: Option<Duration>) -> Result<(), Error> {
    let possible = TunnelOptions::LEAST_BUSY_POLL..=TunnelOptions::LONGEST_BUSY_POLL;
    if time.is_none_or(|time| possible.contains(&time)) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidOptions, "busyPoll is out of range")
        .with_hint("give a time from 1us to 1ms"))
}

/// A probe: echo requests to an address in the tunnel, at equal intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeOptions {
    /// The address, unicast and not of this host.
    pub address: IpAddr,
    /// Time between two requests, from 10 ms to an hour.
    pub interval: Duration,
    /// Length of the inner packet, bytes: from 44 (IPv4) or 64 (IPv6) to 65507; `None`: as those of ping(8), 84 or 104.
    pub len: Option<usize>,
}

impl ProbeOptions {
    /// The least time between two requests.
    pub const LEAST_INTERVAL: Duration = Duration::from_millis(10);

    /// The longest time between two requests.
    pub const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);

    /// The longest inner packet, bytes.
    pub const LONGEST: usize = 65_507;

    /// Whether the values are possible, for a device that is set up with `interface`.
    pub(crate) fn check(&self, interface: Option<&InterfaceOptions>) -> Result<(), Error> {
        let Self { address, interval, len } = self;
        let shortest = EchoRequest::min_len(address);
        let (problem, hint) = if address.is_unspecified() || is_group(*address) {
            (
                format!("{address} is not the address of one host"),
                "give the peer's address in the tunnel".to_owned(),
            )
        } else if interface.is_some_and(|interface| interface.addresses.iter().any(|(own, _)| own == address))
        {
            (format!("{address} is an address of this device itself"), "give the peer's address".to_owned())
        } else if *interval < Self::LEAST_INTERVAL {
            (format!("{interval:?} is too short an interval"), "give at least 10 ms".to_owned())
        } else if *interval > Self::LONGEST_INTERVAL {
            (format!("{interval:?} is too long an interval"), "give an hour at most".to_owned())
        } else if len.is_some_and(|len| len < shortest || len > Self::LONGEST) {
            ("the size is impossible".to_owned(), format!("give from {shortest} to {} bytes", Self::LONGEST))
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::InvalidOptions, format!("probe: {problem}")).with_hint(hint))
    }
}

/// Whether it is a multicast address, or the broadcast address of every network.
pub(crate) fn is_group(ip: IpAddr) -> bool {
    ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

/// The peer of a tunnel.
#[derive(Clone, Debug)]
pub enum Remote {
    /// It is at this address and port; datagrams from elsewhere are dropped by the kernel.
    At(Endpoint),
    /// It is whoever sends a valid packet from one of these networks, given as address and prefix length, all of one family.
    Learn(Vec<(IpAddr, u8)>),
}

impl From<Endpoint> for Remote {
    fn from(endpoint: Endpoint) -> Self {
        Self::At(endpoint)
    }
}

impl From<SocketAddr> for Remote {
    fn from(address: SocketAddr) -> Self {
        Self::At(address.into())
    }
}

/// An address and port. The interface of a link-local address is known by name, which outlives its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub ip: IpAddr,
    /// The port.
    pub port: u16,
    /// The interface of a link-local IPv6 address, by name or index: `eth0` in `fe80::1%eth0` (RFC 4007, section 11).
    pub zone: Option<String>,
}

impl Endpoint {
    /// The socket address, with the index that the interface has now.
    pub(crate) fn resolve(&self) -> Result<SocketAddr, Error> {
        match (self.ip, &self.zone) {
            (IpAddr::V6(ip), Some(zone)) => {
                Ok(SocketAddrV6::new(ip, self.port, 0, interface_index(zone)?).into())
            }
            (ip, _) => Ok(SocketAddr::new(ip, self.port)),
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        let zone = match address {
            SocketAddr::V6(address) if address.scope_id() != 0 => Some(address.scope_id().to_string()),
            _ => None,
        };
        Self { ip: address.ip(), port: address.port(), zone }
    }
}

fn interface_index(zone: &str) -> Result<u32, Error> {
    if let Ok(index) = zone.parse() {
        return Ok(index);
    }
    let found = ttun_link::find(zone)
        .map_err(|cause| Error::system("recvmsg", &cause, &format!("looking up interface {zone}")))?;
    found.map(|link| link.index).ok_or_else(|| {
        Error::new(
            ErrorKind::BindDeviceNotFound,
            format!("there is no interface {zone} for a link-local address"),
        )
        .with_hint("ip -brief link lists the interfaces of this host")
    })
}

/// Settings of the device. The previous ones are restored when the tunnel ends.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each named")]
pub struct InterfaceOptions {
    /// Create the device if it does not exist.
    pub create: bool,
    /// Keep it, with its settings, when the tunnel ends.
    pub persist: bool,
    /// ID of the user who may attach to a device that is created.
    pub owner: Option<u32>,
    /// ID of the group that may attach to a device that is created.
    pub group: Option<u32>,
    /// Create the device for several queues.
    pub multi_queue: bool,
    /// Addresses to give it, with their prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Networks to route into it.
    pub routes: Vec<(IpAddr, u8)>,
    /// Its MTU.
    pub mtu: MtuChoice,
    /// Bring it up, or down; `None`: up if it was created for the tunnel, otherwise left as it is.
    pub up: Option<bool>,
    /// Apply addresses, routes and MTU again if other programs remove or change them while the device is up.
    pub restore: bool,
}

impl Default for InterfaceOptions {
    fn default() -> Self {
        Self {
            create: false,
            persist: false,
            owner: None,
            group: None,
            multi_queue: false,
            addresses: Vec::new(),
            routes: Vec::new(),
            mtu: MtuChoice::Unchanged,
            up: None,
            restore: true,
        }
    }
}

/// How the MTU of the device is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MtuChoice {
    /// It stays as it is.
    #[default]
    Unchanged,
    /// The largest that fits the route to the peer, but at least 1280 if the tunnel carries IPv6.
    Auto,
    /// This many bytes.
    Bytes(u32),
}

/// What becomes of packets that do not fit the path to the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathMtuChoice {
    /// They are fragmented, by this host or by a router: datagrams over IPv4 have no DF bit.
    #[default]
    Fragment,
    /// ICMP reports the MTU that fits to their senders (RFC 1191, RFC 8201): datagrams have the DF bit. Packets that may be fragmented still are.
    Discover,
}

/// The kernel offloads that may be used. Those that the kernel lacks are never used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "six independent switches, each named")]
pub struct Offload {
    /// A virtio-net header on each packet of the device; without it the next three are off too.
    pub virtio_header: bool,
    /// The device leaves checksums to this program.
    pub checksum: bool,
    /// The device delivers and accepts TCP super-packets. Needs `checksum`.
    pub tso: bool,
    /// The device delivers and accepts UDP super-packets (kernel 6.2 and later). Needs `checksum`.
    pub uso: bool,
    /// One send carries many datagrams (`UDP_SEGMENT`).
    pub segment: bool,
    /// One receive brings many datagrams (`UDP_GRO`).
    pub receive: bool,
}

impl Offload {
    /// All offloads that the kernel supports.
    pub const ALL: Self =
        Self { virtio_header: true, checksum: true, tso: true, uso: true, segment: true, receive: true };
}
