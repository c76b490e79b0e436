//! ICMP messages to senders of packets that do not fit the path: how many, from which address, and by which way.

use std::cell::{OnceCell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket};
use ttun_packet::{MAX_SEGMENT_HEADER_LEN, Segments, TooBig};

use crate::device::{self, TunDevice};
use crate::io::PacketDevice;
use crate::message::raw_socket;
use crate::shared::Context;

/// Most messages at once, and in a second: as the kernel's own (`icmp_msgs_burst` and `icmp_msgs_per_sec`, ip-sysctl).
const BURST: u64 = 50;
const PER_SECOND: u64 = 1000;

/// Sends messages, but not too many.
pub(crate) struct Answers<'t> {
    context: &'t Context,
    /// Messages that may be sent now.
    left: u64,
    /// When that was, ms of uptime.
    at: u64,
}

impl<'t> Answers<'t> {
    pub(crate) fn new(context: &'t Context) -> Self {
        Self { context, left: BURST, at: context.clock.now() }
    }

    /// Reports to the sender of `packet`, which was read from `device` and is cut into `segments`, that packets of up to `mtu` bytes fit.
    pub(crate) fn send(
        &mut self,
        device: &impl PacketDevice,
        segments: &Segments,
        packet: &[u8],
        mtu: usize,
    ) {
        if !self.take_one() {
            return;
        }
        let mut room = [0; MAX_SEGMENT_HEADER_LEN];
        let header = &mut room[..segments.header_len()];
        let Some(payload) = segments.write_header(0, packet, header) else { return };
        let Some(message) = TooBig::new(header, payload, mtu) else { return };
        if device.try_answer(&message).is_ok() {
            self.context.encap.too_big_answers.add(1);
        }
    }

    /// Takes one of the messages that may be sent now.
    fn take_one(&mut self) -> bool {
        let now = self.context.clock.now();
        let earned = now.saturating_sub(self.at) * PER_SECOND / 1000;
        self.left = (self.left + earned).min(BURST);
        self.at = now;
        let allowed = self.left > 0;
        self.left -= u64::from(allowed);
        allowed
    }
}

/// How long the addresses of the device are assumed to be unchanged.
const ADDRESSES_FOR: Duration = Duration::from_secs(1);

/// Sends packets from this host's own addresses, by the routing table.
///
/// Written to the device, they would seem to come from outside, and the kernel drops what comes from outside with one of its own
/// addresses as the source (`fib_validate_source` in net/ipv4/fib_frontend.c).
#[derive(Default)]
pub(crate) struct OwnPackets {
    /// For IPv4 and IPv6; `None` if this user may not open one.
    sockets: [OnceCell<Option<Socket>>; 2],
    addresses: RefCell<Option<(Instant, Vec<IpAddr>)>>,
}

impl OwnPackets {
    /// The address of `device` from which `to` is sent to; `None` if it has none of that family, or is in another network namespace.
    pub(crate) fn source(&self, device: &TunDevice, to: IpAddr) -> Option<IpAddr> {
        let mut known = self.addresses.borrow_mut();
        if known.as_ref().is_none_or(|(at, _)| at.elapsed() >= ADDRESSES_FOR) {
            *known = Some((Instant::now(), addresses(device)));
        }
        let (_, addresses) = known.as_ref()?;
        let of_family = || addresses.iter().copied().filter(|own| own.is_ipv4() == to.is_ipv4());
        of_family().find(|own| is_link_local(*own) == is_link_local(to)).or_else(|| of_family().next())
    }

    /// Sends `packet`, a whole IP packet, to `to`, which is reached through the interface `index` if it is a link-local address.
    pub(crate) fn send(&self, packet: &[u8], to: IpAddr, index: u32) -> io::Result<()> {
        let socket = &self.sockets[usize::from(to.is_ipv6())];
        let domain = if to.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let Some(socket) = socket.get_or_init(|| raw_socket(domain).ok()) else {
            return Err(io::ErrorKind::PermissionDenied.into());
        };
        let to = match to {
            IpAddr::V6(ip) if is_link_local(to) => SocketAddrV6::new(ip, 0, 0, index).into(),
            _ => SocketAddr::new(to, 0),
        };
        socket.send_to(packet, &to.into()).map(drop)
    }
}

fn addresses(device: &TunDevice) -> Vec<IpAddr> {
    let found = device::name_here(device).and_then(|name| ttun_link::describe(&name).ok().flatten());
    found.map_or_else(Vec::new, |found| found.addresses.into_iter().map(|(ip, _)| ip).collect())
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}
